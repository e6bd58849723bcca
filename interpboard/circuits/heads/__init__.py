"""Heads: ``ablation``, ``pairs`` and ``compare`` of it, ``critical`` parts, ``types``, ``attention``."""
