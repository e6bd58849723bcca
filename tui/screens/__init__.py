"""Screens over the panes: help, palette, export, and the small questions."""
