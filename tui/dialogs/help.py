"""Help: the keys of the focused pane and of the app, made from the command table."""

from __future__ import annotations

from collections.abc import Iterable

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult

from tui.commands.app import FIND
from tui.commands.command import Command, bindings, commands, keyed
from tui.commands.keymap import spelled_key
from tui.commands.places import HELP, MOVES
from tui.dialogs.box import Box
from tui.theme import Inks, inks
from tui.widgets.text_page import TextPage

_SECTIONS = (("move", "Moving"), ("app", "Everywhere"), ("prompt", "In the prompt"))


def help_text(
    slot: str, title: str, about: Iterable[str], ink: Inks, shown: Iterable[str] = ()
) -> Text:
    """The whole help for one pane. ``shown``: what its lines say, uncut."""
    result = Text()
    _head(result, title, ink)
    for line in flowing(about):
        result.append(f"{keyed(line)}\n", ink.text)
    for line in shown:
        result.append(f"› {line}\n", ink.muted)
    listed: list[Command] = []
    for where, name in ((slot, ""), *_SECTIONS):
        section = [each for each in commands(where) if each not in listed]
        section.sort(key=lambda each: not name and "app" in each.where)  # its own first
        listed += section
        if name and section:
            result.append("\n")
            _head(result, name, ink)
        for command in section:
            shown = _shown(command, slot) if where == "move" else command.shown
            result.append(f"  {shown:<10}", Style(color=ink.accent, bold=True))
            result.append(f" {command.help}\n", ink.text)
    result.rstrip()
    return result


def flowing(lines: Iterable[str]) -> list[str]:
    """``lines`` as paragraphs: one that goes on in the middle of a sentence is broken by the box alone."""
    found: list[str] = []
    for line in lines:
        if (
            found
            and found[-1][-1:] not in ("", ".", ":")
            and (line[:1].islower() or found[-1][-1] == ",")
        ):
            found[-1] += f" {line}"
        else:
            found.append(line)
    return found


def _shown(move: Command, slot: str) -> str:
    """The keys of a move, without those that the pane has for something else."""
    of_pane = {key for command in commands(slot) for key in command.keys.split(",")}
    left = [key for key in move.keys.split(",") if key not in of_pane]
    return (
        move.shown if of_pane.isdisjoint(move.keys.split(",")) else " ".join(map(spelled_key, left))
    )


def _head(result: Text, title: str, ink: Inks) -> None:
    result.append(f"{title}\n", Style(color=ink.text, bold=True, underline=True))


class HelpScreen(Box[None]):
    """Scrolls with the keys that move cursors."""

    BINDINGS = [*bindings(FIND), *bindings(HELP), *bindings(MOVES)]  # noqa: RUF012
    DEFAULT_CSS = "HelpScreen > .box { width: 84; max-width: 96%; height: auto; }"

    def __init__(
        self, slot: str, title: str, about: Iterable[str] = (), shown: Iterable[str] = ()
    ) -> None:
        super().__init__()
        self.slot, self.title_of_pane = slot, title
        self.about, self.shown = tuple(about), tuple(shown)

    def compose(self) -> ComposeResult:
        """One text."""
        ink = inks(self.app.current_theme.dark)
        text = help_text(self.slot, self.title_of_pane, self.about, ink, self.shown)
        box = TextPage(text, classes="box")
        box.border_title = Text("Help")
        box.border_subtitle = Text(keyed("{key:help_leave} closes, {key:down} {key:up} scroll"))
        yield box

    @property
    def searched(self) -> TextPage:
        """The text."""
        return self.query_one(TextPage)

    def action_move(self, direction: str) -> None:
        """Scroll."""
        self.searched.scroll_by_key(direction)
