"""The slot ``tokens``."""
