"""Saved documents as text for the Runs screen: one, two side by side, or their difference."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

from interpboard.comparison import difference, same_name_other_weights
from interpboard.errors import BadParameter
from interpboard.visualization.terminal import dashboard, section

if TYPE_CHECKING:
    from interpboard.results import Document
    from interpboard.visualization.blocks import PageStyle

GAP = 3


def document_page(document: Document, page: PageStyle) -> Text:
    """The page of one document, as ``interpboard analyze`` prints it."""
    return _joined(_lines(document, page))


def two_columns(first: Document, second: Document, page: PageStyle) -> Text:
    """A on the left, B on the right."""
    half = replace(page, width=(page.width - GAP) // 2)
    other = ": other weights than in A" if same_name_other_weights(first, second) else ""
    left, right = (
        [Text(name, "bold"), *_lines(document, half)]
        for name, document in (("A", first), (f"B{other}", second))
    )
    bar = "|" if page.ascii_only else "│"
    rows = []
    for at in range(max(len(left), len(right))):
        row = left[at].copy() if at < len(left) else Text()
        row.append(" " * max(0, half.width - cell_len(row.plain)) + f" {bar} ")
        rows.append(row.append_text(right[at]) if at < len(right) else row)
    return _joined(rows)


def difference_page(first: Document, second: Document, page: PageStyle) -> Text:
    """B − A where that means something; otherwise why not, and the two side by side."""
    try:
        result = difference(first, second)
    except BadParameter as error:
        return Text(f"{error}\n\n").append_text(two_columns(first, second, page))
    head = [Text(page.ours("B − A"), "bold")]
    for name, document in (("A", first), ("B", second)):
        head.append(Text(page.fit(f"{name}: {page.words(document.prompt.text)}", page.width)))
    return _joined([*head, Text(), *section(result, second.prompt, page)])


def _lines(document: Document, page: PageStyle) -> list[Text]:
    group = dashboard(document, page.width, page.dark, page.ascii_only)
    return [line for line in group.renderables if isinstance(line, Text)]


def _joined(lines: list[Text]) -> Text:
    return Text("\n", no_wrap=True).join(lines)
