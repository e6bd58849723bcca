"""Runs: every finished result, newest first. Reopen, pin two, compare; nothing is computed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll
from textual.geometry import Region
from textual.reactive import reactive
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import Static

from interpboard.analyses import ANALYSES
from interpboard.display import ascii_everywhere, fit, visible, visible_token
from interpboard.errors import InterpBoardError
from interpboard.reproduce import chosen_params
from tui import keys
from tui.theme import Inks, cursor_style, inks
from tui.widgets.cursor_view import CursorView, step
from tui.widgets.line import Line

if TYPE_CHECKING:
    from interpboard.results import Document
    from interpboard.store import Run, Store

REST_S = 0.06
PINS = "AB"
_ON_THE_WAY = ("preview",)  # what was shown before the result, not what it is


def line_of(run: Run, width: int, pin: str) -> str:
    """``A 11-24 19:43 demo  Head ablation  logit ·Paris  The Eiffel …`` in ``width`` cells."""
    known = ANALYSES.get(run.analysis)
    when = time.strftime("%m-%d %H:%M:%S", time.localtime(run.made_at))
    model = fit(visible(run.model if len(run.model) < 13 else Path(run.model).name), 12)
    title = known.title if known else visible(run.analysis)
    chosen = [
        visible(str(value))
        for name, value in chosen_params(run.analysis, run.params).items()
        if name not in _ON_THE_WAY
    ]
    what = fit(" ".join([title, *chosen]), 22)
    metric = fit(f"{run.metric} {visible_token(run.target)}", 16)
    return fit(f"{pin} {when} {model} {what} {metric} {visible(run.prompt)}", width)


class RunList(CursorView):
    """The list; its cursor is a row."""

    cursor: reactive[int] = reactive(0, repaint=False, init=False)

    def __init__(self, moved: Callable[[], None]) -> None:
        super().__init__(moved, id="run-list")
        self.runs: Sequence[Run] = ()
        self.pinned: list[int] = []

    def show(self, runs: Sequence[Run]) -> None:
        """Show ``runs``, the cursor on the run it was on if that is still there."""
        ids = [run.id for run in runs]
        before = self.run.id if self.run is not None else None
        self.runs = runs
        self.set_reactive(RunList.cursor, ids.index(before) if before in ids else 0)
        self.measure()
        self.reveal()
        self.refresh()

    @property
    def run(self) -> Run | None:
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
        return [Segment(f" {line_of(run, self.size.width - 2, pin)} ", style)]

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


class RunsScreen(ModalScreen["Run | None"]):
    """The list above, the run under the cursor below; side by side where it is wide."""

    BINDINGS = keys.bindings("runs")
    DEFAULT_CSS = """
    RunsScreen { background: $background; layout: vertical; }
    RunsScreen > #runs-body { height: 1fr; layout: vertical; }
    RunsScreen.-wide > #runs-body { layout: horizontal; }
    #run-list { height: 10; border-bottom: solid $frame; }
    RunsScreen.-tall #run-list { height: 16; }
    #run-view { height: 1fr; background: $background; padding: 0 1; scrollbar-size: 1 1; }
    RunsScreen.-wide #run-list { width: 1fr; height: 100%; border-bottom: none; border-right: solid $frame; }
    RunsScreen.-wide #run-view { width: 1fr; height: 100%; }
    RunsScreen.-whole #run-list { display: none; }
    RunsScreen.-whole #run-view { width: 100%; }
    """

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store
        self.list = RunList(self._moved)
        self.all: list[Run] = []
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
            self.notify(visible(self.store.notice), severity="warning", markup=False)
            self.store.notice = ""
        self._narrow()

    def _narrow(self) -> None:
        words = self.words.lower().split()

        def fits(run: Run) -> bool:
            text = f"{run.prompt} {run.model} {run.analysis} {run.metric} {run.target}".lower()
            return all(word in text for word in words)

        self.list.show([run for run in self.all if fits(run)])
        self._title()
        self._moved()

    def _title(self, problem: str = "") -> None:
        ink = self.ink
        text = Text.assemble((" 8 Runs", Style(color=ink.accent, bold=True)))
        if problem:
            text.append(f"  {visible(problem)}", ink.warning)
        else:
            text.append(f"  {len(self.list.runs)} of {len(self.all)}, newest first", ink.text)
            if self.words:
                text.append(f"  with “{visible(self.words)}”", ink.accent)
            if self.list.pinned:
                text.append(f"  {len(self.list.pinned)} pinned", ink.text)
        self.query_one("#runs-title", Line).set(text)
        footer = Text()
        for command in keys.commands("runs"):
            if command.label:
                footer.append(f" {command.shown.split(' ')[0]}", Style(color=ink.accent, bold=True))
                footer.append(f" {command.label} ", ink.muted)
        self.query_one("#runs-footer", Line).set(footer)

    @property
    def ink(self) -> Inks:
        """The colours in use."""
        return inks(self.app.current_theme.dark)

    def _moved(self) -> None:
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(REST_S, self._view)

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
            for id in ids:
                if id not in self._documents:
                    self._documents[id] = await asyncio.to_thread(self.store.document, id)
            text = self._text([self._documents[id] for id in ids])
        except InterpBoardError as problem:
            text = Text(str(problem), self.ink.warning)
        if self.is_attached and ids == list(self.shown()):
            self.query_one("#run-view", VerticalScroll).scroll_home(animate=False)
            self.query_one(Static).update(text)

    def _text(self, documents: list[Document]) -> Text:
        from interpboard.visualization.blocks import Look
        from tui.comparing import difference_page, page, side_by_side

        if not documents:
            return Text("Nothing has been saved yet: results come here as they finish.")
        width = max(24, self.query_one("#run-view").scrollable_content_region.width - 2)
        look = Look(width, self.ink.dark, ascii_everywhere.get())
        if len(documents) == 1:
            return page(documents[0], look)
        pages = difference_page if self.as_difference else side_by_side
        return pages(documents[0], documents[1], look)

    async def settled(self) -> None:
        """Wait until the view shows the cursor's run."""
        while self._timer is not None or (self._reading is not None and not self._reading.done()):
            await asyncio.sleep(REST_S / 4)

    # -- what keys do -----------------------------------------------------------------------------

    def action_reopen(self) -> None:
        """Into the panes."""
        if self.list.run is not None:
            self.dismiss(self.list.run)

    def action_leave(self) -> None:
        """Back to the panes; out of the whole view first."""
        if self.has_class("-whole"):
            self.action_whole()
        else:
            self.dismiss(None)

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
        self._title()
        self._moved()

    def action_difference(self) -> None:
        """Side by side, or A − B."""
        if len(self.list.pinned) < 2:
            self.notify("Pin two runs with space first.", markup=False)
            return
        self.as_difference = not self.as_difference
        self._moved()

    def action_whole(self) -> None:
        """The view alone, and back."""
        self.toggle_class("-whole")
        self._moved()

    def action_scroll_view(self, by: int) -> None:
        """Scroll the view."""
        self.query_one("#run-view", VerticalScroll).scroll_relative(y=by, animate=False)

    def action_search(self) -> None:
        """Narrow the list by words."""
        from tui.screens.ask import AskScreen, Question

        def answered(words: str | None) -> None:
            if words is not None:
                self.words = words.strip()
                self._narrow()

        hints = ("Words of the prompt, the model, the analysis or the target.", "Empty: all runs.")
        self.app.push_screen(AskScreen(Question("Search the runs", hints, self.words)), answered)

    def action_help(self) -> None:
        """The keys of this screen."""
        from tui.screens.help import HelpScreen

        self.app.push_screen(HelpScreen("runs", "8 Runs"))

    async def action_yank_view(self) -> None:
        """Copy what the view shows as markdown."""
        from tui import exporting

        documents = [self._documents[id] for id in self.shown() if id in self._documents]
        pages = [exporting.render(document, "md") for document in documents]
        await self.app.copy_text("\n".join(pages))  # type: ignore[attr-defined]
