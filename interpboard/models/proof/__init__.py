"""What a model proves at load: ``selfcheck`` of ``sites``, ``replay``, ``rows`` and ``shortcuts``."""
