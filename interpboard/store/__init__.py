"""Finished results, sessions and notes on disk: one SQLite file in the state folder; see ``runs``."""

from interpboard.store.notes import Note, NoteSubject
from interpboard.store.rows import SavedRun
from interpboard.store.runs import Store
from interpboard.store.sessions import SavedSession, SessionBook

__all__ = ["Note", "NoteSubject", "SavedRun", "SavedSession", "SessionBook", "Store"]
