"""The questions of the papers, one in each file."""
