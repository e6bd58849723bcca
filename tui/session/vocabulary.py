"""What the engine knows of tokens, fetched when somebody first asks, kept until another model comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tui.session.engine_answers import EngineAnswers
from tui.session.engine_port import given_prompt
from tui.session.type_ahead import SearchableVocabulary

if TYPE_CHECKING:
    from interpboard.engine.protocol import Failed, Tokens
    from interpboard.results import PromptInfo
    from tui.session.engine_port import EngineLike
    from tui.session.state import PromptKind

STRINGS, PIECES, PROMPT, CHAT = "vocabulary", "pieces", "prompt_tokens", "chat_tokens"
ANSWERED = (STRINGS, PIECES, PROMPT, CHAT)  # slots of the engine


class EngineTokens:
    """Asks the engine; an answer is None where it cannot answer now, or something newer was asked."""

    def __init__(self, engine: Callable[[], EngineLike | None]) -> None:
        self._answers = EngineAnswers(engine)
        self._known: SearchableVocabulary | None = None

    async def vocabulary(self) -> SearchableVocabulary | None:
        """The vocabulary of the model in use."""
        if self._known is None:
            answer = self._answers.waiting(STRINGS)
            if answer is None:
                answer = self._answers.ask(STRINGS, lambda engine: engine.vocabulary(STRINGS))
            strings = await asyncio.shield(answer)
            if strings is not None and self._known is None:
                self._known = await asyncio.to_thread(SearchableVocabulary, strings)
        return self._known

    async def pieces(self, text: str) -> PromptInfo | None:
        """What ``text`` falls into inside another."""
        answer: PromptInfo | None = await self._answers.ask(
            PIECES, lambda engine: engine.split(PIECES, text)
        )
        return answer

    async def of_prompt(self, text: str, kind: PromptKind = "text") -> tuple[str, ...] | None:
        """The tokens of a prompt."""
        given, bare = given_prompt(text, kind)
        answer: PromptInfo | None = await self._answers.ask(
            PROMPT, lambda engine: engine.tokenize(PROMPT, given, bare)
        )
        return None if answer is None else answer.tokens

    async def of_chat(self, text: str) -> Tokens | Failed | None:
        """What the model's template makes of a chat, or why it makes nothing of it."""
        given, _ = given_prompt(text, "chat")
        answer: Tokens | Failed | None = await self._answers.ask(
            CHAT, lambda engine: engine.tokenize(CHAT, given)
        )
        return answer

    def take(self, slot: str, event: Any, kind: str) -> None:
        """An event of the engine."""
        if kind == "TokenStrings":
            self._answers.answer(slot, event.strings)
        elif kind == "Tokens":
            self._answers.answer(slot, event if slot == CHAT else event.prompt)
        elif kind in ("Failed", "Stopped") and slot in ANSWERED:
            self._answers.answer(slot, event if (slot, kind) == (CHAT, "Failed") else None)
        elif kind in ("Ready", "Lost"):
            self._known = None  # another model, or none
            self._answers.answer_none()
