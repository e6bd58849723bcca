"""Paths as people write them."""

from __future__ import annotations

from pathlib import Path


def expanded(text: str | Path) -> Path:
    """The path with ``~`` and ``~name`` read as home folders; where nobody has that name, as it stands."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)
