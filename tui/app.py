"""The app: the screen's frame, the commands, and the session behind them.

The first paint needs Textual only. The engine's client, numpy and everything about values are
imported after it; torch never is: it lives in the engine's process.
"""

from __future__ import annotations

import gc
import signal
from typing import TYPE_CHECKING, Any

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import Container
from textual.timer import Timer

from interpboard.config import Settings
from tui import theme
from tui.commands import table as keys
from tui.controllers.actions import Actions
from tui.controllers.jobs import Jobs
from tui.controllers.lens import Lensing
from tui.controllers.prompts import Prompting
from tui.controllers.saved_runs import History
from tui.controllers.saver import Saver
from tui.dialogs.box import Live
from tui.session.session import EngineFactory, Session, engine_process
from tui.session.state import JOBS, SCREENS, Ask, State
from tui.slots import layout
from tui.slots.attention.view import AttentionPane
from tui.slots.heads.view import HeadsPane
from tui.slots.lens.view import LensPane
from tui.slots.logits.view import LogitsPane
from tui.slots.neurons.view import NeuronsPane
from tui.slots.pane import Pane
from tui.slots.questions import AFTERWARDS, FOLLOWING
from tui.slots.tokens.view import TokensPane
from tui.slots.trace.view import TracePane
from tui.terminal.app import TerminalApp
from tui.terminal.board import Board
from tui.widgets import lines
from tui.widgets.line import Line
from tui.widgets.prompt import Prompt

if TYPE_CHECKING:
    from tui.files.prompt_file import PromptFile

PANES: tuple[type[Pane], ...] = (
    TokensPane, HeadsPane, LensPane, TracePane, AttentionPane, LogitsPane, NeuronsPane,
)  # fmt: skip
REST_S = 0.06  # a cursor at rest: then what depends on it is drawn, not at every key of a run
RUNS = (8, "Runs", "runs")  # a screen of its own: there is a list to search and two to compare
TOO_SMALL = "InterpBoard needs 80 columns and 24 rows."


