"""Whole texts: how likely each token was, given those before it, in windows where a text is long."""
