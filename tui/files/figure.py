"""The plot of a result as a figure in a file: for print by matplotlib, for the mouse by plotly."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from interpboard.errors import BadParameter
from interpboard.files import atomic

if TYPE_CHECKING:
    from interpboard.results import Result

ENDINGS = ("pdf", "svg", "png", "html")


def write_figure(result: Result, position: int | None, path: Path) -> None:
    """The lines of ``result`` as the whole of ``path``, or nothing of it; the ending says which figure.

    Raises ``BadParameter`` for another ending, ``MissingPackage`` and ``OSError``.
    """
    ending = path.suffix.lower().removeprefix(".")
    if ending not in ENDINGS:
        raise BadParameter(
            f"There is no figure in {path.name}.", f"End it in {', '.join(ENDINGS)}."
        )
    if ending == "html":
        drawn = result.plot_interactive(lines=True, position=position)
        atomic.write_text(path, drawn.to_html(include_plotlyjs=True))
        return
    buffer = BytesIO()
    result.plot(lines=True, position=position).savefig(buffer, format=ending, dpi=300)
    atomic.write_bytes(path, buffer.getvalue())
