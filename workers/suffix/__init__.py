"""Methods that change one layer's output and rerun what lies after it."""
