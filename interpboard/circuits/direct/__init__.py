"""Direct."""
