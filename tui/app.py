"""The app: the screen's frame, the commands, and the session behind them.

The first paint needs Textual only. The engine's client, numpy and everything about values are
imported after it; torch never is: it lives in the engine's process.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import Any

from rich.text import Text
from textual import events
from textual.app import App, ComposeResult
from textual.containers import Container
from textual.timer import Timer

from interpboard.config import Settings
from tui import keys, look, theme
from tui.actions import Actions
from tui.history import History
from tui.panes.base import Pane
from tui.panes.heads import HeadsPane
from tui.panes.lens import LensPane
from tui.panes.next import NextPane
from tui.panes.tokens import TokensPane
from tui.saving import Saver
from tui.screens.board import Board
from tui.session import EngineFactory, Session, engine_process
from tui.state import DEFAULT_TEXT, Ask, State
from tui.widgets import lines
from tui.widgets.line import Line
from tui.widgets.prompt import Prompt

PANES: tuple[type[Pane], ...] = (TokensPane, HeadsPane, LensPane, NextPane)
ON_SCREEN = (TokensPane, NextPane, HeadsPane, LensPane)  # in the order of the grid
ONE_PANE = ("-narrow", "-low", "-zoomed")  # classes of the screen
REST_S = 0.06  # a cursor at rest: then what depends on it is drawn, not at every key of a run
RUNS = (8, "Runs", "runs")  # a screen of its own: there is a list to search and two to compare
TOO_SMALL = "InterpBoard needs 80 columns and 24 rows."


class InterpBoardApp(Actions, History, App[int]):
    """Four panes on one prompt. ``engine_factory`` lets tests put something else behind it."""

    TITLE = "InterpBoard"
    CSS_PATH = "interpboard.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS = keys.bindings("app")
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (80, "-narrow"), (110, "-medium"), (180, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (24, "-low"), (34, "-tall")]  # noqa: RUF012
    NOTIFICATION_TIMEOUT = 8.0

    def __init__(
        self,
        text: str | None = None,
        settings: Settings = Settings(),  # noqa: B008 - frozen
        dark: bool = True,
        resume: bool = False,
        engine_factory: EngineFactory = engine_process,
    ) -> None:
        super().__init__()
        self.animation_level = "none"
        self.settings = settings
        self.set_keymap(keys.use(settings.keys))
        look.adapt(self, ascii_only=settings.ascii)
        self._wanted = (settings.model, settings.device, settings.dtype)
        ask = Ask(DEFAULT_TEXT if text is None else text, settings.metric)
        self.saver = Saver(settings.keep_runs, self._tell)
        self._resume = resume
        self.session = Session(
            State(ask=ask), self._changed, self._tell, engine_factory, self.saver.finished
        )
        self.active = TokensPane.slot
        self._following: Timer | None = None
        for own in theme.THEMES:
            self.register_theme(own)
        self.theme = "interpboard-dark" if dark else "interpboard-light"

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """The style sheet's own names, also before a theme is chosen."""
        return theme.variables()

    def get_default_screen(self) -> Board:
        """The screen of the panes, with the layout of its size from the first paint on."""
        tables = zip(
            (self.HORIZONTAL_BREAKPOINTS, self.VERTICAL_BREAKPOINTS), self.size, strict=True
        )
        names = [[name for start, name in table if start <= size][-1] for table, size in tables]
        return Board(id="board", classes=" ".join(names))

    def compose(self) -> ComposeResult:
        """Status, prompt, tabs, panes, footer."""
        yield Line(id="status")
        yield Prompt(self.session.state.ask.text)
        yield Line(id="tabs")
        with Container(id="panes"):
            for kind in ON_SCREEN:
                yield kind(self._select)
        yield Line(Text(TOO_SMALL), id="small")
        yield Line(id="footer")

    # -- life -------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        """Empty frames first; the engine after they are painted."""
        self._activate(self.active)
        self.pane(self.active).view.focus()
        for pane in self.query(Pane):
            pane.show(self.session.state)
        self._show_lines()
        self._restore_on(signal.SIGTERM, signal.SIGHUP)
        self.call_after_refresh(self._boot)

    async def _boot(self) -> None:
        model, device, dtype = self._wanted
        resumed = self._resume and await self.resume()
        if resumed and self.state.model is not None:
            model = self.state.model.info.name
        await self.session.boot(model, device, dtype, run=not resumed)

    async def on_unmount(self) -> None:
        """The engine ends with the app."""
        await self.session.close()
        await self.saver.close()

    async def settled(self) -> None:
        """Wait until the engine is idle and everything it said is on the screen."""
        await self.session.settled()
        await self.saver.settled()
        while self._following is not None:
            await asyncio.sleep(REST_S / 4)
        painted = asyncio.Event()
        self.call_after_refresh(painted.set)
        await painted.wait()

    def _restore_on(self, *signals: signal.Signals) -> None:
        # A dropped SSH link is a SIGHUP: leave the way q does, so that the terminal is as it was.
        loop = asyncio.get_running_loop()
        for number in signals:
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(number, self.exit, 128 + number)

    # -- state to screen --------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """The current snapshot."""
        return self.session.state

    def pane(self, slot: str) -> Pane:
        """The pane that shows ``slot``."""
        return self.screen_stack[0].query_one(f"#{slot}", Pane)

    @property
    def prompt(self) -> Prompt:
        """The prompt's field."""
        return self.screen_stack[0].query_one(Prompt)

    def go(self, slot: str) -> None:
        """Bring a pane to the front and focus it."""
        pane = self.pane(slot)
        self._sync_cursor(pane)
        self.screen_stack[0].set_focus(pane.view)  # at once: all of it in one paint
        self._activate(slot)

    def repaint_words(self) -> None:
        """Everything again, in the colours of now."""
        self.arrange()
        for pane in self.screen_stack[0].query(Pane):
            pane.refresh_words()
            pane.view.refresh()
        self._show_lines()

    def _changed(self, names: set[str]) -> None:
        if not self.is_running:
            return
        state = self.state
        with self.batch_update():
            for pane in self.screen_stack[0].query(Pane):
                if pane.slot in names or ("engine" in names and pane.data.result is None):
                    pane.show(state)
                else:
                    pane.state = state
            if "lens" in names:
                self._follow_lens()
            self._show_lines()

    def _show_lines(self) -> None:
        base = self.screen_stack[0]
        ink, state = theme.inks(self.current_theme.dark), self.state
        edited = base.query_one(Prompt).text != state.ask.text
        base.query_one("#status", Line).set(lines.status(state, ink, self.size.width, edited))
        names = [*((kind.number, kind.title, kind.slot) for kind in PANES), RUNS]
        base.query_one("#tabs", Line).set(lines.tabs(names, self.active, state, ink))
        base.query_one("#footer", Line).set(lines.footer(self._focus_name(), state, ink))

    def _focus_name(self) -> str:
        focused = self.screen_stack[0].focused
        return "prompt" if focused is not None and focused.id == "prompt-input" else self.active

    def _tell(self, message: str, severity: Any) -> None:
        from interpboard.display import visible

        self.notify(visible(message), severity=severity, markup=False)

    # -- focus and selection ----------------------------------------------------------------------

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """The pane with the focus is the active one."""
        panes = [widget for widget in event.widget.ancestors if isinstance(widget, Pane)]
        self._activate(panes[0].slot if panes else self.active)
        self._show_lines()

    def arrange(self) -> None:
        """One pane or all, after a resize or a zoom."""
        self._activate(self.active)

    def _activate(self, slot: str) -> None:
        """Make a pane the active one, in sight and framed as such; no style sheet is consulted."""
        self.active = slot
        base = self.screen_stack[0]
        one = any(base.has_class(name) for name in ONE_PANE)
        in_panes = self._focus_name() != "prompt"
        for pane in base.query(Pane):
            here = pane.slot == slot
            pane.display = here or not one
            pane.frame(here and in_panes)
        self._follow_lens()

    def _sync_cursor(self, pane: Pane) -> None:
        """One position of the prompt is selected; panes meet it when they get the focus."""
        token = self.state.selection.token
        if token is None or pane.data.result is None:
            return
        if isinstance(pane, TokensPane) and token < len(pane.strip.texts):
            pane.strip.cursor = token
        elif isinstance(pane, LensPane) and pane.grid.data and token < len(pane.grid.data.columns):
            pane.grid.cursor = (pane.grid.cursor[0], token)

    def _select(self, **places: int | None) -> None:
        self.session.select(**places)
        if self.active == LensPane.slot:
            if self._following is not None:
                self._following.stop()
            self._following = self.set_timer(REST_S, self._follow_lens)

    def _follow_lens(self) -> None:
        """Next shows the cell of the lens while the lens has the focus, once its cursor rests."""
        self._following = None
        base = self.screen_stack[0]
        lens, after = base.query_one(LensPane), base.query_one(NextPane)
        lens.follow()
        after.show_lens(lens.cell() if self.active == LensPane.slot else None)

    def on_resize(self) -> None:
        """The status line says what fits."""
        if self.is_running and self.screen_stack:
            self.call_after_refresh(self._resized)

    def _resized(self) -> None:
        self.arrange()
        self._show_lines()

    def on_prompt_edited(self) -> None:
        """The status line says whether the prompt still is what was run."""
        self._show_lines()

    def on_prompt_submitted(self) -> None:
        """Enter in the prompt: run, and back to the panes."""
        self.action_run()
        self.action_leave_prompt()


def run(
    settings: Settings, text: str | None = None, dark: bool = True, resume: bool = False
) -> int:
    """Run the app; the exit code."""
    app = InterpBoardApp(text, settings, dark, resume)
    code = app.run(mouse=settings.mouse)
    return code if code is not None else app.return_code or 0
