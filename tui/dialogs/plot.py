"""Plot: the lines of a result on the whole screen, and as a figure in a file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult

from interpboard.display import visible
from interpboard.errors import InterpBoardError
from interpboard.files.places import expanded
from tui.commands.command import bindings
from tui.commands.places import PLOT
from tui.dialogs.box import Live
from tui.dialogs.over_panes import OverPanes
from tui.files.export import propose
from tui.files.figure import ENDINGS, write_figure
from tui.session.state import State
from tui.widgets.line import Line
from tui.widgets.lines_view import LinesView
from tui.widgets.message import MessageLine

if TYPE_CHECKING:
    from interpboard.results import Result
    from interpboard.visualization.curves import Curves
    from tui.controllers.notify import Tell
    from tui.controllers.ports import InputsLine


@dataclass(frozen=True, eq=False)
class Plotted:
    """What is drawn: a result, at a position of the prompt where its lines are at one.

    ``of`` says what it is of, ``older`` why that is no answer to what is asked now.
    """

    result: Result
    position: int | None
    of: str
    older: str = ""

    @property
    def curves(self) -> Curves:
        """The lines. Raises ``BadParameter`` where the result has none."""
        from interpboard.visualization.curves import curves_of

        return curves_of(self.result, position=self.position)


class PlotScreen(Live, OverPanes[None]):
    """Follows what it is of: a new result is drawn when it comes."""

    place, heading = "plot", "Plot"
    about = (
        "Lines from layer to layer, along the prompt, or by size. Every point is a",
        "number of the result; what it does not hold is a gap. Lines differ by",
        "pattern and letter, not by colour alone. {key:plot_export} writes it as a figure: pdf, svg",
        "or png for print, html for the mouse (the plots extra).",
    )
    BINDINGS = bindings(PLOT)
    DEFAULT_CSS = "PlotScreen { background: $background; layout: vertical; }"

    def __init__(
        self, source: Callable[[], Plotted], model: str, folder: str, ask: InputsLine, tell: Tell
    ) -> None:
        super().__init__()
        self.source, self.model, self.folder, self.ask, self.tell = source, model, folder, ask, tell
        self.view = LinesView()
        self.plotted: Plotted | None = None

    def compose(self) -> ComposeResult:
        """What it is of, the lines, footer."""
        yield Line(id="plot-title")
        yield self.view
        yield MessageLine()
        yield Line(id="plot-footer")

    def on_mount(self) -> None:
        """What is known."""
        self._draw()

    def show(self, state: State) -> None:
        """A new snapshot: perhaps another result."""
        if self.composed:
            self._draw()

    def _draw(self) -> None:
        """The newest; where there is none any more, what was drawn stays and is said to be older."""
        title = Text.assemble((f" {self.shown_heading}", Style(color=self.ink.accent, bold=True)))
        try:
            plotted = self.source()
            if self.plotted is None or (plotted.result, plotted.position) != (
                self.plotted.result, self.plotted.position,
            ):  # fmt: skip
                self.view.show(plotted.curves)
            self.plotted = plotted
        except InterpBoardError as error:
            title.append(f"  {visible(str(error))}", self.ink.warning)
        if self.plotted is not None:
            title.append(f"  {self.plotted.of}", self.ink.text)
            title.append(f"  {self.plotted.older}" if self.plotted.older else "", self.ink.warning)
        self.query_one("#plot-title", Line).set(title)
        self.query_one("#plot-footer", Line).set(self.hints())

    def action_export(self) -> None:
        """Ask for the file; its ending says which figure."""
        if self.plotted is None:
            return
        folder = expanded(self.folder) if self.folder else None
        proposed = propose(self.model, f"{self.plotted.result.analysis}-plot", "pdf", folder)
        hints = (f"The file, by its ending: {', '.join(ENDINGS)}.",)
        self.ask("Figure", hints, visible(str(proposed)), self._answered)

    def _answered(self, text: str) -> None:
        if not text.strip() or self.plotted is None:
            return
        path = expanded(text.strip())
        if path.exists():  # never over a file unasked
            self.tell(f"{path.name} exists: give another name.", "warning")
        else:
            self.run_worker(self._write(self.plotted, path))

    async def _write(self, plotted: Plotted, path: Path) -> None:
        try:
            await asyncio.to_thread(write_figure, plotted.result, plotted.position, path)
        except InterpBoardError as error:
            self.tell(str(error), "error")
        except OSError as error:
            self.tell(f"Cannot write {path}: {error.strerror or error}.", "error")
        else:
            self.tell(f"Written: {path.absolute()}")
