"""Results into the store as they finish, off the loop, one after the other.

What could not be written is kept and tried again with the next result; it stays on the screen in any
case. Each kind of trouble is told once until something is written again.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Collection
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tui.controllers.current_session import CurrentSession
from tui.session.interventions import InterventionStack, ListedIntervention
from tui.session.state import State

if TYPE_CHECKING:
    from interpboard.results import Document
    from interpboard.store import Store
    from tui.controllers.notify import Severity, Tell
    from tui.session.unfinished import Unfinished

WAITING = 500  # results kept in memory while nothing can be written
INTERVENTIONS, FORMERLY = "interventions", "held"  # under which name their list is kept
COMPARED = "compared"
_NOTHING = object()
LEAVE_S = 2.0  # how long leaving waits for the last of them


Waiting = tuple["Document", str, dict[str, Any], float, str]


class Saver:
    """Owns the store. Results of ``slots`` are kept."""

    def __init__(self, keep: int, slots: Collection[str], tell: Tell) -> None:
        self._keep, self._slots, self._tell = keep, frozenset(slots), tell
        self._waiting: deque[Waiting] = deque(maxlen=WAITING)
        self._writing: asyncio.Task[None] | None = None
        self._desk: dict[str, Any] = {}  # what is to be there again after resuming, by name
        self._unwritten: dict[str, Any] = {}  # those of them that are not written yet
        self._told = ""
        self._store: Store | None = None
        self.off = False  # there is no place to keep anything
        self.current_session = CurrentSession(
            lambda: self.store
        )  # the session that results belong to

    async def find_place(self) -> None:
        """Make the state folder; where that cannot be done say it once, and keep nothing."""
        from interpboard.config import state_folder
        from interpboard.errors import StoreProblem

        try:
            await asyncio.to_thread(state_folder)
        except StoreProblem as problem:
            self.off = True
            self._tell(f"Nothing is saved: {problem}", "warning")

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
        if self.off or slot not in self._slots:  # heads that a cursor passes; what has its own file
            return
        document, question = state.document([slot]), state.slots[slot].question
        if document is None:
            return
        asked = asdict(question) if question is not None else {}
        cells = state.slots[slot].cells
        goes_on = cells[-1].request if cells else ""
        self._waiting.append((document, slot, asked, time.time(), goes_on))
        self._begin()

    def unfinished(self, each: Unfinished) -> None:
        """A job ended before its time: write what it has computed."""
        from interpboard.results import Document

        if self.off or each.slot not in self._slots:
            return
        document = Document(model=each.of, prompt=each.prompt, results=(each.result,))
        asked = asdict(each.request.question)
        self._waiting.append((document, each.slot, asked, time.time(), ""))
        self._begin()

    def remember_interventions(self, state: State) -> None:
        """Keep the current list of interventions: resuming restores it, not that of the newest result."""
        if self.off or state.model is None:
            return
        now = {
            "model": state.model.info.name,
            "prompt": state.question.text,
            "items": [[item.text, item.on] for item in state.interventions.items],
            "controls": {  # beside the items: programs that know no sets read those
                item.text: item.control_of for item in state.interventions.items if item.control_of
            },
        }
        self.remember(INTERVENTIONS, now)

    def remember(self, name: str, now: Any) -> None:
        """Keep ``now``, which JSON can write, under ``name``, in place of what was there."""
        if not self.off and now != self._desk.get(name, _NOTHING):
            self._desk[name] = self._unwritten[name] = now
            self._begin()

    def interventions(self, model: str, prompt: str) -> InterventionStack | None:
        """The last list of interventions on ``prompt``; None where that is not known. Blocks."""
        kept = self.store.recall(INTERVENTIONS) or self.store.recall(FORMERLY)
        match kept:
            case {"model": str(of), "prompt": str(on), "items": list(items)} if (of, on) == (
                model,
                prompt,
            ):
                beside = kept.get("controls")
                beside = beside if isinstance(beside, dict) else {}
                return InterventionStack(
                    tuple(
                        ListedIntervention(str(text), bool(is_on), str(beside.get(text, "")))
                        for text, is_on in items
                    )
                )
        return None

    def _begin(self) -> None:
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

        while self._waiting or self._unwritten:
            job, unwritten = next(iter(self._waiting), None), dict(self._unwritten)
            try:
                if job is not None:
                    await asyncio.to_thread(self._add, *job)
                else:
                    for name, value in unwritten.items():
                        await asyncio.to_thread(self.store.remember, name, value)
            except StoreProblem as problem:
                self._say(f"Not saved: {problem} What is on the screen stays.", "error")
                return
            if job is not None:
                self._waiting.popleft()
            else:
                for name, value in unwritten.items():
                    if self._unwritten[name] is value:  # else it has changed meanwhile
                        del self._unwritten[name]
            self._told = ""
            if self.store.notice:
                self._say(self.store.notice, "warning")
                self.store.notice = ""

    def _add(
        self, document: Document, slot: str, ask: dict[str, Any], at: float, goes_on: str
    ) -> None:
        self.current_session.add(self.store.add(document, slot, ask, at, goes_on), at)

    def _say(self, message: str, severity: Severity) -> None:
        if message != self._told:
            self._told = message
            self._tell(message, severity)
