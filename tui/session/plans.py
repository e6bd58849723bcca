"""What an analysis would take, asked of the engine beside whatever it does; no pane changes by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tui.session.engine_answers import EngineAnswers
from tui.session.engine_port import ask_plan

if TYPE_CHECKING:
    from interpboard.engine.protocol import Failed
    from interpboard.results.plan import Plan
    from tui.session.engine_port import EngineLike
    from tui.session.state import Request

PLAN = "plan"  # slot of the engine


class EnginePlans:
    """Asks the engine for one plan at a time: a newer question ends the one before."""

    def __init__(self, engine: Callable[[], EngineLike | None]) -> None:
        self._engine, self._answers = engine, EngineAnswers(engine)

    async def of(self, request: Request) -> Plan | Failed | None:
        """The plan of ``request``, or why there is none; None: something newer was asked, or no engine."""
        answer: Plan | Failed | None = await self._answers.ask(
            PLAN, lambda engine: ask_plan(engine, PLAN, request)
        )
        return answer

    def leave(self) -> None:
        """Nobody wants to know any more."""
        engine = self._engine()
        if engine is not None and self._answers.waiting(PLAN) is not None:
            engine.cancel(PLAN)
            self._answers.answer(PLAN, None)

    def take(self, slot: str, event: Any, kind: str) -> None:
        """An event of the engine."""
        if kind in ("Ready", "Lost"):
            self._answers.answer_none()
        elif slot == PLAN and kind in ("Planned", "Failed", "Stopped"):
            answer = event.plan if kind == "Planned" else event
            self._answers.answer(PLAN, None if kind == "Stopped" else answer)
