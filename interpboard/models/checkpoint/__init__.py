"""A model is its checkpoint: ``account`` of every tensor, from ``headers`` that need no torch."""
