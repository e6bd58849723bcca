"""What the engine is asked that no pane shows: each question with a future for its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tui.session.engine_port import EngineLike


class EngineAnswers:
    """One question a slot: a newer one, and an engine that is not there, answer the one before with None."""

    def __init__(self, engine: Callable[[], EngineLike | None]) -> None:
        self._engine = engine
        self._waiting: dict[str, asyncio.Future[Any]] = {}

    def waiting(self, slot: str) -> asyncio.Future[Any] | None:
        """The answer that is waited for in ``slot``."""
        return self._waiting.get(slot)

    def ask(self, slot: str, send: Callable[[EngineLike], int]) -> asyncio.Future[Any]:
        """Ask by ``send``; the answer, once it is there."""
        self.answer(slot, None)
        self._waiting[slot] = answer = asyncio.get_running_loop().create_future()
        engine = self._engine()
        if engine is None:
            self.answer(slot, None)
        else:
            send(engine)
        return answer

    def answer(self, slot: str, answer: Any) -> None:
        """What was asked in ``slot`` is answered so."""
        waiting = self._waiting.pop(slot, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def answer_none(self) -> None:
        """Nothing of what was asked will be answered: another model, or no engine."""
        for waiting in tuple(self._waiting):
            self.answer(waiting, None)
