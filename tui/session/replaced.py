"""Jobs that were set down while the engine still told of them: the cells on their way are kept too.

A slot has one job. Once it has another, or none, what comes of the one before it belongs to no slot: it is
gathered here until that job has ended.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tui.session.job import Job
from tui.session.state import Answer

if TYPE_CHECKING:
    from interpboard.engine.protocol import Progress
    from interpboard.results import ModelInfo
    from tui.session.state import State

MOST_LEFT = 40  # jobs that were set down and have not ended: more than a person can leave behind


@dataclass
class ReplacedJobs:
    """By the numbers that the engine gave them; ``under_way`` by slot."""

    under_way: dict[str, int] = field(default_factory=dict)
    _left: dict[int, tuple[str, ModelInfo, Answer]] = field(default_factory=dict)

    def set_down(self, state: State, slot: str) -> None:
        """The job of ``slot`` is under way no more; what it still tells is listened to."""
        number, answer = self.under_way.pop(slot, 0), state.slots[slot]
        if number and answer.job is not None and state.model is not None:
            self._left[number] = (slot, state.model.info, answer)
            for oldest in list(self._left)[:-MOST_LEFT]:
                del self._left[oldest]

    def heard(self, state: State, event: Any) -> State | None:
        """``state`` once ``event`` of such a job is heard; None: it is of no such job.

        With the job's end, all that it had computed is there to go on from.
        """
        from tui.session.unfinished import known_cells, unfinished, with_unfinished

        late = type(event).__name__ == "Late"
        event = event.event if late else event
        number, kind = getattr(event, "job", 0), type(event).__name__
        if number not in self._left:
            return state if late else None
        slot, of, answer = self._left[number]
        if kind == "Begun":
            answer = replace(answer, begun=(event.prompt, event.result))
        last = event if kind == "Progress" else getattr(event, "last", None)
        answer = answer if last is None else _with(answer, last)
        self._left[number] = slot, of, answer
        if kind in ("Begun", "Progress"):
            return state
        del self._left[number]
        found = unfinished(of, slot, answer)
        if found is None:
            return state
        known = known_cells(state, slot, found.request)
        cells = found.result.partial.cells if found.result.partial is not None else None
        new = cells is not None and (known is None or len(cells) > len(known))
        return with_unfinished(state, found) if new else state


def _with(answer: Answer, last: Progress) -> Answer:
    """``answer`` with what its job told in ``last``."""
    return replace(
        answer,
        job=replace(answer.job or Job(), done=last.done, total=last.total),
        cells=answer.cells if last.cells is None else (*answer.cells, last.cells),
        partial=answer.partial if last.partial is None else last.partial,
    )