class InterpBoardApp(Actions, History, Jobs, Lensing, Prompting, TerminalApp):
    """Panes on one prompt. ``engine_factory`` lets tests put something else behind it."""

    TITLE = "InterpBoard"
    CSS_PATH = "interpboard.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS = keys.bindings("app")
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (80, "-narrow"), (110, "-medium"), (180, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (24, "-low"), (34, "-tall"), (50, "-high")]  # noqa: RUF012
    NOTIFICATION_TIMEOUT = 8.0

    def __init__(
        self,
        text: str | None = None,
        settings: Settings = Settings(),  # noqa: B008 - frozen
        dark: bool = True,
        resume: bool = False,
        prompts: PromptFile | None = None,
        engine_factory: EngineFactory = engine_process,
    ) -> None:
        super().__init__(ascii_only=settings.ascii)
        self.settings = settings
        self.set_keymap(keys.use(settings.keys))
        self._wanted = (settings.model, settings.device, settings.dtype)
        ask = Ask(self.prepare_prompts(prompts, text), settings.metric)
        self.saver = Saver(settings.keep_runs, self.tell)
        self._resume = resume
        self.session = Session(
            State(ask=ask, examples=settings.examples_file, translators=settings.lens_folder),
            self._changed,
            self.tell,
            engine_factory,
            self._finished,
        )
        self.active = TokensPane.slot
        self.visited: list[str] = []
        self._following: Timer | None = None
        for own in theme.THEMES:
            self.register_theme(own)
        self.theme = "interpboard-dark" if dark else "interpboard-light"

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """The style sheet's own names, also before a theme is chosen."""
        return theme.variables()

    def get_default_screen(self) -> Board:
        """The screen of the panes, with the layout of its size from the first paint on."""
        return Board(id="board", classes=" ".join(self._size_names()))

    def _size_names(self) -> list[str]:
        """The breakpoints' names for the size of now; the screen's classes come a paint later."""
        tables = zip(
            (self.HORIZONTAL_BREAKPOINTS, self.VERTICAL_BREAKPOINTS), self.size, strict=True
        )
        return [[name for start, name in table if start <= size][-1] for table, size in tables]

    def compose(self) -> ComposeResult:
        """Status, prompt, what is held, tabs, panes, footer."""
        yield Line(id="status")
        yield Prompt(self.session.state.ask.text)
        yield Line(id="held")
        yield Line(id="tabs")
        with Container(id="panes"):
            for kind in PANES:
                yield kind(self.select)
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
        self.restore_on(signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
        self.call_after_refresh(self._boot)

    async def _boot(self) -> None:
        if not gc.isenabled():  # switched off for the start; what lives now lives on
            gc.freeze()
            gc.enable()
        await self.saver.find_place()
        await self.open_book()
        self.show_place()
        model, device, dtype = self._wanted
        resumed = self._resume and await self.resume()
        if resumed and self.state.model is not None:
            model = self.state.model.info.name
        special = self.settings.special_tokens
        await self.session.boot(model, device, dtype, not resumed, special)

    async def on_unmount(self) -> None:
        """The engine ends with the app."""
        await self.session.close()
        await self.saver.close()

    async def idle(self) -> None:
        """Wait until the engine is idle, what it said is told, and what is to be kept is on the disk."""
        await self.session.settled()
        await self.saver.settled()
        await self.book_settled()

    @property
    def cursor_moves(self) -> bool:
        """Has a cursor moved so lately that what depends on it is not drawn yet?"""
        return self._following is not None

    # -- state to screen --------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """The current snapshot."""
        return self.session.state

    @property
    def panes(self) -> list[Pane]:
        """All panes, by number."""
        found = self.screen_stack[0].query(Pane)
        return sorted(found, key=lambda pane: pane.number)

    def pane(self, slot: str) -> Pane:
        """The pane that shows ``slot``."""
        return self.screen_stack[0].query_one(f"#{slot}", Pane)

    @property
    def prompt(self) -> Prompt:
        """The prompt's field."""
        return self.screen_stack[0].query_one(Prompt)

    def go(self, slot: str) -> None:
        """Bring the pane that shows ``slot`` to the front and focus it."""
        if slot in SCREENS:
            getattr(self, f"action_{slot}")()
            return
        shown_by = {name: pane.slot for pane in reversed(self.panes) for name in pane.leans_on}
        slot = slot if slot in {pane.slot for pane in self.panes} else shown_by[slot]
        pane = self.pane(slot)
        pane.meet(self.state.selection)
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
        self.saver.holds(state)
        with self.batch_update():
            for pane in self.panes:
                leans = {pane.slot, *pane.leans_on}
                if leans & names or ("engine" in names and pane.data.result is None):
                    empty = pane.data.result is None
                    pane.show(state)
                    first = empty and pane.data.result is not None
                    if (first or pane.slot != self.active) and pane.meet(state.selection):
                        pane.refresh_readout()
                else:
                    pane.state = state
            if {"lens", "heads", "neurons"} & names:
                self._at_rest()
            self._show_lines()
            if isinstance(self.screen, Live):
                self.screen.show(state)

    def _finished(self, state: State, slot: str) -> None:
        self.saver.finished(state, slot)
        if slot in JOBS:
            self.take_up(slot)
        ask = state.slots[slot].ask
        if slot == "predictions" and ask is not None:
            self.ran(ask.text)

    def _show_lines(self) -> None:
        base = self.screen_stack[0]
        ink, state = theme.inks(self.current_theme.dark), self.state
        edited = base.query_one(Prompt).text != state.ask.text
        base.query_one("#status", Line).set(lines.status(state, ink, self.size.width, edited))
        held = base.query_one("#held", Line)
        held.set(lines.held(state, ink))
        if held.has_class("-nothing") == bool(state.held.items):
            held.set_class(not state.held.items, "-nothing")
        names = [*((kind.number, kind.title, kind.slot) for kind in PANES), RUNS]
        base.query_one("#tabs", Line).set(
            lines.tabs(names, self.active, state, ink, self.size.width)
        )
        base.query_one("#footer", Line).set(
            lines.footer(self._focus_name(), state, ink, self.size.width)
        )

    def _focus_name(self) -> str:
        focused = self.screen_stack[0].focused
        return "prompt" if focused is not None and focused.id == "prompt-input" else self.active

    def tell(self, message: str, severity: Any) -> None:
        from interpboard.display import visible

        shown = "\n".join(visible(line) for line in message.split("\n"))
        self.notify(shown, severity=severity, markup=False)

    # -- focus and selection ----------------------------------------------------------------------

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """The pane with the focus is the active one."""
        if not self.screen_stack:  # the app is ending
            return
        panes = [widget for widget in event.widget.ancestors if isinstance(widget, Pane)]
        self._activate(panes[0].slot if panes else self.active)
        self._show_lines()

    def arrange(self) -> None:
        """One pane or all, after a resize or a zoom."""
        self._activate(self.active)

    def _activate(self, slot: str) -> None:
        """Make a pane the active one, in sight and framed as such; no style sheet is consulted."""
        if slot != self.active and self.pane(slot).meet(self.state.selection):
            self.pane(slot).refresh_readout()  # it was out of sight while the selection moved
        self.active = slot
        self.visited = [*(name for name in self.visited if name != slot), slot]
        base = self.screen_stack[0]
        slots = [pane.slot for pane in self.panes]
        names = [*self._size_names(), *(name for name in ("-zoomed",) if base.has_class(name))]
        sight = layout.in_sight(slots, names, slot, self.visited)
        in_panes = self._focus_name() != "prompt"
        for pane in self.panes:
            pane.display = pane.slot in sight
            pane.frame(pane.slot == slot and in_panes)
        leans = {name for pane in self.panes if pane.display for name in pane.leans_on}
        self.session.see(sight | leans)
        self._at_rest()

    def select(self, **places: Any) -> None:
        self.session.select(**places)
        if self._following is not None:
            self._following.stop()
        self._following = self.set_timer(REST_S, self._at_rest)

    def _at_rest(self) -> None:
        """The cursor rests: the other panes come to where it is, and what depends on it is drawn."""
        self._following = None
        if not self.screen_stack:
            return
        selection, lens = self.state.selection, self.pane("lens")
        due = (*FOLLOWING, *AFTERWARDS)
        self.session.ensure(*(name for name in due if name in self.session.in_sight))
        for pane in self.panes:
            if pane.display and pane.slot != self.active and pane.meet(selection):
                pane.refresh_readout()
            if pane.display:
                pane.state = self.state
                pane.rest()
        tokens = self.pane("tokens")
        assert isinstance(lens, LensPane)
        assert isinstance(tokens, TokensPane)
        tokens.show_lens(lens.cell() if self.active == LensPane.slot else None)

    def on_resize(self) -> None:
        """The status line says what fits. Also after the app was suspended."""
        self.terminal.forget()
        if self.is_running and self.screen_stack:
            self.call_after_refresh(self._resized)

    def _resized(self) -> None:
        self.arrange()
        self._show_lines()

    def on_prompt_edited(self) -> None:
        """The status line says whether the prompt still is what was run."""
        self.show_place()
        self._show_lines()

    def on_prompt_submitted(self) -> None:
        """Enter in the prompt: run, and back to the panes."""
        self.action_run()
        self.action_leave_prompt()


def run(
    settings: Settings,
    text: str | None = None,
    dark: bool = True,
    resume: bool = False,
    prompts: PromptFile | None = None,
) -> int:
    """Run the app; the exit code."""
    app = InterpBoardApp(text, settings, dark, resume, prompts)
    code = app.run(mouse=settings.mouse)
    return code if code is not None else app.return_code or 0
