"""Search the prompts with names and those that were run, the newest first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rich.style import Style
from rich.text import Text

from interpboard.display import fit, visible
from tui.commands.command import bindings, command
from tui.commands.places import PROMPT_LIST
from tui.dialogs.pick import PickScreen
from tui.files.prompt_book import PromptBook
from tui.session.chat_draft import chat_line, turns_of
from tui.theme import Inks

_WIDTH = 70  # of a row behind its mark
NAME = 14


@dataclass(frozen=True)
class BookedPrompt:
    """A prompt, and its name if it has one."""

    name: str
    text: str


class PickPromptScreen(PickScreen[str]):
    """Answers with the text. ``forget(name, text)`` takes a row away; without a name from those run."""

    BINDINGS = bindings(PROMPT_LIST)

    def __init__(self, book: PromptBook, forget: Callable[[str, str], None]) -> None:
        super().__init__("Prompts", (), holder="words of a prompt or its name")
        self.book, self._forget = book, forget

    def _keys(self) -> str:
        forget = command("forget_prompt")
        return f"{super()._keys()}   {forget.shown} {forget.label}"

    def narrow(self, typed: str) -> None:
        """Those in which every word occurs."""
        rows = [BookedPrompt(name, self.book.named[name]) for name in sorted(self.book.named)]
        rows += [BookedPrompt("", text) for text in reversed(self.book.ran)]
        words = typed.lower().split()
        self.rows = [
            row for row in rows if all(word in f"{row.name}\n{row.text}".lower() for word in words)
        ]
        self.at = min(max(self.at, 0), len(self.rows) - 1)

    def draw(self, row: BookedPrompt, here: bool, ink: Inks) -> Text:
        """``name  text``."""
        text, room = Text(), _WIDTH
        if row.name:
            text.append(fit(visible(row.name), NAME - 1) + " ", ink.accent)
            room -= NAME
        style = Style(color=ink.accent if here else ink.text, bold=here)
        said = chat_line(row.text) if row.text in self.book.chats else row.text
        return text.append(fit(_start(said, room), room), style)

    def advice(self, typed: str, ink: Inks) -> Text:
        """How many there are, or how long the chosen one is."""
        row = self.chosen
        if row is None:
            return Text(
                "none has these words" if typed else "no prompt has been run yet", ink.muted
            )
        if row.text in self.book.chats:
            count = len(turns_of(row.text))
            turns = f"a chat of {count} turn{'s' if count > 1 else ''}"
            return Text(f"{self.at + 1} of {len(self.rows)}   {turns}", ink.muted)
        lines = row.text.count("\n") + 1
        size = f"{len(row.text)} characters" + (f", {lines} lines" if lines > 1 else "")
        return Text(f"{self.at + 1} of {len(self.rows)}   {size}", ink.muted)

    def answer(self, typed: str) -> str | None:
        """The chosen one."""
        return self.chosen.text if self.chosen is not None else None

    def action_forget(self) -> None:
        """Take the chosen row away."""
        if self.chosen is not None:
            self._forget(self.chosen.name, self.chosen.text)
            self.again()


def _start(text: str, room: int) -> str:
    """No more of a long text than can be seen, made harmless."""
    return visible(text[: 2 * room])
