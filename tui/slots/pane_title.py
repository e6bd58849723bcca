"""A pane's title, and beside it how its answer stands: of what it is, how much of it there is, what runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

from interpboard.display import visible
from tui import words
from tui.commands.command import shown_keys
from tui.session.compared import why_not_compared
from tui.widgets import lines
from tui.widgets.line import in_rows

if TYPE_CHECKING:
    from interpboard.results import Result
    from tui.session.state import State
    from tui.slots.spec import Slot
    from tui.theme import Inks

CLEAN_RUN = "clean run"  # said where there are interventions and the numbers are without them


def pane_title(
    slot: Slot, ink: Inks, *, clean_run: bool, noted: str, more: str, factor: str, room: int
) -> Text:
    """Number and name, whether the numbers are without the interventions, its notes, and what they are.

    In ``room`` cells; ``factor`` is the power of ten that the numbers share: it is there whole, whatever else
    has to go, because without it they are others.
    """
    place = slot.place
    assert place is not None
    title = Text.assemble((f"{place.number} ", "bold"), (place.title, "bold"))
    if clean_run:
        title.append(f"  {CLEAN_RUN}", ink.warning)
    if noted:
        title.append(f"  {noted}", ink.accent)
    title.append(f"  {more}" if more else "")
    shared = f"  {factor}" if factor else ""
    return in_rows(title, max(1, room - len(shared))).append(shared)


def difference_title(result: Result | None) -> str:
    """``B − A of head ablation, logit ·Paris``."""
    if result is None:
        return "B − A"
    name = words.analysis_title(result.analysis.removeprefix("difference of "))
    return f"B − A of {name}{_compared_metric(result)}"


def _compared_metric(result: Result) -> str:
    """``, logit ·Paris``; of different targets both; nothing where no token is explained."""
    from interpboard.comparison import has_metric

    if not has_metric(result):
        return ""
    if result.metric.target is not None or result.metric.name == "kl":
        return f", {words.metric_name(result.metric)}"
    both = (words.token(str(result.params.get(f"{side}_target"))) for side in "ba")
    return f", {result.metric.name} {words.MINUS.join(f' {token} ' for token in both).strip()}"


def answer_standing(
    slot: Slot,
    state: State,
    ink: Inks,
    empty_hint: str,
    *,
    difference: bool,
    room: int | None = None,
) -> Text:
    """What is not the answer of a slot: of what it is, how much of it there is, what is under way.

    In ``room`` cells, if given: a running job says less then, and what still does not fit ends at a word.
    ``difference``: B − A is shown, or a mean, and how it stands is what its result warns of.
    """
    answer, previous = state.slots[slot.name], state.previous(slot.name)
    if difference:
        differs = why_not_compared(answer.result.warnings) if answer.result is not None else ()
        said = "; ".join(each.rstrip(".") for each in differs)
        return _in_room(Text(visible(said), ink.warning), room)
    parts: list[tuple[str, str]] = [(previous, ink.warning)] if previous else []
    run = shown_keys("run")
    job, again = answer.job, _asked_again(state, slot.name)
    if again and job is not None and not (job.total and job.runs):
        job = None  # what is there is right, and nobody waits for it
    if job is not None:
        older = answer.result is not None and answer.partial is None and not (previous or again)
        behind = ": older values" if older else ""
        taken = len(behind) + sum(cell_len(part) + 2 for part, _ in parts)
        running = lines.standing(job, None if room is None else room - taken)
        parts.append((running + behind, ink.text))
    elif answer.result is not None and answer.failure:
        parts.append((visible(answer.failure), ink.warning))
    elif slot.stale(state):
        asks = slot.request(state) is not None
        of = "" if previous else "an older question: "
        stale = f"{of}{run} runs this one" if asks else f"older: {empty_hint}"
        parts.append((stale, ink.warning))
    elif answer.result is not None and answer.result.partial is not None:
        parts.append((f"partial: {answer.result.partial}, {run} goes on", ink.warning))
    return _in_room(Text(", ").join(Text(part, style) for part, style in parts if part), room)


def _asked_again(state: State, name: str) -> bool:
    """Is what the slot shows whole, and an answer to what its job is asked?"""
    answer = state.slots[name]
    whole = answer.result is not None and answer.result.partial is None
    return whole and answer.pending == answer.request and not state.previous(name)


def _in_room(text: Text, room: int | None) -> Text:
    return text if room is None else in_rows(text, max(1, room))
