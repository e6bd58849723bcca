"""The app as the terminal sees it: what is painted, which timers fire, and how the process is left."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import Any

from rich.console import RenderableType
from textual.app import App
from textual.screen import Screen

from tui.terminal import capabilities, exit, painting
from tui.terminal.timers import SureTimers


class TerminalApp(SureTimers, App[int]):
    """Base of the app. Only cells that differ from what the terminal shows are sent to it."""

    def __init__(self, *, ascii_only: bool) -> None:
        super().__init__()
        self.animation_level = "none"
        self.terminal = painting.Terminal()
        capabilities.adapt(self, ascii_only=ascii_only)

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        """Textual's way out to the terminal: only what differs from what is there goes through it."""
        super()._display(screen, painting.change(renderable, self.terminal, self.size))

    def action_redraw(self) -> None:
        """Everything anew, after something else has written on the screen."""
        self.terminal.forget()
        self._display(self.screen, self.screen._compositor.render_full_update())

    def restore_on(self, *signals: signal.Signals) -> None:
        """Leave as ``q`` does on these, so that the terminal is as it was: a dropped link is a SIGHUP."""
        loop = asyncio.get_running_loop()
        for number in signals:
            # Windows has no handlers on a loop, and no thread but the main one may set them.
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(number, self._leave_on_signal, 128 + number)

    def _leave_on_signal(self, code: int) -> None:
        if not self.is_headless:  # there this process is somebody else's
            exit.at_the_latest(code)
        self.exit(code)
