"""The slot ``continuation``."""
