"""The slot ``lens``."""
