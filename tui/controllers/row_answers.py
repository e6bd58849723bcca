"""What the model answers to the rows of a dataset that no sweep has: those in sight and a page more.

They are asked while the table is open, one at a time, the rows in sight first; what is asked when it is left
is cancelled. What is known stays, as long as model and metric are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from interpboard.display import visible
from tui.session.engine_port import ask
from tui.session.state import Request

if TYPE_CHECKING:
    from interpboard.datasets.rows import DatasetRow
    from interpboard.sweeps.listed_rows import ListedRow
    from tui.session.engine_port import EngineLike
    from tui.session.session import Session
    from tui.session.shared_engine import Switchboard
    from tui.session.state import Question, State

PREFIX_OF_ROWS, SLOT_OF_ROWS = "D", "answer"


class RowAnswers:
    """``question`` says what a row asks; ``changed`` is called with each answer."""

    def __init__(
        self,
        session: Session,
        switchboard: Switchboard,
        question: Callable[[DatasetRow], Question],
        changed: Callable[[], None],
    ) -> None:
        self._session, self._board = session, switchboard
        self._question, self._changed = question, changed
        self.known: dict[int, ListedRow] = {}
        self._wanted: Sequence[ListedRow] = ()
        self._running: ListedRow | None = None
        self._engine: EngineLike | None = None
        self._of: object = None

    def see(self, rows: Sequence[ListedRow]) -> None:
        """These rows are wanted, the first of them first; none: the table is left."""
        self._wanted = rows
        if not rows:
            self._leave()
        else:
            self.go_on()

    def changed(self, state: State) -> None:
        """The app's snapshot has changed: the model may be there, or another one."""
        if self._wanted:
            self.go_on()

    def keep_of(self, rows: Sequence[ListedRow]) -> None:
        """These rows are open from now on: what is known of one that was another is forgotten."""
        sources = {row.number: row.source for row in rows}
        self.known = {
            number: own for number, own in self.known.items() if sources.get(number) == own.source
        }
        self._leave()
        self._wanted = ()

    def _leave(self) -> None:
        self._board.leave(PREFIX_OF_ROWS)
        self._running = self._engine = None

    def go_on(self) -> None:
        """Ask for the next row that is wanted and not known."""
        state = self._session.state
        if not self._session.ready or state.model is None:
            return
        of = (state.model.info, state.question.metric)
        if of != self._of:
            self._leave()
            self.known, self._of = {}, of
        if self._engine is None:
            self._engine = self._board.side(PREFIX_OF_ROWS, state.model)(self._take)
        if self._running is not None:
            return
        following = next((row for row in self._wanted if self._lacks(row)), None)
        if following is not None and following.source is not None:
            self._running = following
            request = Request("predictions", self._question(following.source))
            ask(self._engine, SLOT_OF_ROWS, request, None)

    def _lacks(self, row: ListedRow) -> bool:
        return row.number not in self.known and row.source is not None and not row.problem

    def _take(self, slot: str, event: Any) -> None:
        kind, row = type(event).__name__, self._running
        if kind == "Lost":
            self._running = None
        if row is None or slot != SLOT_OF_ROWS:
            return
        if kind == "Finished":
            self.known[row.number] = _answered(row, event.result)
        elif kind == "Failed":
            reason = visible(f"{event.message} {event.remedy}".strip())
            self.known[row.number] = replace(row, problem=reason)
        elif kind != "Stopped":
            return
        self._running = None
        self._changed()
        if kind != "Stopped":
            self.go_on()


def _answered(row: ListedRow, result: Any) -> ListedRow:
    """``row`` with a ``predictions`` result of its prompt."""
    target, ids = result.metric.target, result.extra["token_ids"].values
    known = row.target is not None and target is not None and target.id >= 0
    of_labels = result.metric.problem in ("value", "vector")
    return replace(
        row,
        answer=str(result.extra["tokens"].values[0]),
        probability=None if of_labels else float(result.values[0]),
        metric=result.baseline,
        right=int(ids[0]) == target.id if known else None,
    )
