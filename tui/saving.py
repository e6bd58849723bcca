"""Results into the store as they finish, off the loop, one after the other.

What could not be written is kept and tried again with the next result; it stays on the screen in any
case. Each kind of trouble is told once until something is written again.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from tui.questions import FOLLOWING
from tui.state import Ask, State

if TYPE_CHECKING:
    from interpboard.results import Document
    from interpboard.store import Run, Store

WAITING = 500  # results kept in memory while nothing can be written
LEAVE_S = 2.0  # how long leaving waits for the last of them

Tell = Callable[[str, str], None]


class Saver:
    """Owns the store. ``saved()`` is called on the loop after something new is in it."""

    def __init__(self, keep: int, tell: Tell, saved: Callable[[], None] = lambda: None) -> None:
        self._keep, self._tell, self._saved = keep, tell, saved
        self._waiting: deque[tuple[Document, str, dict[str, Any], float]] = deque(maxlen=WAITING)
        self._writing: asyncio.Task[None] | None = None
        self._told = ""
        self._store: Store | None = None

    @property
    def store(self) -> Store:
        """The store; sqlite is imported when it is first needed, after the first paint."""
        if self._store is None:
            from interpboard.store import Store

            self._store = Store(keep=self._keep)
        return self._store

    def models(self) -> list[str]:
        """Models of the saved runs, the newest first; none where the store cannot be read. Blocks."""
        from interpboard.errors import InterpBoardError

        try:
            runs = self.store.runs()
        except InterpBoardError:  # it has been told where runs are shown
            return []
        return list(dict.fromkeys(run.model for run in runs))

    def finished(self, state: State, slot: str) -> None:
        """The result of ``slot`` is new: write it."""
        if slot in FOLLOWING:  # every head that a cursor passes: cheap to ask again
            return
        document, ask = state.document([slot]), state.slots[slot].ask
        if document is None:
            return
        asked = asdict(ask) if ask is not None else {}
        self._waiting.append((document, slot, asked, time.time()))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())

    async def settled(self) -> None:
        """Wait until all has been written, or could not be."""
        while self._writing is not None and not self._writing.done():
            await asyncio.wait([self._writing])

    async def close(self) -> None:
        """Write what is left, within reason."""
        if self._writing is not None:
            await asyncio.wait([self._writing], timeout=LEAVE_S)

    async def _write(self) -> None:
        from interpboard.errors import StoreProblem

        while self._waiting:
            job = self._waiting[0]
            try:
                await asyncio.to_thread(self.store.add, *job)
            except StoreProblem as problem:
                self._say(f"Not saved: {problem} What is on the screen stays.", "error")
                return
            self._waiting.popleft()
            self._told = ""
            if self.store.notice:
                self._say(self.store.notice, "warning")
                self.store.notice = ""
            self._saved()

    def _say(self, message: str, severity: str) -> None:
        if message != self._told:
            self._told = message
            self._tell(message, severity)


def ask_of(run: Run) -> Ask:
    """What had been asked. Fields that an older or newer program wrote otherwise are left out."""
    known = {own.name: type(own.default) for own in fields(Ask)}
    usable: Mapping[str, Any] = {
        name: value
        for name, value in run.ask.items()
        if name in known and (value is None or isinstance(value, (str, int, float, bool)))
    }
    return Ask(**{"text": run.prompt, **usable})


def together(runs: list[Run], first: Run) -> list[Run]:
    """``first`` and, of every other slot, the newest run of the same question to the same model."""
    found = {first.slot: first}
    for run in runs:
        if (run.model, run.prompt, run.ask) == (first.model, first.prompt, first.ask):
            found.setdefault(run.slot, run)
    return list(found.values())
