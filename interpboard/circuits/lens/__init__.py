"""Layers read as if the model ended there: the ``logit`` lens, the ``tuned`` one and its ``training``."""
