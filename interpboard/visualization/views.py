"""The views of one result or of a whole document, as ``interpboard.results.views`` names them."""

from __future__ import annotations

from rich.console import Group

from interpboard.results import Document, Result
from interpboard.visualization import export, terminal
from interpboard.visualization.blocks import PageStyle
from interpboard.visualization.markdown import markdown_section
from interpboard.visualization.single_result import prompt_of_result


def text(item: Result | Document, width: int = export.TEXT_WIDTH) -> str:
    """The page of the terminal, without colour."""
    if isinstance(item, Document):
        return export.text(item, width)
    lines = terminal.section(item, prompt_of_result(item), PageStyle(max(24, width)))
    return terminal.page_text(Group(*lines), width)


def markdown(item: Result | Document) -> str:
    """GitHub markdown."""
    if isinstance(item, Document):
        return export.markdown(item)
    return "\n\n".join(markdown_section(item, prompt_of_result(item))) + "\n"


def csv_text(item: Result | Document) -> str:
    """Long form; the model of a lone result is not known and its column is empty."""
    return export.csv_text(item) if isinstance(item, Document) else export.csv_of("", (item,))


def html(item: Result | Document) -> str:
    """One self-contained page."""
    from interpboard.visualization.html import report

    return report(item)


def fragment(item: Result | Document) -> str:
    """What a notebook shows: the figures without a page around them."""
    from interpboard.visualization.html import fragment

    return fragment(item)
