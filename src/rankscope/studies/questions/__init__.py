"""The studies, one question per file."""
