"""What is compared with what: A is kept, B is what the panes are on; and B − A of what both have. Pure.

``shown`` makes of the current snapshot the one that the panes show: B is that snapshot, A the other side's
own, and in B − A every slot has the difference as its result, or a line that says why there is none.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from tui.session.interventions import InterventionStack
from tui.session.selection import Selection
from tui.session.state import Answer, Answers, Question, State, same_tokens

if TYPE_CHECKING:
    from interpboard.results import Document
    from tui.slots.spec import Slot

Side = Literal["A", "B", "B − A"]
DIFFERENCE_SIDE: Side = "B − A"
TURN: tuple[Side, ...] = (DIFFERENCE_SIDE, "A", "B")  # what "compare" goes through, then off
FIRST, SECOND = "A", "B"
_SHOWS_A = frozenset({"view"})  # commands of a pane that only change how it is shown
# Commands of the app that look at what a pane shows of one prompt.
_OF_ONE_SIDE = frozenset({"open", "find", "find_next", "find_previous", "jump", "code"})


@dataclass(frozen=True, eq=False)
class Compared:
    """``a`` is the snapshot of the other side, ``name`` what it is: the prompt before, a pinned one, a model.

    ``models``: the same prompt in two models, not two prompts in one.
    """

    a: State
    name: str
    view: Side = DIFFERENCE_SIDE
    models: bool = False

    def next_view(self) -> Side | None:
        """What is shown after this one; None: the comparison ends."""
        at = TURN.index(self.view) + 1
        return TURN[at] if at < len(TURN) else None


def of_one_side(view: Side) -> frozenset[str]:
    """The app's commands that have nothing to act on while ``view`` is shown."""
    return _OF_ONE_SIDE if view == DIFFERENCE_SIDE else frozenset()


def acts_on_b(view: Side, id: str) -> bool:
    """Would a pane's own command change B while something else is shown? Then it is refused."""
    return view != SECOND and not (view == FIRST and id in _SHOWS_A)


def kept(state: State) -> State:
    """``state`` as the A of a comparison: its finished answers to its own question, nothing under way, and
    no engines: those that there are when it is compared may be others."""
    answers = {
        name: Answer(result=own.result, prompt=own.prompt, of=own.of, request=own.request)
        for name, own in state.slots.items()
        if own.result is not None and own.question == state.question
    }
    empty = {name: Answer() for name in state.slots}
    answered = Answers({**empty, **answers})
    return replace(state, slots=answered, compared=None, devices=(), asked_devices=1)


def following(a: State, b: State, *, models: bool, selection: Selection) -> State:
    """``a`` asked as ``b`` is: the same methods, parameters, metric, and cursor.

    Of two models also the same prompt, target, corrupted prompt and interventions. Of two prompts each keeps
    its own, until a target is chosen while they are compared: see ``asked_of_both``.
    """
    a = replace(a, params=b.params, analyses=b.analyses, selection=selection)
    for name in ("examples", "translators"):
        a = replace(a, **{name: getattr(b, name)})
    if models:
        infos = [side.model.info if side.model is not None else None for side in (a, b)]
        if same_tokens(*infos):
            a = replace(a, marked=b.marked, spans=b.spans)
        return replace(
            a,
            question=b.question,
            corrupted=b.corrupted,
            interventions=InterventionStack(b.interventions.items),
        )
    return replace(a, question=replace(a.question, metric=b.question.metric, foil=_foil(a, b)))


def _foil(a: State, b: State) -> str | None:
    """A difference of two tokens needs a foil: A's own, or that of B."""
    return a.question.foil or (b.question.foil if b.question.metric == "logit_diff" else None)


def asked_of_both(a: State, before: Question, now: Question) -> State:
    """``a`` with the target and foil that were chosen for B since ``before``, on the same prompt."""
    if now.text != before.text or (now.target, now.foil) == (before.target, before.foil):
        return a
    return replace(a, question=replace(a.question, target=now.target, foil=now.foil))


