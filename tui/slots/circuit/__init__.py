"""The slot ``circuit``."""
