"""Results into files: which formats there are, where the file goes, and what is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interpboard.display import ascii_everywhere
from interpboard.visualization.files import propose

if TYPE_CHECKING:
    from interpboard.results import Document

__all__ = ["FORMATS", "propose", "render"]

FORMATS = {
    "md": "markdown, for people",
    "csv": "csv, one row a value",
    "json": "json, whole: can be read back",
    "svg": "svg, a picture of the screen",
    "html": "html, one page for a browser",
}


def render(document: Document, kind: str) -> str:
    """The document as text of one of the formats (not svg: that is the screen's)."""
    from interpboard.visualization import export

    writers = {
        "md": export.markdown, "csv": export.csv_text, "json": export.json_text,
        "html": export.html,
    }  # fmt: skip
    shown = ascii_everywhere.set(False)  # that is the terminal's limit, not the file's
    try:
        return writers[kind](document)
    finally:
        ascii_everywhere.reset(shown)
