"""The slot ``attention``."""
