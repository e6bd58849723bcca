"""Results into files: which formats there are, where the file goes, and what is in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from interpboard.display import ascii_everywhere
from interpboard.files import atomic
from interpboard.visualization.files import propose

if TYPE_CHECKING:
    from interpboard.results import Document, Result

__all__ = ["FORMATS", "formats", "propose", "render_document", "write_export"]

FORMATS = {
    "md": "markdown, for people",
    "csv": "csv, one row a value",
    "json": "json, whole: can be read back",
    "html": "html, one file for a browser",
    "svg": "svg, a picture as it is now",
}
SESSION = "session"  # the scope of a report: notes and results of the whole session
REPORTS = ("md", "json", "html")  # what it can be written as
# Of a circuit also, by the file's ending: what it says, and the library's name for it.
DIAGRAM_FORMATS = {
    "dot": ("Graphviz DOT, the diagram as text", "dot"),
    "mmd": ("Mermaid, the diagram as text", "mermaid"),
}


def formats(result: Result | None) -> dict[str, str]:
    """The formats that ``result`` can be written in: only a circuit is a diagram."""
    from interpboard.visualization.suiting import is_circuit

    if result is None or not is_circuit(result):
        return FORMATS
    return {**FORMATS, **{kind: about for kind, (about, _) in DIAGRAM_FORMATS.items()}}


def render_document(document: Document, kind: str, size: int | None = None) -> str:
    """The document as text of one of the formats (not svg: that is the screen's).

    A diagram is of the circuit of ``size`` in the series, or of the one that was chosen.
    """
    from interpboard.visualization import export
    from interpboard.visualization.circuit_page import diagram

    if kind in DIAGRAM_FORMATS:
        return diagram(document, DIAGRAM_FORMATS[kind][1], size)

    writers = {
        "md": export.markdown, "csv": export.csv_text, "json": export.json_text,
        "html": export.html,
    }  # fmt: skip
    shown = ascii_everywhere.set(False)  # that is the terminal's limit, not the file's
    try:
        return writers[kind](document)
    finally:
        ascii_everywhere.reset(shown)


def write_export(path: Path, text: str) -> None:
    """``text`` as the whole of ``path``, or nothing of it. Raises ``OSError``."""
    atomic.write_text(path, text)
