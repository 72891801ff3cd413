"""What is found by asking alone."""
