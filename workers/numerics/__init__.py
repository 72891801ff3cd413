"""The numerical ground the engines stand on: quadrature, intervals, determinism."""
