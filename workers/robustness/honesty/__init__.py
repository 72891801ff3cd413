"""May the figures of an attack be believed? Checks that each could show them to be too good."""
