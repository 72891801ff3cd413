"""Methods that hide parts of the input and look at the target alone: no gradient is needed."""
