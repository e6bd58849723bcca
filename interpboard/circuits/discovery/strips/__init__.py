"""Circuits of encoder–decoders: two residual streams, and edges across the border between them."""
