"""Models: ``load`` them, find their parts (``anatomy``), prove it (``selfcheck``)."""
