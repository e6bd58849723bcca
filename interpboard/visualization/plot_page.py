"""A document as plots in text: the lines of each result that has some, one below the other."""

from __future__ import annotations

from rich.console import Group
from rich.text import Text

from interpboard.errors import BadParameter
from interpboard.results import Document
from interpboard.visualization.blocks import PageStyle, wrapped
from interpboard.visualization.curves import curves_of
from interpboard.visualization.plot_text import plot_lines
from interpboard.visualization.reading import name_of
from interpboard.visualization.terminal import page_text

HIGH = 22  # lines of a plot on a page


def document_plots(
    document: Document,
    width: int,
    *,
    color: str = "",
    dark: bool = True,
    ascii_only: bool = False,
) -> str:
    """The plots as text, ready to write; a result without lines is named. Parameters as in
    ``terminal.render``.

    Raises ``BadParameter`` where no result has lines.
    """
    page = PageStyle(max(24, width), dark, ascii_only)
    lines: list[Text] = wrapped(f"prompt: {page.words(document.prompt.text)}", page, "bold")
    without, drawn = [], 0
    for result in document.results:
        try:
            curves = curves_of(result)
        except BadParameter:
            without.append(page.words(page.ours(name_of(result))))
            continue
        lines += [Text(), *plot_lines(curves, page.width, HIGH, dark=dark, ascii_only=ascii_only)]
        drawn += 1
    if not drawn:
        raise BadParameter(
            f"There are no lines to draw in: {', '.join(without)}.",
            "A lens, effects by layer, scores of tokens and circuits have some.",
        )
    if without:
        lines += [Text(), *wrapped(f"without lines: {', '.join(without)}", page, "dim")]
    return page_text(Group(*lines), page.width, color=color)
