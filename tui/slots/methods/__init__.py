"""The slot ``methods``."""
