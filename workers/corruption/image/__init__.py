"""Which corruptions do pictures suffer? Each takes one picture, (channels, height, width) in [0, 1], float64."""