def shown(state: State, slots: Mapping[str, Slot], cache: DifferenceCache) -> State:
    """What the panes show of ``state``."""
    compared = state.compared
    if compared is None or compared.view == SECOND:
        return state
    if compared.view == FIRST:
        return replace(compared.a, compared=compared, engine=state.engine)
    answers = {name: cache.of(slots[name], compared.a, state) for name in slots}
    return replace(state, slots=Answers(answers))


@dataclass
class DifferenceCache:
    """Differences that were taken: each once for the two results that it is of."""

    _known: dict[str, tuple[tuple[object, ...], Answer]] = field(default_factory=dict)

    def of(self, slot: Slot, a: State, b: State) -> Answer:
        """B − A of what ``slot`` has on both sides, or why there is none."""
        reason = _waits(slot, a, "A") or _waits(slot, b, "B")
        if reason:
            return Answer(failure=reason)
        parts = (slot.name, *(slot.beside if slot.as_shown is not None else ()))
        made_of = tuple(state.slots[name].result for state in (a, b) for name in parts)
        known = self._known.get(slot.name)
        if known is not None and all(map(operator.is_, known[0], made_of)):
            return known[1]
        answer = _difference(slot, a, b)
        self._known[slot.name] = (made_of, answer)
        return answer


def _waits(slot: Slot, state: State, side: str) -> str:
    """Why the slot's answer of that side cannot be compared yet; empty: it can."""
    answer = state.slots[slot.name]
    if state.engine.phase == "gave up" and answer.result is None:
        return f"{side}: its engine ended too often."
    if state.model is None:
        return f"{side}: its model is loading."
    wanted = slot.request(state)
    if answer.job is not None:
        share = f", {100 * answer.job.fraction:.0f}%" if answer.job.total else ""
        return f"{side} is being computed{share}: no difference of parts."
    if answer.result is None or (wanted is not None and answer.request != wanted):
        if answer.failed is not None and answer.failure:
            return f"{side}: {answer.failure}"
        return f"{side} has no result of this here."
    return ""


def _difference(slot: Slot, a: State, b: State) -> Answer:
    from interpboard.comparison import difference
    from interpboard.errors import BadParameter

    documents = [_shown_document(slot, state) for state in (a, b)]
    first, second = documents
    if first is None or second is None:
        return Answer(failure="There is no model to compare with.")
    try:
        made = difference(first, second)
    except BadParameter as refused:
        return Answer(failure=f"Not compared: {refused}")
    return Answer(
        result=made, prompt=second.prompt, of=second.model, request=b.slots[slot.name].request
    )


def _shown_document(slot: Slot, state: State) -> Document | None:
    """The result of a slot as a document, with what its view shows beside it."""
    document = answer_document(state, slot.name)
    if document is None or slot.as_shown is None:
        return document
    shown = slot.as_shown(replace(state, compared=None), document.results[0])
    from msgspec.structs import replace as with_fields  # the list of settings needs none of it

    return with_fields(document, results=(shown,))


def answer_document(state: State, slot: str) -> Document | None:
    """The result of one slot as a document."""
    return state.document([slot])


def why_not_compared(names: Iterable[str]) -> tuple[str, ...]:
    """The warnings of a difference that the line above does not say already."""
    said = ("different models", "different number formats", "different positions")
    return tuple(name for name in names if not name.startswith(said))


def written_side(b: State) -> dict[str, Any] | None:
    """What is kept of a comparison, so that resuming finds it: which A, with which prompt, which view."""
    compared = b.compared
    if compared is None or compared.a.model is None:
        return None
    from interpboard.registry.loading import option_words

    info, question = compared.a.model.info, compared.a.question
    return {
        "with": b.question.text,
        "name": compared.name,
        "view": compared.view,
        "models": compared.models,
        "model": info.name,
        "dtype": info.dtype,
        "opened": option_words(info.options),
        "weights": info.weights,
        "prompt": question.text,
        "shown": question.shown,
    }


def same_prompt(a: State, b: State) -> bool:
    """Is it the same prompt of the same model?"""
    models = [own.model.info if own.model is not None else None for own in (a, b)]
    same = (a.question.text, a.question.kind) == (b.question.text, b.question.kind)
    return same and models[0] == models[1]
