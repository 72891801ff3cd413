"""One file for each way to attribute, or for a few that differ in a line."""
