"""Write the corrupted prompt: its tokens stand under those of the clean one while it is written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.timer import Timer
from textual.widgets import Input

from interpboard.display import fit, visible_token
from interpboard.results.two_texts import BARS, SEPARATOR
from tui.dialogs.box import Box
from tui.session.state import PromptKind
from tui.session.vocabulary import EngineTokens
from tui.terminal import timers
from tui.theme import Inks, inks
from tui.widgets.line import Line
from tui.widgets.text_field import TextField


class CorruptedScreen(Box[str]):
    """Answers with the text, None when left. A text of another length is not taken.

    ``two``: whether the model reads a source and a prefix; then a source alone has the clean prompt's prefix.
    """

    DEFAULT_CSS = "CorruptedScreen > .box { width: 96%; max-width: 160; }"

    def __init__(
        self,
        clean: str,
        value: str,
        tokens: EngineTokens,
        kind: PromptKind = "text",
        two: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__()
        self.clean, self.value, self.tokens, self.kind = clean, value, tokens, kind
        self.two = two
        self.pieces: dict[str, tuple[str, ...]] = {}  # of the texts that were asked about
        self._timer: Timer | None = None
        self._asking: set[asyncio.Task[None]] = set()

    def compose(self) -> ComposeResult:
        """The field, the two prompts token by token, and how they compare."""
        with Vertical(classes="box") as box:
            box.border_title = Text("Corrupted prompt")
            yield TextField(self.value)
            yield Line()
            for name in ("clean", "corrupted", "compared"):
                yield Line(id=f"{name}-tokens")
            yield Line(Text("Enter confirms, Esc leaves"), classes="hint")

    def on_mount(self) -> None:
        """Ask about the texts that are there."""
        self._ask()

    @property
    def typed(self) -> str:
        """The text in the field, behind a source alone the prefix."""
        text = self.query_one(Input).value
        alone = bool(text) and BARS not in text and self.two()
        return text + "".join(self.clean.partition(SEPARATOR)[1:]) if alone else text

    def on_input_changed(self, event: Input.Changed) -> None:
        """Tokens when typing rests."""
        event.stop()
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(timers.REST_S, self._ask)

    def _ask(self) -> None:
        self._timer = None
        task = asyncio.create_task(self._split())
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _split(self) -> None:
        for text in (self.clean, self.typed):
            if text and text not in self.pieces:
                pieces = await self.tokens.of_prompt(text, self.kind)
                if pieces is not None:
                    self.pieces[text] = pieces
        if self.is_attached:
            self.show()

    async def settled(self) -> None:
        """Wait until everything that was asked of the engine is shown."""
        while self._timer is not None or self._asking:
            await asyncio.sleep(timers.REST_S / 4)

    def show(self) -> None:
        """The two prompts under each other, from shortly before their first difference on."""
        ink = inks(self.app.current_theme.dark)
        clean, own = self.pieces.get(self.clean), self.pieces.get(self.typed)
        if clean is None or own is None:
            what = "one moment: reading the tokens" if self.typed else "empty: no corrupted prompt"
            self._say("compared", Text(what, ink.muted))
            return
        first = next((i for i, (a, b) in enumerate(zip(clean, own, strict=False)) if a != b), 0)
        width = max(20, self.query_one(Input).size.width)
        lines = aligned(clean, own, max(0, first - 3), width, ink)
        for name, line in zip(("clean", "corrupted"), lines, strict=True):
            self._say(name, line)
        self._say("compared", comparison_line(clean, own, ink))

    def _say(self, name: str, text: Text) -> None:
        self.query_one(f"#{name}-tokens", Line).set(text)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter: taken if it is empty or as long as the clean one, or if that is not known."""
        event.stop()
        typed = self.typed
        clean, corrupted = self.pieces.get(self.clean), self.pieces.get(typed)
        if typed and clean is not None and corrupted is not None and len(corrupted) != len(clean):
            return
        self.dismiss(typed)


def aligned(
    clean: tuple[str, ...], corrupted: tuple[str, ...], start: int, width: int, ink: Inks
) -> tuple[Text, Text]:
    """Token under token, those that differ in bold; from ``start`` on, as many as fit ``width``."""
    rows = Text("clean      ", ink.muted), Text("corrupted  ", ink.muted)
    if start:
        for row in rows:
            row.append("… ", ink.muted)
    for at in range(start, max(len(clean), len(corrupted))):
        shown = [visible_token(row[at]) if at < len(row) else "" for row in (clean, corrupted)]
        room = min(16, max(map(cell_len, shown)))
        if rows[0].cell_len + room + 2 > width:
            for row in rows:
                row.append("…", ink.muted)
            break
        differs = shown[0] != shown[1]
        for row, word in zip(rows, shown, strict=True):
            style = Style(color=ink.accent if differs else ink.text, bold=differs)
            row.append(fit(word, room), style)
            row.append(" ")
    return rows


def comparison_line(clean: tuple[str, ...], corrupted: tuple[str, ...], ink: Inks) -> Text:
    """How the two compare, in a line."""
    if len(clean) != len(corrupted):
        refusal = f"{len(corrupted)} tokens, the clean prompt has {len(clean)}: write as many"
        return Text(refusal, ink.warning)
    differ = sum(a != b for a, b in zip(clean, corrupted, strict=True))
    if not differ:
        return Text("the same as the clean prompt: change a word", ink.muted)
    return Text(f"{len(corrupted)} tokens, as the clean prompt has; {differ} differ", ink.muted)
