"""The slot ``trace``."""
