"""Five lines for whoever starts the app for the first time; ``back`` puts them away for good."""

from __future__ import annotations

import os
from contextlib import suppress

from rich.text import Text
from textual.widget import Widget

from interpboard.config import state_folder
from interpboard.errors import StoreProblem
from interpboard.files import atomic
from tui.commands.command import shown_keys
from tui.terminal.sizes import size_names
from tui.theme import inks
from tui.widgets.line import in_rows

SEEN = "hint-seen"  # a file of the state folder, from the first start on


def first_start() -> bool:
    """Is this the first start of all? From now on it is not. Where nothing can be kept, nothing is said.

    A terminal that has no rows for the lines is passed over: they are there when one has.
    """
    if "-flat" in size_names(_terminal_size()):
        return False
    try:
        file = state_folder() / SEEN
        if file.exists():
            return False
        atomic.write_text(file, "", mode=0o600)
    except (OSError, StoreProblem):
        return False
    return True


def _terminal_size() -> os.terminal_size:
    """Of the terminal itself: ``sys.__stdout__`` may be another by now, and its size a guess."""
    for stream in (0, 1, 2):
        with suppress(OSError):
            return os.get_terminal_size(stream)
    return os.terminal_size((80, 24))


def hint_lines() -> list[str]:
    """The lines, with the keys in use."""

    def key(id: str) -> str:
        return shown_keys(id).split(" ")[0]

    return [
        "Welcome. Each pane answers one question about the prompt above.",
        f"{key('pane_1')} … {key('pane_8')}, {key('next_pane')}: panes   "
        f"arrows, {' '.join(map(key, ('left', 'down', 'up', 'right')))}: move   "
        f"{key('zoom')}: one pane whole",
        f"{key('prompt')}: another prompt   {key('target')}: the token to explain   "
        f"{key('model')}: another model   {key('quit')}: leave",
        f"The bottom line begins with the next step; {key('help')} explains a pane, "
        f"{key('palette')} every command",
        f"{key('back')} puts these lines away for good.",
    ]


class FirstHint(Widget, can_focus=False):
    """The lines, each cut where it has no room."""

    DEFAULT_CSS = "FirstHint { height: 5; padding: 0 1; }"

    def render(self) -> Text:
        """In the accent's colour: this is said once."""
        ink, width = inks(self.app.current_theme.dark), self.content_size.width
        rows = [in_rows(Text(line), width) for line in hint_lines()]
        return Text("\n", style=ink.accent, no_wrap=True).join(rows) if width else Text()
