"""The slot ``steering``."""
