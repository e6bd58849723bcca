"""Gradients of the metric: at the ``embeddings``, at ``sites``, and along paths of embeddings."""
