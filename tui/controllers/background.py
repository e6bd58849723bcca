"""What a controller does beside the keys: begun, waited for, and never lost without a word.

What is expected to go wrong is told by the work itself. Anything else is a fault of the app: one line says
so, and the log has the traceback.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from tui.commands.command import keyed

if TYPE_CHECKING:
    from tui.controllers.notify import Tell


class BackgroundWork:
    """``tell`` says what nobody expected."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._tasks: set[asyncio.Task[Any]] = set()

    def __bool__(self) -> bool:
        """Is something under way?"""
        return bool(self._tasks)

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Carry out ``work`` beside what else is done."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def settled(self) -> None:
        """Wait until nothing is under way, also of what was begun meanwhile."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _write_down(error)
            said = f"{type(error).__name__} in the app: this is a fault of interpboard."
            self._tell(f"{said} {keyed('{key:log} has the traceback.')}", "error")


def _write_down(error: BaseException) -> None:
    """The traceback into the log, which the engine writes too."""
    from interpboard.config import engine_log

    try:
        with open(engine_log(), "a", encoding="utf-8") as log:
            log.writelines(traceback.format_exception(error))
    except OSError:  # no log can be written: the line that is told is all there is
        return
