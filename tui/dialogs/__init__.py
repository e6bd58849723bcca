"""Screens over the panes: help, palette, export, pickers and small questions."""
