"""Mixtures of experts: which token goes where (``routing``), experts off, one at a time (``ablation``)."""
