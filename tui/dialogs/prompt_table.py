"""The file of prompts as a table over the panes: a row a prompt, sorted by any column, Enter opens a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult

from interpboard.display import fit, visible, visible_token
from interpboard.results.prompt_rows import COLUMNS, PromptRow, sorted_rows
from interpboard.visualization.colors import Scale
from tui import words
from tui.commands.command import bindings
from tui.commands.places import PROMPT_TABLE
from tui.dialogs.box import Live
from tui.dialogs.over_panes import OverPanes
from tui.session.state import State
from tui.widgets.grid_data import GridData
from tui.widgets.heat_grid import HeatGrid
from tui.widgets.line import GrowingLine, Line
from tui.widgets.message import MessageLine

if TYPE_CHECKING:
    from collections.abc import Callable

    from tui.controllers.prompt_table import PromptTableRows

TITLES = {
    "answer": "answer", "probability": "p", "metric": "metric", "settled": "settled",
    "head": "head", "right": "right",
}  # fmt: skip
NARROWEST = 16  # of the prompts in front


class PromptTableScreen(Live, OverPanes[None]):
    """``host`` computes the rows; ``copy`` takes a text away."""

    place, heading = "prompt_table", "{key:prompt_file} Prompts"
    about = (
        "The open file, a row a prompt: the likeliest token, its probability, the",
        "metric, the layer from which the lens' top token stays the answer, the",
        "strongest head (~ an estimate until it is exact), and whether the answer",
        "is the line's target. Rows in sight come first; {key:table_cancel} stops,"
        " {key:table_resume} goes on.",
    )
    BINDINGS = bindings(PROMPT_TABLE)
    DEFAULT_CSS = """
    PromptTableScreen { background: $background; layout: vertical; }
    #table-body { height: 1fr; }
    """

    def __init__(self, host: PromptTableRows, copy: Callable[[str], object]) -> None:
        super().__init__()
        self.host, self.copy = host, copy
        self.grid = HeatGrid(self._moved, id="table-grid")
        self.by, self.down = "number", False
        self._shown: tuple[object, ...] = ()
        self._order: list[PromptRow] = []

    @property
    def searched(self) -> HeatGrid:
        """The rows."""
        return self.grid

    def compose(self) -> ComposeResult:
        """Title, rows, the row under the cursor in full, footer."""
        from textual.containers import Vertical

        yield Line(id="table-title")
        with Vertical(id="table-body"):
            yield self.grid
        yield GrowingLine(id="table-readout")
        yield MessageLine()
        yield Line(id="table-footer")

    def on_mount(self) -> None:
        """The rows are asked for."""
        self.grid.focus()
        self.host.see(range(0))
        self._draw()
        self._moved()

    def on_unmount(self) -> None:
        """What is missing is computed when the panes rest."""
        self.host.see(None)

    def on_resize(self) -> None:
        """The prompts have another width."""
        self._shown = ()
        self._draw()

    def show(self, state: State) -> None:
        """Show what is new."""
        if self.composed:
            self._draw()

    def _draw(self) -> None:
        shown = (tuple(self.host.rows), self.by, self.down)
        if shown != self._shown:
            under = self.row
            self._shown = shown
            self._order = sorted_rows(self.host.rows, self.by, down=self.down)
            numbers = [row.number for row in self._order]
            at = numbers.index(under.number) if under and under.number in numbers else 0
            self.grid.show(self._data() if self._order else None, (at, self.grid.cursor[1]))
        ink = self.ink
        title = Text.assemble((f" {self.shown_heading}", Style(color=ink.accent, bold=True)))
        title.append(f"  {self.host.counts}", ink.text)
        if self.by != "number":
            title.append(
                f"  by {TITLES.get(self.by, self.by)}{' ↓' if self.down else ' ↑'}", ink.accent
            )
        self.query_one("#table-title", Line).set(title)
        self.query_one("#table-footer", Line).set(self.hints())
        self._readout()

    def _data(self) -> GridData:
        width = max(NARROWEST, (self.size.width or self.app.size.width) - 12 * len(COLUMNS) - 8)
        texts = [[_cell(row, column) for column in COLUMNS] for row in self._order]
        digits = len(str(len(self._order)))
        return GridData(
            rows=tuple(
                f"{row.number:>{digits}} {fit(visible(row.prompt), width - digits - 1)}"
                for row in self._order
            ),
            columns=tuple(TITLES.values()),
            values=np.full((len(texts), len(COLUMNS)), np.nan),
            scale=Scale(1.0),
            words=np.array(texts, dtype=object),
            row_names=tuple(map(_names, self._order)),
            names={
                (at, COLUMNS.index("head")): (_written(row.head),)
                for at, row in enumerate(self._order)
                if row.head is not None
            },
        )

    @property
    def row(self) -> PromptRow | None:
        """The row under the cursor."""
        at = self.grid.cursor[0]
        return self._order[at] if at < len(self._order) else None

    def _readout(self) -> None:
        row, ink = self.row, self.ink
        text = Text()
        if row is not None:
            text.append(f" {row.number} ", ink.muted)
            text.append(_sentence(row), ink.warning if row.problem else ink.text)
        line = self.query_one("#table-readout", GrowingLine)
        line.set(text)
        line.grow(room=self.size.height > len(self._order) + 6)

    def _moved(self) -> None:
        top, height = self.grid.scroll_offset.y, max(1, self.grid.size.height)
        near = self._order[top : top + height]
        self.host.see(range(0) if not near else _span(near))
        self._readout()

    # -- what keys do -----------------------------------------------------------------------------

    def action_take(self) -> None:
        """The prompt into the panes, explained by its target."""
        row = self.row
        if row is not None and self.host.can_open(row):
            self.dismiss(None)
            self.host.run_row(row)

    def action_sort(self) -> None:
        """By the column under the cursor, then the other way, then as in the file."""
        column = COLUMNS[min(self.grid.cursor[1], len(COLUMNS) - 1)]
        if self.by != column:
            self.by, self.down = column, False
        elif not self.down:
            self.down = True
        else:
            self.by, self.down = "number", False
        self._draw()

    def action_cancel(self) -> None:
        """Stop."""
        self.host.cancel()
        self._draw()

    def action_resume(self) -> None:
        """Go on."""
        self.host.resume()
        self._draw()

    async def action_yank(self) -> None:
        """Copy the row in words."""
        if self.row is not None:
            done = self.copy(_sentence(self.row))
            if hasattr(done, "__await__"):
                await done

    def action_export(self) -> None:
        """Write the table to a file."""
        self.host.export()


def _span(rows: list[PromptRow]) -> range:
    numbers = [row.number - 1 for row in rows]
    return range(min(numbers), max(numbers) + 1)


def _cell(row: PromptRow, column: str) -> str:
    """A cell in a few letters; ``·`` where there is no value."""
    if row.problem and column == "answer" and row.answer is None:
        return f"! {row.problem}"
    value = getattr(row, column)
    if value is None:
        return "·"
    if column == "answer":
        return visible_token(value)
    if column == "probability":
        return words.percent(value)
    if column == "metric":
        return words.unsigned(value)
    if column == "head":
        return value if row.head_exact else f"~{value}"
    if column == "right":
        return "yes" if value else "no"
    return visible(value)


def _written(head: str) -> str:
    """``3.7`` for ``L3 H7``."""
    return head.removeprefix("L").replace(" H", ".")


def _names(row: PromptRow) -> str:
    """All that is known of a row, by which a search finds it: its label is cut, and so are its cells."""
    target = "" if row.target is None else f"  {visible_token(row.target)}"
    return f"{visible(row.prompt)}{target}  {_sentence(row)}"


def _sentence(row: PromptRow) -> str:
    """The row in full: why it cannot be used, or each value with what it is."""
    if row.problem:
        return row.problem
    parts = [visible(row.prompt)]
    if row.answer is not None and row.probability is not None:
        parts.append(f"→ {visible_token(row.answer)} {words.percent(row.probability)}")
    if row.metric is not None:
        parts.append(f"{row.metric_name} {words.unsigned(row.metric)}")
    if row.settled is not None:
        parts.append(f"settled from {row.settled}")
    if row.head is not None and row.head_effect is not None:
        kind = "exact" if row.head_exact else "estimated"
        parts.append(f"{row.head} {words.signed(row.head_effect)} {kind}")
    if row.right is not None:
        parts.append("right" if row.right else f"not {visible_token(row.target or '')}")
    return "  ".join(parts)
