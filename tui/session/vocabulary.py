"""What the engine knows of tokens, fetched when somebody first asks, kept until another model comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tui.session.type_ahead import Vocabulary

if TYPE_CHECKING:
    from interpboard.results import PromptInfo
    from tui.session.engine_port import EngineLike

STRINGS, PIECES, PROMPT = "vocabulary", "pieces", "prompt_tokens"
ANSWERED = (STRINGS, PIECES, PROMPT)  # slots of the engine


class Tokens:
    """Asks the engine; answers are None where it cannot answer now, or was asked something newer."""

    def __init__(self, engine: Callable[[], EngineLike | None]) -> None:
        self._engine = engine
        self._known: Vocabulary | None = None
        self._waiting: dict[str, asyncio.Future[Any]] = {}

    async def vocabulary(self) -> Vocabulary | None:
        """The vocabulary of the model in use."""
        if self._known is None:
            asked = self._waiting.get(STRINGS)
            if asked is None:
                asked = self._ask(STRINGS, lambda engine: engine.vocabulary(STRINGS))
            strings = await asyncio.shield(asked)
            if strings is not None and self._known is None:
                self._known = await asyncio.to_thread(Vocabulary, strings)
        return self._known

    async def pieces(self, text: str) -> PromptInfo | None:
        """What ``text`` falls into inside another."""
        answer: PromptInfo | None = await self._ask(
            PIECES, lambda engine: engine.split(PIECES, text)
        )
        return answer

    async def of_prompt(self, text: str) -> tuple[str, ...] | None:
        """The tokens of a prompt."""
        answer: PromptInfo | None = await self._ask(
            PROMPT, lambda engine: engine.tokenize(PROMPT, text)
        )
        return None if answer is None else answer.tokens

    def take(self, slot: str, event: Any, kind: str) -> None:
        """An event of the engine."""
        if kind == "TokenStrings":
            self._answer(slot, event.strings)
        elif kind == "Tokens":
            self._answer(slot, event.prompt)
        elif kind in ("Failed", "Stopped") and slot in ANSWERED:
            self._answer(slot, None)
        elif kind in ("Ready", "Lost"):
            self._known = None  # another model, or none
            for waiting in tuple(self._waiting):
                self._answer(waiting, None)

    def _ask(self, slot: str, send: Callable[[EngineLike], int]) -> asyncio.Future[Any]:
        self._answer(slot, None)
        self._waiting[slot] = asked = asyncio.get_running_loop().create_future()
        engine = self._engine()
        if engine is None:
            self._answer(slot, None)
        else:
            send(engine)
        return asked

    def _answer(self, slot: str, answer: Any) -> None:
        waiting = self._waiting.pop(slot, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)
