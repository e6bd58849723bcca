"""The app: the panes and the lines around them on a screen, and what keys and events lead to.

The first paint needs Textual only. The engine's client, numpy and everything about values are
imported after it; torch never is: it lives in the engine's process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual import events
from textual.app import ComposeResult
from textual.containers import Container
from textual.widgets import Input

from interpboard.config import Settings
from interpboard.registry.loading import NOTHING_ASKED, LoadOptions
from tui import catalogue, frame
from tui.catalogue import COMMANDS, SLOTS
from tui.commands.command import bindings, keyed
from tui.commands.places import MOVES
from tui.controllers.controllers import Controllers
from tui.dialogs.over_panes import OverPanes
from tui.session.engine_port import EngineFactory, engine_process
from tui.session.state import State
from tui.showing import Showing
from tui.slots.mounting import first_panes, mount_missing
from tui.slots.tokens.keys import mark
from tui.terminal.app import TerminalApp
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
        chat: str = "",
        dataset: str = "",
    ) -> None:
        super().__init__(ascii_only=settings.ascii, dark=dark)
        self.set_keymap(catalogue.use(settings.keys))
        self._hint = hint
        showing = Showing(self)
        self.controllers = Controllers(
            self, SLOTS, settings, text, prompts, engine_factory, showing.changed, chat,
            heard=showing.heard,
        )  # fmt: skip
        self.session, self.panes = self.controllers.session, self.controllers.panes
        self._boots_with = (settings, resume, session, load, dataset)

    def compose(self) -> ComposeResult:
        """Status, prompt, interventions, tabs, panes, footer."""
        question = self.state.question
        yield from frame.above(question.text, question.kind, self._hint)
        with Container(id="panes"):
            yield from self.panes.take(first_panes(self.panes))
        yield from frame.below()

    @property
    def state(self) -> State:
        """The current snapshot."""
        return self.session.state

    @property
    def prompt(self) -> Prompt:
        """The prompt's field."""
        return self.screen_stack[0].query_one(Prompt)

    def show_frame(self) -> None:
        """The lines around the panes."""
        if self.base is not None:
            frame.show_frame(self.base, self.state, self.panes.view, self.panes.focus_name)
            self.show_message()

    def show_message(self) -> None:
        """What was said last, on every screen that has a line for it."""
        if self.is_running and self.base is not None:
            frame.show_message(self.screen_stack, self.controllers.messages.latest)

    def put_hint_away(self) -> bool:
        """Away with the hint of the first start; was there one?"""
        return self.base is not None and frame.put_hint_away(self.base)

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
        if self.base is not None:
            await mount_missing(self.base.query_one("#panes"), self.panes)
        self.take_keys()
        self.collect_garbage()
        await self.controllers.boot(*self._boots_with)

    async def on_unmount(self) -> None:
        """The engine ends with the app."""
        await self.controllers.close()

    def about_to_act(self, event: events.Key) -> None:
        """Digits act at once; whether they were meant as a layer is known by the key that follows."""
        super().about_to_act(event)
        self.controllers.jump.saw(event.key, text=isinstance(self.focused, Input))

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """The pane with the focus is the active one."""
        if self.panes.take_focus():
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

    def on_prompt_opened(self) -> None:
        """The mouse points at the chat."""
        self.controllers.chats.edit()

    def on_prompt_submitted(self) -> None:
        """Enter in the prompt: run, and back to the panes."""
        self.controllers.run_prompt()
        self.panes.focus()

    async def run_action(self, action: Any, *where: Any, **named: Any) -> bool:
        """What a key or click asks for: whoever goes on has seen the message, unless a cursor moves."""
        over = isinstance(self.screen, OverPanes) and str(action)[:5] not in ("move(", "scrol")
        if over or str(action).startswith("app.perform("):
            self.controllers.messages.seen()
        return await super().run_action(action, *where, **named)

    async def action_perform(self, id: str) -> None:
        """Carry out the command called ``id``."""
        await self.controllers.pressed(id)

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

    def action_help_quit(self) -> None:
        """Ctrl+c: people press it; say what quits."""
        self.controllers.tell(keyed("{key:quit} or Ctrl+q quits, {key:cancel} cancels what runs."))
