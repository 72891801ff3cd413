"""What is being audited? A network and the examples it is asked about, read from canonical files."""
