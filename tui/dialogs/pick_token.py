"""Choose a token: type-ahead over the vocabulary, with the ids and what is odd about the text."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.style import Style
from rich.text import Text
from textual.timer import Timer
from textual.widgets import Input

from interpboard.display import fit, visible_token
from tui import words
from tui.dialogs.pick import PickScreen
from tui.session.state import State
from tui.session.type_ahead import SearchableVocabulary, TokenMatch, advice, matches
from tui.session.vocabulary import EngineTokens
from tui.theme import Inks

if TYPE_CHECKING:
    from interpboard.results import PromptInfo

REST_S = 0.06  # typing rests: then the engine is asked what the text falls into


@dataclass(frozen=True)
class TokenInput:
    """What is asked. ``empty``: what an empty answer means, or that there must be one."""

    title: str
    hints: tuple[str, ...]
    value: str = ""
    empty: str = ""
    likely: Sequence[TokenMatch] = ()  # offered while nothing is typed
    probabilities: Mapping[int, float] = field(default_factory=dict)


def likely(state: State) -> tuple[list[TokenMatch], dict[int, float]]:
    """The likeliest next tokens, and their probabilities, where they are known."""
    found = state.slots["predictions"].result
    if found is None or state.slots["predictions"].question != state.question:
        return [], {}
    ids = [int(id) for id in found.extra["token_ids"].values]
    rows = [
        TokenMatch(id, str(text))
        for id, text in zip(ids, found.extra["tokens"].values, strict=True)
    ]
    return rows, dict(zip(ids, map(float, found.values), strict=True))


class PickTokenScreen(PickScreen[str]):
    """Answers with what names the token, empty where that has a meaning."""

    def __init__(self, asked_for: TokenInput, tokens: EngineTokens) -> None:
        super().__init__(
            asked_for.title, asked_for.hints, asked_for.value, "type the beginning of a token"
        )
        self.asked_for, self.tokens = asked_for, tokens
        self.vocabulary: SearchableVocabulary | None = None
        self.fetched = False
        self.pieces: tuple[str, PromptInfo | None] = ("", None)  # a text, what it falls into
        self._timer: Timer | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def on_mount(self) -> None:
        """Fetch the vocabulary, at the first use."""
        super().on_mount()
        self._begin(self._fetch())

    async def _fetch(self) -> None:
        self.vocabulary = await self.tokens.vocabulary()
        self.fetched = True
        if self.is_attached:
            self.again()

    async def _split(self, typed: str) -> None:
        pieces = await self.tokens.pieces(typed)
        if pieces is not None and self.is_attached and typed == self.typed:
            self.pieces = (typed, pieces)
            at = self.at
            self.narrow(typed)
            self.at = at if at < len(self.rows) else self.at
            self.show()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settled(self) -> None:
        """Wait until everything that was asked of the engine is shown."""
        while self._timer is not None or self._tasks:
            await asyncio.sleep(REST_S / 4)

    def again(self) -> None:
        """Rows now, pieces when typing rests."""
        super().again()
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(REST_S, self._rest)

    def _rest(self) -> None:
        self._timer = None
        if self.query(Input) and self.typed and self.typed != self.pieces[0]:  # none: it is leaving
            self._begin(self._split(self.typed))

    # -- the list ---------------------------------------------------------------------------------

    def narrow(self, typed: str) -> None:
        """Tokens that fit; where none does, what the text falls into, none of it chosen."""
        if not typed:
            none = [TokenMatch(-1, "")] if self.asked_for.empty else []
            self.rows, self.at = [*none, *self.asked_for.likely], 0
            return
        self.rows = [] if self.vocabulary is None else matches(self.vocabulary, typed)
        self.at = 0 if self.rows else -1
        if not self.rows and self.vocabulary is not None and self.pieces[0] == typed:
            found = self.pieces[1]
            pairs = () if found is None else zip(found.token_ids, found.tokens, strict=True)
            self.rows = [TokenMatch(id, text) for id, text in pairs]

    def draw(self, row: TokenMatch, here: bool, ink: Inks) -> Text:
        """`` ·Paris    id 1234   62.1 %``."""
        style = Style(color=ink.accent if here else ink.text, bold=here)
        if row.id < 0:
            return Text(self.asked_for.empty, style)
        text = Text(fit(visible_token(row.text), 44), style)
        text.append(f" id {row.id:<8}", ink.muted)
        if row.id in self.asked_for.probabilities:
            text.append(words.percent(self.asked_for.probabilities[row.id]), ink.text)
        return text

    def advice(self, typed: str, ink: Inks) -> Text:
        """What is odd about the text, or how many tokens fit."""
        if self.vocabulary is None:
            missing = (
                "no vocabulary: the engine has no model"
                if self.fetched
                else "one moment: reading the vocabulary"
            )
            return Text(missing, ink.muted)
        own = self.pieces[1] if self.pieces[0] == typed else None
        warning = advice(self.vocabulary, typed, None if own is None else own.tokens)
        if warning:
            return Text(warning, ink.warning)
        many = f"{len(self.vocabulary.strings):,} tokens"
        return Text(many if not typed else f"{len(self.rows)} of {many}", ink.muted)

    def answer(self, typed: str) -> str | None:
        """The chosen token, else the text as typed: the engine says what is wrong with it.

        By its id where its text is that of another token too, or is none.
        """
        if self.chosen is not None:
            text: str = self.chosen.text
            if self.vocabulary is not None and self.chosen.id >= 0:
                return self.vocabulary.reference(self.chosen.id)
            return text
        return typed if typed or self.asked_for.empty else None
