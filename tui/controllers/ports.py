"""What controllers need of the app, each by itself, so that they can be tested without it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from textual.screen import Screen
    from textual.timer import Timer

    from tui.session.state import PromptKind
    from tui.widgets.prompt import Prompt


class PaneBoard(Protocol):
    """What the panes need of the app."""

    def set_timer(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Call ``callback`` after ``delay`` seconds."""

    @property
    def base(self) -> Screen[Any] | None:
        """The screen of the panes; none while the app ends."""

    @property
    def size_names(self) -> list[str]:
        """What the size is called in the style sheet."""


class OpensScreens(Protocol):
    """Puts a screen over the panes; ``answered`` is called with what it was left with."""

    def push_screen(self, screen: Any, answered: Any = None, /) -> Any:
        """Open ``screen``."""


class StacksScreens(OpensScreens, Protocol):
    """Knows what stands over the panes."""

    @property
    def screen(self) -> Screen[Any]:
        """The screen in front."""

    @property
    def screen_stack(self) -> Sequence[Screen[Any]]:
        """That of the panes, and those over it."""


class Paints(Protocol):
    """Paints the screen in front."""

    @property
    def screen(self) -> Screen[Any]:
        """It."""

    def call_after_refresh(self, callback: Callable[[], None], /) -> Any:
        """Call ``callback`` once what has changed is painted."""


class RunsActions(Protocol):
    """Carries out what a screen calls an action."""

    async def run_action(self, action: str, /, default_namespace: Any = None) -> bool:
        """Carry it out, on ``default_namespace`` if it names no other."""


class PromptField(Protocol):
    """The prompt's field."""

    @property
    def text(self) -> str:
        """What is written."""

    @property
    def kind(self) -> PromptKind:
        """What it is: a text, or the JSON of a chat."""

    def show(self, text: str, kind: PromptKind = "text") -> None:
        """Write ``text``."""

    def place(self, words: str) -> None:
        """Say beside it where it stands in a list."""


class InputsLine(Protocol):
    """Asks for a line of text."""

    def __call__(
        self, title: str, hints: tuple[str, ...], value: str, then: Callable[[str], None]
    ) -> None:
        """``then`` is called with the line, unless the question is left."""


class AppPort(StacksScreens, Paints, RunsActions, PaneBoard, Protocol):
    """All that controllers and commands need of the app; each controller is given its part."""

    @property
    def prompt(self) -> Prompt:
        """The prompt's field."""

    def show_message(self) -> None:
        """Show what was said last."""

    def copy_to_clipboard(self, text: str) -> None:
        """By way of the terminal."""

    def put_hint_away(self) -> bool:
        """Away with the hint of the first start; was there one?"""

    @property
    def stays(self) -> str:
        """Why the app cannot be suspended; empty: it can."""

    def action_switch_theme(self) -> None:
        """Light or dark."""

    def action_redraw(self) -> None:
        """Everything anew."""

    def action_suspend_process(self) -> None:
        """To the shell."""

    async def action_quit(self) -> None:
        """Leave."""
