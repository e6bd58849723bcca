"""The line of a box of fields that says what the analysis would take as it is written there now."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from rich.text import Text
from textual.timer import Timer

from tui.dialogs.plan_words import PlanSaid
from tui.terminal import timers
from tui.theme import inks
from tui.widgets.line import GrowingLine

AsksPlan = Callable[[Mapping[str, Any]], Awaitable[PlanSaid | None]]
_ONE_MOMENT = PlanSaid("one moment: a few steps are timed")


class PlanLine(GrowingLine):
    """``ask`` is called with the parameters once keys have rested."""

    def __init__(self, ask: AsksPlan) -> None:
        super().__init__(classes="hint")
        self.ask = ask
        self._params: Mapping[str, Any] | None = None
        self._timer: Timer | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def plan(self, params: Mapping[str, Any] | None) -> None:
        """These are written now; None: what is written is no parameters."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        self._params = params
        self._say(None if params is None else _ONE_MOMENT)
        if params is not None:
            self._timer = self.screen.set_timer(timers.REST_S, self._rested)

    def _rested(self) -> None:
        self._timer = None
        task = asyncio.create_task(self._asked(self._params))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _asked(self, params: Mapping[str, Any] | None) -> None:
        if params is None:
            return
        said = await self.ask(params)
        if self.is_attached and params is self._params:
            self._say(said)

    async def settled(self) -> None:
        """Wait until the plan of what is written is shown."""
        while self.is_attached and (self._timer is not None or self._tasks):
            await asyncio.sleep(timers.REST_S / 4)

    def _say(self, said: PlanSaid | None) -> None:
        if said is None:
            self.set(Text())
            return
        ink = inks(self.app.current_theme.dark)
        self.set(Text(f"Plan: {said.line}", ink.warning if said.refused else ink.muted))
        self.grow(room=True)
