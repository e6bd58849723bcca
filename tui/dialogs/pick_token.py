"""Choose a token: type-ahead over the vocabulary, with the ids and what is odd about the text."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from rich.style import Style
from rich.text import Text
from textual.timer import Timer
from textual.widgets import Input

from interpboard.display import fit, visible_token
from tui import words
from tui.dialogs.box import Live
from tui.dialogs.pick import PickScreen
from tui.session.state import Engine, State
from tui.session.type_ahead import SearchableVocabulary, TokenMatch, advice, matches
from tui.session.vocabulary import EngineTokens
from tui.terminal import timers
from tui.theme import Inks

if TYPE_CHECKING:
    from interpboard.results import PromptInfo


Likely = Callable[[State], tuple[list[TokenMatch], dict[int, float]]]


@dataclass(frozen=True)
class TokenInput:
    """What is asked. ``empty``: what an empty answer means, or that there must be one."""

    title: str
    hints: tuple[str, ...]
    value: str = ""
    empty: str = ""
    likely: Sequence[TokenMatch] = ()  # offered while nothing is typed
    probabilities: Mapping[int, float] = field(default_factory=dict)


class PickTokenScreen(Live, PickScreen[str]):
    """Answers with what names the token, empty where that has a meaning."""

    def __init__(
        self, asked_for: TokenInput, tokens: EngineTokens, engine: Engine, likely: Likely
    ) -> None:
        super().__init__(
            asked_for.title, asked_for.hints, asked_for.value, "type the beginning of a token"
        )
        self.asked_for, self.tokens, self.engine = asked_for, tokens, engine
        self.likely = likely  # what the model says next, once it is known
        self.vocabulary: SearchableVocabulary | None = None
        self.fetched = False
        self.pieces: tuple[str, PromptInfo | None] = ("", None)  # a text, what it falls into
        self._timer: Timer | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def on_mount(self) -> None:
        """Fetch the vocabulary, at the first use."""
        super().on_mount()
        self._begin(self._fetch())

    def show(self, state: State) -> None:
        """How far the model is; once it is there, its tokens."""
        if not self.composed:
            return
        ready = state.engine.phase == "ready" and self.engine.phase != "ready"
        self.engine = state.engine
        known, probabilities = self.likely(state)
        self.asked_for = replace(self.asked_for, likely=known, probabilities=probabilities)
        if ready and self.vocabulary is None:
            self.fetched = False
            self._begin(self._fetch())
        elif not self.typed and len(self.rows) < len(known):
            self.again()
        elif self.vocabulary is None:
            self.draw_rows()

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
            self.draw_rows()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settled(self) -> None:
        """Wait until everything that was asked of the engine is shown."""
        while self._timer is not None or self._tasks:
            await asyncio.sleep(timers.REST_S / 4)

    def again(self) -> None:
        """Rows now, pieces when typing rests."""
        super().again()
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(timers.REST_S, self._rest)

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
            return Text(self._missing(), ink.muted)
        pieces = self.pieces[1] if self.pieces[0] == typed else None
        warning = advice(self.vocabulary, typed, None if pieces is None else pieces.tokens)
        if warning:
            return Text(warning, ink.warning)
        many = f"{len(self.vocabulary.strings):,} tokens"
        return Text(many if not typed else f"{len(self.rows)} of {many}", ink.muted)

    def _missing(self) -> str:
        if self.engine.phase in ("starting", "loading", "restarting"):
            share = f" {self.engine.fraction:.0%}" if self.engine.fraction else ""
            return f"the model is loading{share}: its tokens are listed once it is there"
        if self.fetched:
            return "no vocabulary: the engine has no model"
        return "one moment: reading the vocabulary"

    def answer(self, typed: str) -> str | None:
        """The chosen token, else the text as typed: the engine says what is wrong with it.

        By its id where its text is that of another token too, or is none. None: the text is several tokens,
        as the line above says, or is not known yet to be one.
        """
        if self.chosen is not None:
            text: str = self.chosen.text
            if self.vocabulary is not None and self.chosen.id >= 0:
                return self.vocabulary.reference(self.chosen.id)
            return text
        if typed and self.vocabulary is not None:
            pieces = self.pieces[1] if self.pieces[0] == typed else None
            reading = pieces is None and (self._timer is not None or bool(self._tasks))
            if reading or (pieces is not None and len(pieces.tokens) > 1):
                return None
        return typed if typed or self.asked_for.empty else None
