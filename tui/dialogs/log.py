"""The log: what the engine wrote last, and every message that was said, the newest at the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll

from interpboard.config import engine_log
from interpboard.display import visible
from tui.commands.app import FIND
from tui.commands.command import bindings, keyed
from tui.commands.places import LOG, MOVES
from tui.dialogs.box import Box
from tui.session.state import Engine
from tui.theme import Inks, inks
from tui.widgets.message import MARKS
from tui.widgets.text_page import TextPage

if TYPE_CHECKING:
    from tui.controllers.notify import Notice

LINES = 200
_KEYS = "{key:log_again} runs again  {key:log_leave} closes  {key:down} {key:up} scroll"
READ = 64 * 1024  # bytes from the end of the file


def tail(path: Path) -> tuple[str, ...]:
    """The last lines of a log; none if there is no file, for then nothing was written."""
    try:
        with path.open("rb") as log:
            size = log.seek(0, 2)
            log.seek(max(0, size - READ))
            text = log.read().decode(errors="replace")
    except FileNotFoundError:
        return ()
    except OSError as error:
        return (f"Cannot read {path}: {error.strerror}.",)
    return tuple(text.rstrip("\n").split("\n")[-LINES:]) if text.strip() else ()


def told(messages: Iterable[Notice], ink: Inks) -> Text:
    """Every message whole, with its mark."""
    text = Text()
    for message in messages:
        plain = message.severity == "information"
        color = ink.muted if plain else ink.warning
        text.append(f"{MARKS[message.severity]} ", Style(color=color, bold=True))
        text.append("\n  ".join(message.text.split("\n")), ink.text)
        text.append("\n")
    return text


def log_page(engine: Engine, written: tuple[str, ...], ink: Inks) -> Text:
    """What happened, then the lines."""
    text = Text()
    if engine.notice:
        text.append(f"{visible(engine.notice)}\n", Style(color=ink.warning, bold=True))
        jobs = f"{len(engine.lost)} job{'s' if len(engine.lost) > 1 else ''}"
        again = keyed("{key:log_again} runs what was lost")
        lost = f"It took {jobs} along: {again}." if engine.lost else "No job was lost."
        text.append(f"{lost}\n\n", ink.text)
    lines = engine.log if engine.notice else written
    for line in lines:
        text.append(f"{visible(line.rsplit(chr(13), 1)[-1])}\n", ink.muted)
    if not lines:
        text.append("The log is empty: nothing was printed and nothing went wrong.", ink.muted)
    text.rstrip()
    return text


class LogScreen(Box[bool]):
    """Scrolls; answers true if what was lost is to be run again."""

    BINDINGS = [*bindings(FIND), *bindings(LOG), *bindings(MOVES)]  # noqa: RUF012
    DEFAULT_CSS = "LogScreen > .box { width: 100; max-width: 96%; height: auto; }"

    def __init__(
        self, engine: Engine, messages: Sequence[Notice] = (), jobs: Iterable[str] = ()
    ) -> None:
        super().__init__()
        self.engine, self.messages, self.jobs = engine, tuple(messages), tuple(jobs)

    def compose(self) -> ComposeResult:
        """The log below its file's place, then the messages."""
        path = engine_log()
        written = tail(path)
        ink = inks(self.app.current_theme.dark)
        text = Text("The engine's log", Style(color=ink.text, bold=True, underline=True))
        text.append(f"  {visible(str(path))}\n", Style(color=ink.muted))
        text.append("".join(f"{visible(job)}\n" for job in self.jobs), ink.text)
        text.append_text(log_page(self.engine, written, ink))
        if self.messages:
            text.append("\n\n")
            text.append("Messages\n", Style(color=ink.text, bold=True, underline=True))
            text.append_text(told(self.messages, ink))
            text.rstrip()
        box = TextPage(text, classes="box")
        box.border_title = Text("Log")
        box.border_subtitle = Text(keyed(_KEYS))
        yield box

    @property
    def searched(self) -> TextPage:
        """The text."""
        return self.query_one(TextPage)

    def on_mount(self) -> None:
        """The end is what matters."""
        self.query_one(VerticalScroll).scroll_end(animate=False)

    def action_again(self) -> None:
        """Run what was lost."""
        self.dismiss(True)

    def action_move(self, direction: str) -> None:
        """Scroll."""
        self.searched.scroll_by_key(direction)
