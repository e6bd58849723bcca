"""The slot ``neurons``."""
