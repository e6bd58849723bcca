"""Prompts in numbers: how a line of a file names a prompt, its partner and its answers. Knows no torch."""
