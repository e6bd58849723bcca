"""Runs: every finished result, newest first. Reopen, pin two, compare; nothing is computed.

Below the list stands what the run under the cursor is, in a few lines: a page for each run that the cursor
passes would take the terminal more than it takes to look at one. The page is a key away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll
from textual.timer import Timer
from textual.widgets import Static

from interpboard.display import ascii_everywhere, visible
from interpboard.errors import InterpBoardError
from tui.commands.command import bindings, keyed
from tui.commands.places import RUNS
from tui.dialogs.over_panes import OverPanes
from tui.terminal import timers
from tui.widgets.line import Line
from tui.widgets.message import MessageLine
from tui.widgets.run_list import RunList, line_of

if TYPE_CHECKING:
    from interpboard.results import Document
    from interpboard.store import SavedRun, Store
    from tui.controllers.export import Export
    from tui.controllers.notify import Tell
    from tui.controllers.ports import InputsLine

ROW = 160  # of a copied row


class RunsScreen(OverPanes["SavedRun | None"]):
    """The list above, the run under the cursor below, in few lines or whole; or two that are pinned."""

    place, heading = "runs", "{key:pane_8} Runs"
    about = (
        "Every finished result, newest first. Reopening computes nothing and",
        "needs no model: {key:run} in the panes then loads it and runs.",
        "Below the list: the run under the cursor in a few lines; {key:runs_whole} is its page,",
        "and there the cursor's keys turn to the next one. Two pinned runs are shown side",
        "by side, or as B − A.",
    )
    BINDINGS = bindings(RUNS)
    DEFAULT_CSS = """
    RunsScreen { background: $background; layout: vertical; }
    RunsScreen > #runs-body { height: 1fr; layout: vertical; }
    #run-list { height: 1fr; border-bottom: solid $frame; }
    #run-view { height: 8; max-height: 45%; background: $background; padding: 0 1; scrollbar-size: 1 1;
                scrollbar-gutter: stable; }
    RunsScreen.-two #run-list { height: 10; }
    RunsScreen.-two.-tall #run-list { height: 16; }
    RunsScreen.-two #run-view { height: 1fr; max-height: 100%; }
    RunsScreen.-two.-wide > #runs-body { layout: horizontal; }
    RunsScreen.-two.-wide #run-list { width: 1fr; height: 100%; border-bottom: none;
                                      border-right: solid $frame; }
    RunsScreen.-two.-wide #run-view { width: 1fr; height: 100%; }
    RunsScreen.-whole > #runs-body #run-list { width: 0; height: 0; border: none; }
    RunsScreen.-whole > #runs-body #run-view { width: 100%; height: 1fr; max-height: 100%; }
    """

    def __init__(
        self,
        store: Store,
        export: Export,
        input_line: InputsLine,
        tell: Tell,
        compare: Callable[[SavedRun], Awaitable[None]],
    ) -> None:
        super().__init__()
        self.store, self.export, self.input_line, self.tell = store, export, input_line, tell
        self.compare = compare
        self.list = RunList(self._moved)
        self.all: list[SavedRun] = []
        self.words = ""
        self.as_difference = False
        self._documents: dict[int, Document] = {}
        self._timer: Timer | None = None
        self._reading: asyncio.Task[None] | None = None

    def compose(self) -> ComposeResult:
        """Title, list, view, footer."""
        yield Line(id="runs-title")
        with Container(id="runs-body"):
            yield self.list
            with VerticalScroll(id="run-view", can_focus=False):
                yield Static()
        yield MessageLine()
        yield Line(id="runs-footer")

    async def on_mount(self) -> None:
        """Read the list."""
        self.list.focus()
        await self.read()

    async def read(self) -> None:
        """The list as it is in the store now."""
        try:
            self.all = await asyncio.to_thread(self.store.runs)
        except InterpBoardError as problem:
            self._title(str(problem))
            return
        if self.store.notice:
            self.tell(self.store.notice, "warning")
            self.store.notice = ""
        self._narrow()

    def _narrow(self) -> None:
        words = self.words.lower().split()

        def fits(run: SavedRun) -> bool:
            text = f"{run.prompt} {run.model} {run.analysis} {run.metric} {run.target}".lower()
            return all(word in text for word in words)

        self.list.show([run for run in self.all if fits(run)])
        self._title()
        self._moved()

    def _title(self, problem: str = "") -> None:
        ink = self.ink
        text = Text.assemble((f" {self.shown_heading}", Style(color=ink.accent, bold=True)))
        if problem:
            text.append(f"  {visible(problem)}", ink.warning)
        else:
            text.append(f"  {len(self.list.runs)} of {len(self.all)}, newest first", ink.text)
            if self.words:
                text.append(f"  with “{visible(self.words)}”", ink.accent)
            if self.list.pinned:
                text.append(f"  {len(self.list.pinned)} pinned", ink.text)
        self.query_one("#runs-title", Line).set(text)
        self.query_one("#runs-footer", Line).set(self.hints())

    def _moved(self) -> None:
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(timers.REST_S, self._view)

    def on_resize(self) -> None:
        """The view is written for its width."""
        self._moved()

    # -- the view ---------------------------------------------------------------------------------

    def shown(self) -> list[int]:
        """What the view shows: the two that are pinned, or the run under the cursor."""
        if len(self.list.pinned) == 2:
            return self.list.pinned
        return [self.list.run.id] if self.list.run is not None else []

    def _view(self) -> None:
        self._timer = None
        self._reading = asyncio.create_task(self._show(list(self.shown())))

    async def _show(self, ids: list[int]) -> None:
        try:
            text = self._text(await self._read(ids))
        except InterpBoardError as problem:
            text = Text(str(problem), self.ink.warning)
        if self._there and ids == list(self.shown()):
            self.query_one("#run-view", VerticalScroll).scroll_home(animate=False)
            self.query_one(Static).update(text)
            self.call_after_refresh(self._fit, self._width())

    async def _read(self, ids: Sequence[int]) -> list[Document]:
        """Those runs, each read once. Raises ``StoreProblem``."""
        for id in ids:
            if id not in self._documents:
                self._documents[id] = await asyncio.to_thread(self.store.document, id)
        return [self._documents[id] for id in ids]

    def _fit(self, written_for: int) -> None:
        """What was written before the screen was laid out is written again for its width."""
        if self._there and self._width() != written_for:
            self._moved()

    @property
    def _there(self) -> bool:
        """Has it anything to show on? A screen that is left has not, while it still is attached."""
        return self.is_attached and bool(self.query("#run-view"))

    def _width(self) -> int:
        region = self.query_one("#run-view").scrollable_content_region
        return max(24, region.width - 2)

    def _text(self, documents: list[Document]) -> Text:
        from interpboard.visualization.blocks import PageStyle
        from tui.dialogs.compare_runs import difference_page, document_page, two_columns
        from tui.dialogs.run_card import run_card

        if not documents:
            return Text("Nothing has been saved yet: results come here as they finish.")
        page = PageStyle(self._width(), self.ink.dark, ascii_everywhere.get())
        if len(documents) == 1:
            one = document_page if self.has_class("-whole") else run_card
            return one(documents[0], page)
        pages = difference_page if self.as_difference else two_columns
        return pages(documents[0], documents[1], page)

    @property
    def searched(self) -> RunList:
        """The list."""
        return self.list

    async def settled(self) -> None:
        """Wait until the view shows the cursor's run."""
        while self._timer is not None or (self._reading is not None and not self._reading.done()):
            await asyncio.sleep(timers.REST_S / 4)

    # -- what keys do -----------------------------------------------------------------------------

    def action_reopen(self) -> None:
        """Into the panes."""
        if self.list.run is not None:
            self.dismiss(self.list.run)

    async def action_compare(self) -> None:
        """The panes against the run under the cursor."""
        run = self.list.run
        if run is not None:
            self.dismiss(None)
            await self.compare(run)

    def action_pin(self) -> None:
        """Pin or unpin; a third takes the place of the first."""
        run, pinned = self.list.run, self.list.pinned
        if run is None:
            return
        if run.id in pinned:
            pinned.remove(run.id)
        else:
            pinned[:] = [*pinned[-1:], run.id]
        self.list.refresh()
        self.set_class(len(pinned) == 2, "-two")
        self._title()
        self._moved()

    def action_difference(self) -> None:
        """Side by side, or B − A."""
        if len(self.list.pinned) < 2:
            self.tell(keyed("Pin two runs with {key:runs_pin} first."))
            return
        self.as_difference = not self.as_difference
        self._moved()

    def action_whole(self) -> None:
        """The view alone, and back."""
        super().action_whole()
        self._moved()

    def action_scroll_view(self, by: int) -> None:
        """Scroll the view."""
        self.query_one("#run-view", VerticalScroll).scroll_relative(y=by, animate=False)

    def action_search(self) -> None:
        """Narrow the list by words."""

        def answered(words: str) -> None:
            self.words = words.strip()
            self._narrow()

        hints = ("Words of the prompt, the model, the analysis or the target.", "Empty: all runs.")
        self.input_line("Search the runs", hints, self.words, answered)

    async def action_yank(self) -> None:
        """Copy the row under the cursor."""
        if self.list.run is not None:
            await self.export.copy(line_of(self.list.run, ROW, "").strip())

    async def action_yank_view(self) -> None:
        """Copy what the view shows as markdown."""
        from tui.files import export as exporting

        try:
            documents = await self._read(self.shown())
        except InterpBoardError as problem:
            self.tell(str(problem), "error")
            return
        pages = [exporting.render_document(document, "md") for document in documents]
        await self.export.copy("\n".join(pages))

    async def action_code(self) -> None:
        """Copy the lines that make the run under the cursor again."""
        from tui.session.code import code_of_run

        document = await self._under_cursor()
        if document is not None and self.list.run is not None:
            await self.export.copy(code_of_run(document, self.list.run))

    async def action_export(self) -> None:
        """Ask how and where, then write the run under the cursor."""
        document = await self._under_cursor()
        if document is not None:
            self.export.export_document(document, document.results[0].analysis)

    async def _under_cursor(self) -> Document | None:
        if self.list.run is None:
            return None
        try:
            return await asyncio.to_thread(self.store.document, self.list.run.id)
        except InterpBoardError as problem:
            self.tell(str(problem), "error")
            return None
