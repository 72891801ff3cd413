"""Is a stored adversarial what it is said to be? Judged by code that shares nothing with any attack."""
