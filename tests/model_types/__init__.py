"""Every type of model that transformers names, built small, opened, and held against plain forwards."""
