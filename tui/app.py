"""The app: the panes and the lines around them on a screen, and what keys and events lead to.

The first paint needs Textual only. The engine's client, numpy and everything about values are
imported after it; torch never is: it lives in the engine's process.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from textual import events
from textual.app import ComposeResult
from textual.containers import Container
from textual.widgets import Input

from interpboard.config import Settings
from interpboard.registry.loading import NOTHING_ASKED, LoadOptions
from tui import catalogue, frame
from tui.catalogue import COMMANDS, SLOTS
from tui.commands.command import Command, bindings, keyed
from tui.commands.command import command as command_of
from tui.commands.places import MOVES, OPENERS
from tui.controllers.controllers import Controllers
from tui.controllers.jump import ID as JUMP
from tui.dialogs.box import Live
from tui.dialogs.over_panes import OverPanes
from tui.session.engine_port import EngineFactory, engine_process
from tui.session.state import State
from tui.slots.pane import Pane
from tui.slots.tokens.keys import mark
from tui.terminal.app import TerminalApp
from tui.theme import inks
from tui.widgets.first_hint import first_start
from tui.widgets.message import MessageLine, message_line
from tui.widgets.prompt import Prompt
from tui.widgets.token_strip import TokenStrip

if TYPE_CHECKING:
    from tui.files.prompt_file import PromptFile


class InterpBoardApp(TerminalApp):
    """Panes on one prompt. ``engine_factory`` lets tests put something else behind it."""

    TITLE = "InterpBoard"
    CSS_PATH = "interpboard.tcss"
    BINDINGS = bindings([each for each in COMMANDS if "app" in each.where], before=MOVES)

    def __init__(
        self,
        text: str | None = None,
        settings: Settings = Settings(),  # noqa: B008 - frozen
        dark: bool = True,
        resume: bool = False,
        prompts: PromptFile | None = None,
        session: str = "",
        engine_factory: EngineFactory = engine_process,
        load: LoadOptions = NOTHING_ASKED,
        hint: bool = False,
    ) -> None:
        super().__init__(ascii_only=settings.ascii, dark=dark)
        self.set_keymap(catalogue.use(settings.keys))
        self._settings, self._resume, self._load = settings, resume, load
        self._hint = hint
        self._resumed_session = session
        self.controllers = Controllers(
            self, SLOTS, settings, text, prompts, engine_factory, self._changed
        )
        self.session, self.panes = self.controllers.session, self.controllers.panes

    # -- the screen -------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Status, prompt, interventions, tabs, panes, footer."""
        made = (slot.load_view()(slot, self.panes.select) for slot in catalogue.pane_slots())
        yield from frame.above(self.state.question.text, self._hint)
        with Container(id="panes"):
            yield from self.panes.take(made)
        yield from frame.below()

    @property
    def state(self) -> State:
        """The current snapshot."""
        return self.session.state

    @property
    def prompt(self) -> Prompt:
        """The prompt's field."""
        return self.screen_stack[0].query_one(Prompt)

    @property
    def in_prompt(self) -> bool:
        """Is the focus in the prompt?"""
        focused = self.screen_stack[0].focused
        return focused is not None and focused.id == "prompt-input"

    @property
    def focus_name(self) -> str:
        """Where the focus is: ``prompt``, or the slot of a pane."""
        return "prompt" if self.in_prompt else self.panes.active

    def show_frame(self) -> None:
        """The lines around the panes."""
        if self.base is not None:
            frame.show_frame(self.base, self.state, self.panes.view, self.focus_name)
            self.show_message()

    def show_message(self) -> None:
        """What was said last, on every screen that has a line for it."""
        if not self.is_running or self.base is None:
            return
        ink = inks(self.current_theme.dark)
        text = message_line(self.controllers.messages.latest, ink, self.size.width)
        for screen in self.screen_stack:
            for line in screen.query(MessageLine):
                line.set(text)

    def put_hint_away(self) -> bool:
        """Away with the hint of the first start; was there one?"""
        found = self.base.query("#first-hint") if self.base is not None else ()
        for widget in found:
            widget.remove()
        return bool(found)

    def _changed(self, names: set[str]) -> None:
        if not self.is_running:
            return
        self.controllers.saver.remember_interventions(self.state)
        self.controllers.comparison.changed(self.state)
        self.controllers.prompt_table.changed(self.state)
        with self.batch_update():
            self.panes.show(self.controllers.comparison.shown(self.state), names)
            self.show_frame()
            if isinstance(self.screen, Live):
                self.screen.show(self.state)

    # -- life -------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        """Empty frames first; the engine after they are painted."""
        self.panes.arrange()
        self.panes.focus()
        self.panes.show(self.state)
        self.show_frame()
        self.restore_on_signals()
        self.take_suspending()
        self.call_after_refresh(self._boot)

    async def _boot(self) -> None:
        self.collect_garbage()
        await self.controllers.boot(self._settings, self._resume, self._resumed_session, self._load)

    async def on_unmount(self) -> None:
        """The engine ends with the app."""
        await self.controllers.close()

    async def on_event(self, event: events.Event) -> None:
        """Digits act at once; whether they were meant as a layer is known by the key that follows."""
        if isinstance(event, events.Key) and not event.is_forwarded:
            own = event.key in command_of(JUMP).keys.split(",")
            text = isinstance(self.focused, Input)
            self.controllers.jump.saw(event.key, text=text, own=own)
        await super().on_event(event)

    # -- events -----------------------------------------------------------------------------------

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """The pane with the focus is the active one."""
        focused = self.base.focused if self.base is not None else None
        if focused is None:  # what has it now: the event may be of a focus that has moved on since
            return
        panes = [widget for widget in focused.ancestors if isinstance(widget, Pane)]
        self.panes.activate(panes[0].slot.name if panes else self.panes.active)
        self.show_frame()

    def on_resize(self) -> None:
        """The status line says what fits. Also after the app was suspended."""
        self.terminal.forget()
        if self.is_running and self.base is not None:
            self.call_after_refresh(self._resized)

    def _resized(self) -> None:
        self.panes.arrange()
        self.show_frame()

    def on_prompt_edited(self) -> None:
        """The status line says whether the prompt still is what was run."""
        self.controllers.prompts.show_place()
        self.show_frame()

    def on_token_strip_dragged(self, event: TokenStrip.Dragged) -> None:
        """The tokens that the mouse was dragged over are the subject."""
        mark(self.controllers, set(range(event.first, event.last + 1)))

    def on_prompt_submitted(self) -> None:
        """Enter in the prompt: run, and back to the panes."""
        self.controllers.run_prompt()
        self.panes.focus()

    def why_not(self, command: Command, place: str) -> str:
        """Why a command cannot act in a place now; empty: it can."""
        refusal = self.controllers.comparison.refuses(command)
        return refusal or command.why_not(self.controllers, place)

    async def do_at(self, command: Command, place: str) -> None:
        """Go to the pane or the screen of a command, and carry it out there."""
        refusal = self.why_not(command, place)
        if refusal:
            self.controllers.tell(refusal)
            return
        slot = self.session.slots.get(place)
        if slot is not None and slot.place is not None:
            self.panes.go(place)
        elif place != "app":
            if slot is not None:
                self.controllers.screens.open(place)
            else:
                await self.do(command_of(OPENERS[place]))
            screen = self.screen  # it has made its widgets when it comes to this
            if len(self.screen_stack) > 1:
                screen.call_later(self.run_action, str(command.action), screen)
            return
        await self.do(command)

    async def do(self, command: Command) -> None:
        """Carry out a command."""
        refusal = self.why_not(command, self.panes.active)
        if refusal:
            self.controllers.tell(refusal)
            return
        if isinstance(command.action, str):
            await self.run_action(command.action)
            return
        done = command.action(self.controllers)
        if inspect.isawaitable(done):
            await done

    async def run_action(self, action: Any, *where: Any, **named: Any) -> bool:
        """What a key or click asks for: whoever goes on has seen the message, unless a cursor moves."""
        over = isinstance(self.screen, OverPanes) and str(action)[:5] not in ("move(", "scrol")
        if over or str(action).startswith("app.perform("):
            self.controllers.messages.seen()
        return await super().run_action(action, *where, **named)

    async def action_perform(self, id: str) -> None:
        """Carry out the command called ``id``."""
        await self.do(command_of(id))

    def action_switch_theme(self) -> None:
        """Light or dark."""
        self.use_theme(not self.current_theme.dark)
        self.panes.repaint()
        self.show_frame()

    def action_focus_next(self) -> None:
        """Tab is bound by Textual's screen before it reaches the table of commands: the same thing."""
        self.panes.step(1)

    def action_focus_previous(self) -> None:
        """And back."""
        self.panes.step(-1)

    async def action_quit(self) -> None:
        """Leave."""
        self.exit(0)

    def action_suspend_process(self) -> None:
        """To the shell, if one waits; else say why not."""
        if self.stays:
            self.controllers.tell(self.stays, "warning")
        else:
            super().action_suspend_process()

    def action_help_quit(self) -> None:
        """Ctrl+c: people press it; say what quits."""
        self.controllers.tell(keyed("{key:quit} or Ctrl+q quits, {key:cancel} cancels what runs."))


def run(
    settings: Settings,
    text: str | None = None,
    dark: bool = True,
    resume: bool = False,
    prompts: PromptFile | None = None,
    session: str = "",
    load: LoadOptions = NOTHING_ASKED,
) -> int:
    """Run the app; the exit code. ``session``: the one that is resumed; empty: the last results."""
    hint = not resume and not session and first_start()
    app = InterpBoardApp(text, settings, dark, resume, prompts, session, load=load, hint=hint)
    code = app.run(mouse=settings.mouse)
    return code if code is not None else app.return_code or 0
