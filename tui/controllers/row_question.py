"""What a row of a dataset or a sweep asks of the panes: its question, and the sweep's analyses. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from tui.session.state import Question

if TYPE_CHECKING:
    from interpboard.datasets.rows import DatasetRow
    from interpboard.sweeps.listed_rows import ListedRow
    from interpboard.sweeps.request import SweepRequest
    from tui.session.state import PromptKind, State
    from tui.slots.spec import Slot


def row_question(source: DatasetRow, swept: SweepRequest | None, metric: str) -> Question:
    """The row's own target, foil and position; what it has not, as the sweep takes it. ``metric``: that of
    the panes, for a row that was not swept."""
    asked = swept.metric if swept is not None else None
    foil = source.foil if source.foil is not None or asked is None else asked.foil
    target = source.target if source.target is not None or asked is None else asked.target
    position = source.position
    if position is None:
        position = asked.position if asked is not None else -1
    metric = asked.name if asked is not None else _contrasting(metric, foils=foil is not None)
    text, kind = _as_prompt(source)
    return Question(text, metric, target, foil, position, kind)


def metric_of_rows(rows: Iterable[ListedRow], metric: str) -> str:
    """What a sweep of ``rows`` is measured by: what each of them is in the panes, if all have a foil or none;
    ``metric``: that of the panes."""
    usable = [row.source for row in rows if row.source is not None and not row.source.problem]
    return _contrasting(
        metric, foils=bool(usable) and all(source.foil is not None for source in usable)
    )


def _contrasting(metric: str, *, foils: bool) -> str:
    """A foil is there to be contrasted with."""
    return "logit_diff" if foils else metric.replace("logit_diff", "logit")


def as_swept(
    state: State, slots: Collection[Slot], swept: SweepRequest | None, of_row: dict[str, str]
) -> dict[str, Any]:
    """Analyses and parameters of the panes (fields of ``State``): those of the sweep, if the row is of one.

    ``of_row``: the methods that the row itself calls for; a pane asks one thing, the sweep's first.
    """
    analyses, params, taken = dict(state.analyses), dict(state.params), set[str]()
    if swept is not None:
        from interpboard.sweeps.request import OF_THE_ROW

        for analysis in swept.analyses:
            slot = next((each for each in slots if _may_run(each, analysis)), None)
            if slot is None or slot.name in taken or of_row.get(slot.name, analysis) != analysis:
                continue
            taken.add(slot.name)
            analyses[slot.name] = analysis
            given = swept.params.get(analysis, {})
            own = {name: value for name, value in given.items() if name not in OF_THE_ROW}
            params[analysis if slot.by_method else slot.name] = own
    return {"analyses": {**analyses, **of_row}, "params": params}


def _may_run(slot: Slot, analysis: str) -> bool:
    """Is it an analysis of that pane?"""
    if slot.place is None:
        return False
    return analysis in (slot.analysis, *(slot.methods() if slot.methods is not None else ()))


def _as_prompt(source: Any) -> tuple[str, PromptKind]:
    """A row's prompt as the panes take it: a text, or the JSON of a chat."""
    if source.messages is None:
        return source.text, "text"
    from interpboard.results import Chat, Message
    from interpboard.results.chats import chat_json

    messages = tuple(Message(role, content) for role, content in source.messages)
    goes_on = source.messages[-1][0] == "assistant"
    return chat_json(Chat(messages, continue_final_message=goes_on)), "chat"
