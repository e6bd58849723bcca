"""The slot ``experts``."""
