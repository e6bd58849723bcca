"""Results into files: which formats there are, where the file goes, and what is in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from interpboard.display import ascii_everywhere

if TYPE_CHECKING:
    from interpboard.results import Document

FORMATS = {
    "md": "markdown, for people",
    "csv": "csv, one row a value",
    "json": "json, whole: can be read back",
    "svg": "svg, a picture of the screen",
}


def propose(model: str, scope: str, suffix: str, folder: Path | None = None) -> Path:
    """A file name that is not taken: ``interpboard-demo-heads.md``."""
    folder = folder or Path.cwd()
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", model).strip("-.") or "model"
    stem = f"interpboard-{safe}-{scope}"
    path = folder / f"{stem}.{suffix}"
    number = 2
    while path.exists():
        path = folder / f"{stem}-{number}.{suffix}"
        number += 1
    return path


def render(document: Document, kind: str) -> str:
    """The document as text of one of the formats (not svg: that is the screen's)."""
    from interpboard.visualization import export

    writers = {"md": export.markdown, "csv": export.csv_text, "json": export.json_text}
    shown = ascii_everywhere.set(False)  # that is the terminal's limit, not the file's
    try:
        return writers[kind](document)
    finally:
        ascii_everywhere.reset(shown)
