"""The slot ``heads``."""
