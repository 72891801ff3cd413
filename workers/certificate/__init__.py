"""Whether an attribution can be believed: what it must satisfy, measured on a handful of examples."""
