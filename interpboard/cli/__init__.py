"""The command line: ``main`` is its door; ``commands`` with their ``flags``, ``compute``, ``output``."""
