"""A dataset or a sweep as a table over the panes: a row a line, sorted by any column, Enter opens a row."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult

from interpboard.display import visible
from tui import words
from tui.commands.command import bindings
from tui.commands.places import DATASET
from tui.dialogs.box import Live
from tui.dialogs.over_panes import OverPanes
from tui.session.state import State
from tui.widgets.line import OPTIONAL, GrowingLine, Line
from tui.widgets.message import MessageLine
from tui.widgets.row_table import RowTable, row_columns, row_sentence

if TYPE_CHECKING:
    from interpboard.sweeps.listed_rows import ListedRow, RowList
    from tui.controllers.datasets import Datasets


class DatasetScreen(Live, OverPanes[None]):
    """``host`` has the rows; ``open_row`` puts one into the panes, ``copy`` takes a text away."""

    place, heading = "dataset", "Dataset"
    about = (
        "A row of the dataset a line. Of a sweep: what the model answers there, the",
        "metric on the clean run, and whether the answer is the target that the row",
        "names. A row that cannot be used, or that every analysis failed at, says why.",
        "{key:dataset_filter} takes an expression: columns, = != < > <= >=, and, or, not, brackets;",
        "the same rows are those of the means that {key:dataset_means} puts into the panes.",
    )
    BINDINGS = bindings(DATASET)
    DEFAULT_CSS = """
    DatasetScreen { background: $background; layout: vertical; }
    """

    def __init__(
        self,
        host: Datasets,
        open_row: Callable[[ListedRow], None],
        copy: Callable[[str], object],
    ) -> None:
        super().__init__()
        self.host, self.open_row, self.copy = host, open_row, copy
        self.table = RowTable(self._moved, id="dataset-rows")
        self._shown: tuple[object, ...] = ()

    @property
    def searched(self) -> RowTable:
        """The rows."""
        return self.table

    def compose(self) -> ComposeResult:
        """Title, rows, the row under the cursor in full, footer."""
        yield Line(id="dataset-title")
        yield self.table
        yield GrowingLine(id="dataset-readout")
        yield MessageLine()
        yield Line(id="dataset-footer")

    def on_mount(self) -> None:
        """What there is."""
        self.table.focus()
        self._draw()

    def on_resize(self) -> None:
        """Another width."""
        if self.composed:
            self._draw()

    def show(self, state: State) -> None:
        """Show what is new."""
        if self.composed:
            self._draw()

    def _draw(self) -> None:
        found = self.host.list
        shown = (self.host.shown, self.host.sorted_by, found)
        if found is not None and shown != self._shown:
            self._shown = shown
            columns = row_columns(self._columns(found), found.of_file)
            self.table.show(self.host.shown, columns, self.host.sorted_by)
            self.call_after_refresh(self._seen)
        self.table.know(self.host.answers.known)
        self.query_one("#dataset-title", Line).set(self._title())
        without = "" if self.host.sweep_words else "dataset_stop"
        self.query_one("#dataset-footer", Line).set(self.hints(without))
        self._readout()

    def _columns(self, found: RowList) -> tuple[str, ...]:
        """Of a dataset that is not swept with those in which answers come."""
        if found.manifest is not None:
            return found.columns
        right = ("right",) if "target" in found.columns else ()
        return (*found.columns, "answer", "probability", "metric", *right)

    def _seen(self) -> None:
        """Which rows are in sight is known once they are laid out."""
        if self.is_attached:
            self.host.see(self.table.near)

    def on_unmount(self) -> None:
        """Nobody looks at the rows any more."""
        self.host.see(())

    def _moved(self) -> None:
        self._readout()
        self.host.see(self.table.near)

    def _title(self) -> Text:
        """What is open, how many rows there are, how many are shown, and how far its sweep is."""
        host, ink, found = self.host, self.ink, self.host.list
        if found is None:
            what = f"reading {visible(str(host.reading))} …" if host.reading else "nothing is open"
            return Text.assemble(
                (f" {self.shown_heading}", Style(color=ink.accent, bold=True)),
                (f"  {what}", ink.text),
            )
        heading = "Sweep" if found.manifest is not None else self.shown_heading
        title = Text.assemble((f" {heading}", Style(color=ink.accent, bold=True)))
        title.append(f"  {visible(found.path.name or str(found.path))}", ink.text)
        done, *further = host.sweep_words.split(", ")
        runs = OPTIONAL if done else Style()  # how far it is stays where there is no room for all
        title.append(f"  {done}" if done else "", ink.accent)
        for part in further:
            title.append(f", {part}", Style(color=ink.accent) + runs)
        rows, out = len(found.rows), sum(bool(row.problem) for row in found.rows)
        first = "first " if found.cut else ""
        title.append(f"  {first}{rows:,} rows", Style(color=ink.text) + runs)
        if out:
            title.append(f", {out:,} cannot be used", Style(color=ink.warning) + runs)
        if host.where:
            title.append(f"  {len(host.shown):,} fit {visible(host.where)}", ink.accent)
        if found.manifest is not None:
            names = ", ".join(map(words.analysis_title, found.manifest.request.analyses))
            title.append(f"  {names}", Style(color=ink.muted) + runs)
        return title

    def _readout(self) -> None:
        row, ink = self.table.row, self.ink
        text = Text()
        if row is not None:
            text.append(f" {row.number + 1:,} ", ink.muted)
            text.append(row_sentence(row), ink.warning if row.problem else ink.text)
        line = self.query_one("#dataset-readout", GrowingLine)
        line.set(text)
        line.grow(room=self.size.height > 12)

    # -- what keys do -----------------------------------------------------------------------------

    def action_take(self) -> None:
        """The row under the cursor into the panes."""
        if self.table.row is not None:
            self.open_row(self.table.row)

    def action_sort(self) -> None:
        """By the column under the cursor."""
        column = self.table.column
        self.host.sort("row" if column.name == "text" else column.name, of_file=column.files)

    async def action_yank(self) -> None:
        """Copy the row in words."""
        if self.table.row is not None:
            done = self.copy(row_sentence(self.table.row))
            if hasattr(done, "__await__"):
                await done
