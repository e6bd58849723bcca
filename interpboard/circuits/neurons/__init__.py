"""Neurons: ``contributions`` to the metric, and the texts that activate them most (``collect``)."""
