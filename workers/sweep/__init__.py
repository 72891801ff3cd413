"""The sweep: one forward and one backward pass per step, serving every layer of a network at once."""
