"""The tables of sessions and notes, and what their columns hold."""

from __future__ import annotations

# A number is never given twice: an app may still write into a session that was deleted under it.

TABLES = (
    "CREATE TABLE IF NOT EXISTS sessions ("
    "id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, begun_at REAL NOT NULL, "
    "used_at REAL NOT NULL)",
    "CREATE TABLE IF NOT EXISTS session_runs ("
    "session INTEGER NOT NULL, run INTEGER NOT NULL, PRIMARY KEY (session, run))",
    "CREATE TABLE IF NOT EXISTS notes ("
    "id INTEGER PRIMARY KEY, session INTEGER NOT NULL, kind TEXT NOT NULL, model TEXT NOT NULL, "
    "weights TEXT NOT NULL, prompt TEXT NOT NULL, place TEXT NOT NULL, text TEXT NOT NULL, "
    "written_at REAL NOT NULL)",
)
COLUMN_KINDS: dict[str, tuple[type, ...]] = {
    "sessions": (int, str, float, float),
    "session_runs": (int, int),
    "notes": (int, int, str, str, str, str, str, str, float),
}
# Runs of sessions that have a name or a note: somebody means to come back to them.
KEPT_BY_SESSIONS = (
    "SELECT run FROM session_runs WHERE session IN (SELECT id FROM sessions WHERE name != '') "
    "OR session IN (SELECT session FROM notes)"
)
