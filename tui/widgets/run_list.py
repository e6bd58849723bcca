"""The list of saved runs: a line each, a cursor, two that are pinned."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.segment import Segment
from textual.geometry import Region
from textual.reactive import reactive

from interpboard.display import fit, visible, visible_token
from interpboard.registry import ANALYSES
from interpboard.registry.chosen_words import chosen_words
from interpboard.reproduce import chosen_params
from tui.theme import cursor_style
from tui.widgets.cells import CursorPlace, SearchCell
from tui.widgets.cursor_view import CursorView, step

if TYPE_CHECKING:
    from interpboard.store import SavedRun

PINS = "AB"
WHOLE = 500  # columns in which no line is cut where a person would search


def line_of(run: SavedRun, width: int, pin: str) -> str:
    """``A 11-24 19:43 demo  Head ablation  logit ·Paris  The Eiffel …`` in ``width`` cells."""
    known = ANALYSES.get(run.analysis)
    when = time.strftime("%m-%d %H:%M:%S", time.localtime(run.made_at))
    model = fit(visible(run.model if len(run.model) < 13 else Path(run.model).name), 12)
    title = known.title if known else visible(run.analysis)
    chosen = chosen_words(chosen_params(run.analysis, run.params))
    partial = ["partial"] if "partial" in run.params else []  # first: it must not be cut off
    what = fit(" ".join([*partial, title, *chosen]), max(22, min(60, width // 3)))
    metric = fit(f"{run.metric} {visible_token(run.target)}", 16)
    return fit(f"{pin} {when} {model} {what} {metric} {visible(run.prompt)}", width)


def _in_full(run: SavedRun) -> str:
    """What was chosen, by the program's names too: the line has room for some of it."""
    chosen = chosen_words(chosen_params(run.analysis, run.params))
    return "  ".join((run.analysis, *map(visible, chosen), f"{run.metric} {run.target}", run.foil))


class RunList(CursorView):
    """The list; its cursor is a row."""

    cursor: reactive[int] = reactive(0, repaint=False, init=False)

    def __init__(self, moved: Callable[[], None]) -> None:
        super().__init__(moved, id="run-list")
        self.runs: Sequence[SavedRun] = ()
        self.pinned: list[int] = []

    def show(self, runs: Sequence[SavedRun]) -> None:
        """Show ``runs``, the cursor on the run it was on if that is still there."""
        ids = [run.id for run in runs]
        before = self.run.id if self.run is not None else None
        self.runs = runs
        self.set_reactive(RunList.cursor, ids.index(before) if before in ids else 0)
        self.measure()
        self.reveal()
        self.refresh()

    @property
    def run(self) -> SavedRun | None:
        """The run under the cursor."""
        return self.runs[self.cursor] if self.cursor < len(self.runs) else None

    def line_count(self, width: int) -> int:
        """One line a run."""
        return len(self.runs)

    def draw_line(self, line: int) -> list[Segment]:
        """One run."""
        row = line + self.scroll_offset.y
        if row >= len(self.runs):
            return []
        run = self.runs[row]
        pin = PINS[self.pinned.index(run.id)] if run.id in self.pinned else " "
        style = cursor_style(self.inks.dark) if row == self.cursor else self.inks.style("text")
        return [Segment(f" {line_of(run, self.room - 2, pin)} ", style)]

    def cells(self, around: CursorPlace) -> Sequence[SearchCell]:
        """The runs: what their line says, uncut."""
        return [
            SearchCell(
                at, (line_of(run, WHOLE, ""), _in_full(run), run.prompt, run.target, run.model)
            )
            for at, run in enumerate(self.runs)
        ]

    def move_cursor(self, how: str) -> None:
        """Up and down."""
        if self.runs:
            self.cursor = step(how, self.cursor, len(self.runs), max(1, self.size.height // 2))

    def point(self, x: int, y: int) -> None:
        """Click on a row."""
        if y + self.scroll_offset.y < len(self.runs):
            self.cursor = y + self.scroll_offset.y

    def watch_cursor(self, old: int, new: int) -> None:
        """Two rows change."""
        self.reveal()
        for row in (old, new):
            self.refresh(Region(0, row - self.scroll_offset.y, self.size.width, 1))
        self.moved()

    def reveal(self) -> None:
        """Scroll until the cursor's row is in sight."""
        if self.size.height:
            top = min(max(self.scroll_offset.y, self.cursor - self.size.height + 1), self.cursor)
            if top != self.scroll_offset.y:
                self.scroll_to(None, top, animate=False, force=True)
