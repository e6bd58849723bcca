"""Finished results on disk: one SQLite file in the state folder, each result written whole or not at all."""

from interpboard.store.rows import SavedRun
from interpboard.store.runs import Store

__all__ = ["SavedRun", "Store"]
