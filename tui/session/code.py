"""What is on the screen as lines that make it again: Python, and ``interpboard analyze``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from interpboard.reproduce import command_line, script
from interpboard.results import Document, MetricRequest
from tui.session.restoring import question_of
from tui.session.state import State

if TYPE_CHECKING:
    from interpboard.store import SavedRun
    from tui.slots.spec import Slot


def code(state: State, slots: Iterable[Slot]) -> str:
    """Python for the results of ``slots``, then a comment with a command line for each document."""
    parts = list(result_documents(state, slots))
    return _written(parts) if parts else ""


def code_of_run(document: Document, run: SavedRun) -> str:
    """The same for a saved run."""
    question, metric = question_of(run), document.results[0].metric
    asked = MetricRequest(
        metric.name, question.target, question.foil_of(metric.name), question.position
    )
    return _written([(document, asked)])


def _written(parts: Sequence[tuple[Document, MetricRequest]]) -> str:
    shell = [line for part in parts for line in command_line(*part).splitlines()]
    return "\n".join([script(parts), *(f"# {line}" for line in shell)])


def result_documents(
    state: State, slots: Iterable[Slot]
) -> Iterator[tuple[Document, MetricRequest]]:
    """The results of ``slots`` with what was asked: as few documents as can hold them.

    A document is of one prompt and one question, and holds an analysis once. What a pane has at
    hand without showing it, an intervention that was removed, is left out.
    """
    if state.model is None:
        return
    groups: list[tuple[MetricRequest, list[str]]] = []
    for slot in slots:
        answer = state.slots[slot.name]
        if answer.result is None or answer.request is None or not slot.shown(state):
            continue
        question = answer.request.question
        metric = answer.request.metric or question.metric
        asked = MetricRequest(metric, question.target, question.foil_of(metric), question.position)
        for known, names in groups:
            others = [state.slots[other] for other in names]
            new = all(o.result and o.result.analysis != answer.result.analysis for o in others)
            if new and known == asked and others[0].prompt == answer.prompt:
                names.append(slot.name)
                break
        else:
            groups.append((asked, [slot.name]))
    for asked, names in groups:
        document = state.document(names)
        if document is not None:
            yield document, asked
