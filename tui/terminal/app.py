"""The app as the terminal sees it: what is painted, which timers fire, and how the process is left."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import Any, Self

from rich.console import RenderableType
from textual import events
from textual.driver import Driver
from textual.screen import Screen

from tui import theme
from tui.terminal import capabilities, exit, painting, sizes
from tui.terminal.board import Board
from tui.terminal.garbage import QuietCollector
from tui.terminal.keys import KeyOrder, TypedInto
from tui.terminal.painting_now import paint_now
from tui.terminal.suspend import Suspension, shell_waits
from tui.terminal.timers import SureTimers
from tui.terminal.turns import ShownInTurns


class TerminalApp(SureTimers, TypedInto):
    """Base of the app. Only cells that differ from what the terminal shows are sent to it."""

    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = sizes.HORIZONTAL
    VERTICAL_BREAKPOINTS = sizes.VERTICAL

    def __init__(self, *, ascii_only: bool, dark: bool) -> None:
        super().__init__()
        self.animation_level = "none"
        # Nothing of ours has a tooltip or a toast: no screen needs the widgets for them.
        self._disable_tooltips = self._disable_notifications = True
        self.terminal = painting.Terminal()
        self.garbage = QuietCollector()
        self._keys = KeyOrder(self)
        self.turns = ShownInTurns(self)
        self._suspension: Suspension | None = None
        self._typed_ahead: list[events.Key | events.Paste] | None = []  # until all panes are there
        capabilities.adapt(self, ascii_only=ascii_only)
        for each in theme.THEMES:
            self.register_theme(each)
        self.use_theme(dark)

    def get_driver_class(self) -> type[Driver]:
        """How the terminal is read and written."""
        found = super().get_driver_class()
        if found.__name__ != "LinuxDriver":
            return found
        from tui.terminal.driver import LoopDriver

        return LoopDriver

    def use_theme(self, dark: bool) -> None:
        """Dark or light."""
        self.theme = theme.name(dark)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """The style sheet's own names, also before a theme is chosen."""
        return theme.variables()

    def refresh_css(self, animate: bool = True) -> None:
        """Before there is a screen nothing has styles, and what were parsed for it would be parsed again."""
        if self.screen_stack:
            super().refresh_css(animate)
        else:
            self.stylesheet.set_variables(self.get_css_variables())

    def refresh(
        self, *, repaint: bool = True, layout: bool = False, recompose: bool = False
    ) -> Self:
        """Textual lays out and paints the screen in front twice more when one over it is gone.

        It was painted as it came to the front, and what was to be laid out anew was.
        """
        if layout and not recompose:
            return self
        return super().refresh(repaint=repaint, layout=layout, recompose=recompose)

    async def on_event(self, event: events.Event) -> None:
        """Keys typed before everything is there that they may be for come again then."""
        if not isinstance(event, events.Key | events.Paste) or event.is_forwarded:
            await super().on_event(event)
        elif self._typed_ahead is not None:
            self._typed_ahead.append(event)
        else:
            await self._keys.take(event)

    def about_to_act(self, event: events.Key) -> None:
        """A key acts next: somebody is there."""
        self.garbage.pressed()
        self.turns.pressed()

    def paint_now(self) -> None:
        """Paint what has changed, in this turn."""
        paint_now(self)

    def type_again(self, event: events.Key) -> None:
        """A key that something over the panes is left by: it is for them, before what was typed behind it."""
        self._keys.again(event)

    @property
    def keys_wait(self) -> bool:
        """Is there something to come to the app that may be a key, or a key that has not acted yet?"""
        return bool(self.message_queue_size) or self._keys.waiting

    def take_keys(self) -> None:
        """Everything is there: what was typed ahead is obeyed, before what is typed from now on."""
        self.call_later(self._obey_keys)

    async def _obey_keys(self) -> None:
        typed, self._typed_ahead = self._typed_ahead or [], None
        for event in typed:
            await self.on_event(event)

    def collect_garbage(self) -> None:
        """From the first paint on."""
        self.garbage.begin()

    def get_default_screen(self) -> Board:
        """The screen of the panes, with the layout of its size from the first paint on."""
        return Board(id="board", classes=" ".join(self.size_names))

    @property
    def size_names(self) -> list[str]:
        """The breakpoints' names for the current size; the screen's classes come a paint later."""
        return sizes.size_names(self.size)

    @property
    def base(self) -> Screen[Any] | None:
        """The screen of the panes; none while the app ends."""
        return self.screen_stack[0] if self.screen_stack else None

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        """Textual's way out to the terminal: only what differs from what is there goes through it."""
        super()._display(screen, painting.cell_update(renderable, self.terminal, self.size))

    async def action_quit(self) -> None:
        """Leave, with the exit code of what went well."""
        self.exit(0)

    def action_redraw(self) -> None:
        """Everything anew, after something else has written on the screen."""
        self.terminal.forget()
        self.screen.refresh(self.screen.region)

    def take_suspending(self) -> None:
        """From now on the app gives the terminal back whenever it is stopped, and paints it anew after."""
        if self.is_headless or self._driver is None or not hasattr(signal, "SIGTSTP"):
            return
        loop = asyncio.get_running_loop()
        with contextlib.suppress(RuntimeError, ValueError):  # not in the main thread
            self._suspension = Suspension(
                self._driver, lambda: loop.call_soon_threadsafe(self.action_redraw)
            )

    @property
    def stays(self) -> str:
        """Why the app cannot be suspended; empty: it can."""
        if self._suspension is None:
            return "This system suspends no programs."
        return (
            ""
            if shell_waits()
            else "No shell waits behind the app: there is nothing to go back to."
        )

    def action_suspend_process(self) -> None:
        """To the shell, which brings the app back."""
        if self._suspension is not None:
            self._suspension.begin()

    def restore_on_signals(self) -> None:
        """Leave as ``q`` does on signals, so that the terminal is as it was: a dropped link is a SIGHUP."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            # Windows has no handlers on a loop, and no thread but the main one may set them.
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(number, self._leave_on_signal, 128 + number)

    def _leave_on_signal(self, code: int) -> None:
        if not self.is_headless:  # there this process is somebody else's
            exit.at_the_latest(code)
        self.exit(code)
