"""The slot ``logits``."""
