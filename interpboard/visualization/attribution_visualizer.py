"""``AttributionVisualizer``: scores of tokens on the text itself, wherever it is looked at."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.text import Text

from interpboard.display import visible
from interpboard.results import Result
from interpboard.results.encoding import write_file
from interpboard.visualization import terminal
from interpboard.visualization.blocks import PageStyle
from interpboard.visualization.figures.token_heatmap import token_heatmap, token_results
from interpboard.visualization.single_result import prompt_of_result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Results = Result | Sequence[Result]


class AttributionVisualizer:
    """Draws results whose only axis is ``token``; several of one prompt stand row by row.

    One colour map everywhere: blue negative, orange positive, and the registry's words on what the
    sign means. Every method raises ``BadParameter`` for results without a score a token, or of
    different tokens.
    """

    def plot_token_heatmap(
        self, results: Results, title: str | None = None, *, columns: int = 1
    ) -> Figure:
        """The matplotlib figure; ``savefig`` writes it. Raises ``MissingPackage`` without matplotlib."""
        return token_heatmap(results, title=title, columns=columns)

    def plot_interactive(self, results: Results, title: str | None = None) -> Any:
        """The plotly figure. Raises ``MissingPackage`` without plotly."""
        from interpboard.visualization.interactive import token_heatmap as interactive_heatmap

        return interactive_heatmap(results, title=title)

    def text(
        self, results: Results, title: str | None = None, *, width: int = 100, color: str = ""
    ) -> str:
        """The page of a terminal, ``color`` as in ``visualization.terminal.render``."""
        page = PageStyle(max(24, width))
        lines = [Text(visible(title), "bold")] if title else []
        for result in token_results(results):
            lines += terminal.section(result, prompt_of_result(result), page)
        return terminal.page_text(Group(*lines), width, color=color)

    def show(self, results: Results, title: str | None = None) -> None:
        """Print ``text`` as wide and as coloured as the terminal is."""
        color = terminal.color_wanted("auto", sys.stdout.isatty())
        width = shutil.get_terminal_size((100, 24)).columns
        print(self.text(results, title, width=width, color=color), end="")

    def html(self, results: Results, title: str | None = None) -> str:
        """One self-contained page: values under each token and on hover, light and dark, printable."""
        from interpboard.visualization.html import report

        return report(token_results(results), title=title)

    def save_html(self, results: Results, path: str | Path, title: str | None = None) -> Path:
        """Write ``html`` to ``path`` and return it. Raises ``BadResultFile``."""
        return write_file(path, self.html(results, title))
