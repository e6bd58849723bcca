"""The chat editor: a line a turn, written in a field below; the model's template says what becomes of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Input

from interpboard.display import fit, visible
from tui.commands.command import bindings, first_key
from tui.commands.places import CHAT, NEWLINE_KEY, UP_DOWN
from tui.dialogs.box import Live
from tui.dialogs.over_panes import OverPanes
from tui.session.chat_draft import Draft
from tui.session.state import State
from tui.theme import Inks, inks
from tui.widgets.line import Line
from tui.widgets.message import MessageLine
from tui.widgets.text_field import NEWLINE, TextField

if TYPE_CHECKING:
    from tui.controllers.chats import Chats

_ROLE = 9  # cells of a role, at most


class ChatTurns(Widget, can_focus=False):
    """The turns, one a line, that with the cursor in sight; below it is whole where its line is too short."""

    DEFAULT_CSS = "ChatTurns { height: 1fr; width: 100%; text-wrap: nowrap; }"

    def __init__(self) -> None:
        super().__init__(id="chat-turns")
        self._shown: tuple[Draft, int] = (Draft(), 0)

    def show(self, draft: Draft, at: int) -> None:
        """``at``: the turn under the cursor."""
        if (draft, at) != self._shown:
            self._shown = (draft, at)
            self.refresh()

    def render(self) -> Text:
        """As many turns as there is room for."""
        (draft, at), (width, height) = self._shown, self.content_size
        ink = inks(self.app.current_theme.dark)
        first = max(0, at - max(1, height) + 1)
        rows = range(first, min(len(draft.turns), first + max(1, height)))
        lines = [_row(draft, row, row == at, width, ink) for row in rows]
        content = draft.turns[at].content
        if cell_len(visible(content[:width])) > width - _ROLE - 5:
            lines += self._whole(content, width - 3, max(0, height - len(lines) - 1), ink)
        return Text("\n", no_wrap=True).join(lines)

    def _whole(self, content: str, width: int, height: int, ink: Inks) -> list[Text]:
        """A blank line, and as much of ``content`` as there is room for."""
        if height < 1 or width < 1:
            return []
        text = Text(visible(content[: width * height + 1]), ink.muted)
        wrapped = list(text.wrap(self.app.console, width, overflow="fold"))
        if len(wrapped) > height or len(content) > width * height:
            wrapped = wrapped[:height]
            wrapped[-1].truncate(width - 1)
            wrapped[-1].append("…")
        return [Text(), *(Text("  ").append_text(line) for line in wrapped)]


def _row(draft: Draft, at: int, here: bool, width: int, ink: Inks) -> Text:
    """``▸ user      Why is the sky blue?``; ``…`` behind a turn that goes on."""
    turn = draft.turns[at]
    text = Text("▸ " if here else "  ", ink.accent)
    text.append(fit(visible(turn.role), _ROLE) + " ", Style(color=ink.accent, bold=here))
    room = max(4, width - text.cell_len)
    if not turn.content:
        return text.append(fit("empty", room), ink.muted)
    goes_on = draft.continues and at == len(draft.turns) - 1
    shown = fit(visible(turn.content[: 2 * room]), room - (2 if goes_on else 0)).rstrip()
    text.append(shown, Style(color=ink.text, bold=here))
    return text.append(" …", ink.accent) if goes_on else text


class ChatScreen(Live, OverPanes[None]):
    """``host`` runs the chat and asks the engine what becomes of it."""

    place, heading = "chat", "Chat"
    about = (
        "A chat, a line a turn. The model's own template makes the prompt of it; what it",
        "makes, or why it refuses, stands below. What is explained is the first token of",
        "the answer, unless another is chosen in Tokens. {key:chat_continue}: the last turn",
        "is the beginning of the answer, which goes on from there. A newline in a turn is",
        "written by {key:newline}.",
    )
    BINDINGS = [*bindings(CHAT), *bindings(NEWLINE_KEY), *bindings(UP_DOWN)]  # noqa: RUF012
    AUTO_FOCUS = ""
    DEFAULT_CSS = """
    ChatScreen { background: $background; layout: vertical; }
    .chat-field { height: 1; }
    .chat-field > Line { width: 12; }
    .chat-field > TextField { width: 1fr; background: $background; border: none; height: 1; padding: 0; }
    """

    def __init__(self, host: Chats, draft: Draft) -> None:
        super().__init__()
        self.host, self.draft, self.at = host, draft, len(draft.turns) - 1
        self.said, self.wrong = "", ""
        self.field: TextField | None = None  # where a turn is written
        self._asking: set[asyncio.Task[None]] = set()

    def compose(self) -> ComposeResult:
        """Title, turns, the field, what the template makes of them, footer."""
        yield Line(id="chat-title")
        yield ChatTurns()
        yield Line(id="chat-said")
        yield MessageLine()
        yield Line(id="chat-footer")

    def on_mount(self) -> None:
        """The chat as it is."""
        self._draw()
        self._check()

    def on_resize(self) -> None:
        """The footer has another width."""
        self._draw()

    def show(self, state: State) -> None:
        """A model that has come may take the chat, or not."""
        if self.composed and not self.said and not self.wrong and not self._asking:
            self._check()

    # -- what is shown ----------------------------------------------------------------------------

    @property
    def writing(self) -> bool:
        """Is a turn being written?"""
        return self.field is not None

    def _draw(self) -> None:
        ink, count = self.ink, len(self.draft.turns)
        title = Text(f" {self.shown_heading}", Style(color=ink.accent, bold=True))
        title.append(f"  {count} turn{'s' if count > 1 else ''}", ink.text)
        if self.draft.tools:
            tools = len(self.draft.tools)
            title.append(f"  {tools} tool{'s' if tools > 1 else ''}", ink.muted)
        if self.draft.template:
            title.append("  its own template", ink.muted)
        if self.draft.continues:
            title.append("  the answer goes on from the last", ink.muted)
        self.query_one("#chat-title", Line).set(title)
        self.query_one(ChatTurns).show(self.draft, self.at)
        said = Text(
            f" {visible(self.wrong or self.said)}", ink.warning if self.wrong else ink.muted
        )
        self.query_one("#chat-said", Line).set(said)
        self.query_one("#chat-footer", Line).set(self._footer())

    def _footer(self) -> Text:
        if not self.writing:
            return self.hints()
        words = f" Enter keeps   {first_key('newline')} newline   Esc leaves it as it was"
        return Text(words, self.ink.muted)

    def _use(self, draft: Draft, at: int) -> None:
        self.draft, self.at = draft, max(0, min(at, len(draft.turns) - 1))
        self.said = self.wrong = ""
        self._draw()
        self._check()

    # -- the engine -------------------------------------------------------------------------------

    def _check(self, run: bool = False) -> None:
        task = asyncio.create_task(self._checked(self.draft, run))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _checked(self, draft: Draft, run: bool) -> None:
        said, wrong = await self.host.why_not(draft)
        if not self.is_attached or draft != self.draft:
            return
        if run and not wrong:
            self.dismiss(None)
            self.host.run(draft)
            return
        self.said, self.wrong = said, wrong
        self._draw()

    async def settled(self) -> None:
        """Wait until what was asked of the engine is shown."""
        while self._asking:
            await asyncio.gather(*self._asking)
            await asyncio.sleep(0)

    # -- what keys do -----------------------------------------------------------------------------

    def action_move(self, direction: str) -> None:
        """The next turn, or the one before."""
        if not self.writing:
            by = {"down": 1, "up": -1}[direction]
            self.at = max(0, min(len(self.draft.turns) - 1, self.at + by))
            self._draw()

    async def action_write(self) -> None:
        """The turn into a field."""
        if self.writing:
            return
        turn = self.draft.turns[self.at]
        self.field = TextField(turn.content)
        role = Line(Text(f"  {fit(visible(turn.role), _ROLE)}", self.ink.accent))
        await self.mount(Horizontal(role, self.field, classes="chat-field"), before="#chat-said")
        self.field.cursor_position = len(turn.content)
        self.field.focus()
        self._draw()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in the field keeps what it says."""
        event.stop()
        self._unwrite()
        self._use(self.draft.write(self.at, event.value), self.at)

    def on_input_changed(self, event: Input.Changed) -> None:
        """It is told when it is kept."""
        event.stop()

    def _unwrite(self) -> None:
        self.field = None
        self.set_focus(None)
        self.query(".chat-field").remove()

    def action_newline(self) -> None:
        """A line break at the cursor."""
        if self.field is not None:
            self.field.insert_text_at_cursor(NEWLINE)

    async def action_add(self) -> None:
        """One more turn, to be written."""
        self._use(self.draft.add(self.at), self.at + 1)
        await self.action_write()

    def action_drop(self) -> None:
        """Without this turn."""
        self._use(self.draft.remove(self.at), self.at)

    def action_role(self) -> None:
        """Another role."""
        self._use(self.draft.turn_role(self.at), self.at)

    def action_shift(self, by: int) -> None:
        """The turn changes its place."""
        moved = self.draft.move(self.at, by)
        if moved != self.draft:
            self._use(moved, self.at + by)

    def action_goes_on(self) -> None:
        """Is the last turn the beginning of the answer?"""
        if self.draft.turns[-1].role != "assistant":
            self.wrong = (
                "Only the assistant's turn can go on, and the last one is not the assistant's."
            )
            self._draw()
            return
        self._use(self.draft.continued(not self.draft.goes_on), self.at)

    def action_file(self) -> None:
        """Ask for a file."""

        def refused(why: str) -> None:
            self.said, self.wrong = "", why
            self._draw()

        self.host.ask_file(lambda draft: self._use(draft, len(draft.turns) - 1), refused)

    def action_text(self) -> None:
        """A plain text."""
        self.dismiss(None)
        self.host.write(self.draft)

    def action_run(self) -> None:
        """Run it, if the template takes it."""
        self._check(run=True)

    def action_leave(self) -> None:
        """Out of the field; or back to the panes."""
        if self.writing:
            self._unwrite()
            self._draw()
            return
        self.host.keep(self.draft)
        self.dismiss(None)
