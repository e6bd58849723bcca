"""The views of results, by name: text, markdown, CSV, HTML.

A view is built on results and so stands above them. Here it is named, not imported, as the functions
are in the registry of analyses: it is looked up when somebody asks for it, and a program that only
computes never loads it.
"""

from __future__ import annotations

import importlib
from typing import Any

_VIEWS = {
    "text": "interpboard.visualization.views:text",
    "markdown": "interpboard.visualization.views:markdown",
    "csv": "interpboard.visualization.views:csv_text",
    "html": "interpboard.visualization.views:html",
    "plot": "interpboard.visualization.figures.choice:figure_of",
    "interactive": "interpboard.visualization.interactive.choice:figure_of",
    "fragment": "interpboard.visualization.views:fragment",
}


def view(name: str, item: Any, **options: Any) -> Any:
    """``item`` (a result or a document) in the view called ``name``."""
    module, _, function = _VIEWS[name].partition(":")
    return getattr(importlib.import_module(module), function)(item, **options)


class Viewable:
    """What a result and a document have in common: how they are shown and taken away."""

    __slots__ = ()

    def to_text(self, width: int = 100) -> str:
        """The page of the terminal, without colour."""
        text: str = view("text", self, width=width)
        return text

    def to_markdown(self) -> str:
        """GitHub markdown: a table a result. Tokens are code, so no mark-up in them acts."""
        text: str = view("markdown", self)
        return text

    def to_csv(self) -> str:
        """Long form, one row a value; the columns are those of ``visualization.export.csv_text``."""
        text: str = view("csv", self)
        return text

    def to_html(self) -> str:
        """One self-contained page: no request to any network, readable without JavaScript."""
        text: str = view("html", self)
        return text

    def plot(self, **options: Any) -> Any:
        """The matplotlib figure that suits it, of a document a list: ``visualization.figures.figure_of``.

        Raises ``MissingPackage`` without matplotlib, ``BadParameter`` for what is not drawn as it is.
        """
        return view("plot", self, **options)

    def plot_interactive(self, **options: Any) -> Any:
        """The same as a plotly figure, with exact values on hover: ``visualization.interactive.figure_of``.

        Raises ``MissingPackage`` without plotly, ``BadParameter`` as ``plot`` does.
        """
        return view("interactive", self, **options)

    def _repr_html_(self) -> str:
        text: str = view("fragment", self)
        return text
