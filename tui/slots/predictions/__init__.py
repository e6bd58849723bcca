"""What the model says next."""
