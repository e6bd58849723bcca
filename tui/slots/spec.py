"""A slot: one question that the app keeps an answer to, with all that the app has to know of it.

A pane shows a slot, a screen over the panes has one, and some stand beside another. What is asked, saved,
restored, copied, listed in help and footer follows from these values; ``tui.catalogue`` has them all.
Views are named, not imported: ``interpboard config show`` reads the table and needs no Textual.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tui.session.state import Question, Request

if TYPE_CHECKING:
    from interpboard.results import Result
    from tui.commands.command import Command
    from tui.session.state import State

SlotKind = Literal["pane", "screen", "beside", "job"]
# A question that names no metric of its own explains the logit where this one is no sum of parts.
_LINEAR = ("logit", "logit_diff", "value")
# Parameters that a pane has keys of its own for.
OF_THE_PANE = ("subject", "spans", "state", "corrupted", "site", "preview")


class Place(NamedTuple):
    """Where a pane is: its number, its title where there is room for it and where there is not.

    ``about`` says in a few words what it answers. Between one pane and all of them, those of the same
    ``group`` share a place: the one visited last is in sight.
    """

    number: int
    title: str
    about: str
    short: str = ""
    group: str = ""


@dataclass(frozen=True)
class JobForm:
    """How a long job is asked for: its name, whether it leaves a file or a folder, and which.

    ``{model}`` in ``file`` is the model's name. ``warning`` says what beginning anew would write over.
    """

    title: str
    out: str
    file: str
    warning: Callable[[Path], str] = lambda _out: ""


@dataclass(frozen=True, eq=False)
class Slot:
    """``name`` is what is saved; ``analysis`` runs unless the user chose another one."""

    name: str
    analysis: str
    kind: SlotKind = "beside"
    build: Callable[[Slot, State], Request | None] | None = None  # None: with what the user chose
    restore: Callable[[Slot, State, Result], State] | None = None  # None: what it was asked with
    formerly: tuple[str, ...] = ()  # names under which older programs saved it
    # What the state becomes where the engine refused a request, for a reason of that kind.
    refused: Callable[[State, Request, str], State] | None = None
    # -- when it is asked
    checks_question: bool = False  # asked first: what is wrong with a question is wrong here
    always: bool = False  # with every new question, in sight or not: cheap, and others need it
    follows_cursor: bool = False  # again where the cursor rests, or once what it goes with is there
    leads: bool = False  # what is at rest follows once it is there
    saved: bool = True  # not what a cursor passes, nor what leaves a file of its own
    resumes: bool = True  # is it what was on the screen when the app was left?
    # -- what it is of
    methods: Callable[[], tuple[str, ...]] | None = None  # the analyses that may run here
    with_corrupted: str = ""  # the analysis that runs once a corrupted prompt is chosen
    only_method: Callable[[State], str] = lambda _state: (
        ""
    )  # why there is no other; empty: there is
    choose_method: Callable[[Any], None] | None = None  # where it is more than the next of them
    choose_view: Callable[[Any], None] | None = None  # where it is not its view alone that changes
    by_method: bool = False  # each of them keeps parameters of its own
    of_edits: bool = False  # it says what the interventions do, and nothing where there are none
    form: JobForm | None = None  # how a job is asked for
    after: Callable[[Any, Request], str] | None = None  # what a job has left, taken into use
    shown: Callable[[State], bool] = lambda _state: True  # or is it only at hand?
    # -- where it is seen
    place: Place | None = None
    opener: Command | None = None  # the command that opens its screen
    title: str = ""  # of its job in the status line, where the analysis' own would mislead
    beside: tuple[str, ...] = ()  # slots that its view shows too
    draws_partial: bool = False  # its view shows what a job under way has computed so far
    # Its result with what its view shows of those: exported as one. None: each is exported on its own.
    as_shown: Callable[[State, Result], Result] | None = None
    view: str = ""  # ``module:class``
    # -- what people read and press
    about: tuple[str, ...] = ()
    keys: tuple[Command, ...] = ()
    in_palette: Callable[[], list[Command]] | None = None  # commands that are made when it opens

    def request(self, state: State) -> Request | None:
        """What it asks now, None if it has nothing to ask."""
        asked = self.build(self, state) if self.build is not None else self.plain_request(state)
        return asked if asked is None or _has_place(state, asked) else None

    def plain_request(self, state: State) -> Request:
        """Its analysis about the current question, with what the user chose for it."""
        return Request(self.analysis_in(state), state.question, self.params_in(state))

    def analysis_in(self, state: State) -> str:
        """The analysis that runs here now."""
        return state.analyses.get(self.name, self.analysis)

    def params_key(self, state: State) -> str:
        """Where ``State.params`` keeps its parameters."""
        return self.analysis_in(state) if self.by_method else self.name

    def params_in(self, state: State) -> dict[str, Any]:
        """What the user chose for its analysis."""
        return dict(state.params.get(self.params_key(state), {}))

    def stale(self, state: State) -> bool:
        """Does it show an answer to an older question, or of other weights?"""
        answer = state.slots[self.name]
        if answer.result is None:
            return False
        return state.of_other_weights(self.name) or answer.request != self.request(state)

    def untried(self, state: State) -> bool:
        """Does it ask for something that it neither shows, nor is about to, nor has failed at?"""
        wanted, answer = self.request(state), state.slots[self.name]
        there = answer.request if answer.job is None else answer.pending
        tried = answer.failed if answer.job is None else None
        return wanted is not None and wanted not in (there, tried)

    def lacking(self, state: State) -> bool:
        """Does it ask for something that it does not show whole, and is not about to?"""
        wanted, answer = self.request(state), state.slots[self.name]
        if wanted is None or (answer.job is not None and answer.pending == wanted):
            return False
        partial = answer.result is not None and answer.result.partial is not None
        return partial or self.stale(state) or answer.result is None

    def restored(self, state: State, result: Result) -> State:
        """``state`` with what the user had decided for it when ``result`` was computed."""
        if self.restore is not None:
            return self.restore(self, state, result)
        return self.decided(state, result, result_params(result))

    def decided(self, state: State, result: Result, params: dict[str, Any]) -> State:
        """``state`` with the analysis of ``result`` and these parameters chosen."""
        analyses = dict(state.analyses)
        if result.analysis != self.analysis:
            analyses[self.name] = result.analysis
        return replace(state, params={**state.params, self.name: params}, analyses=analyses)

    def load_view(self) -> Any:
        """The class of its view."""
        module, _, name = self.view.partition(":")
        return getattr(import_module(module), name)


def _has_place(state: State, asked: Request) -> bool:
    """Is there a place that the model is asked about? A masked one needs its mask, but for a whole text."""
    if not state.lacks_mask or asked.question.text != state.question.text:
        return True
    from interpboard.registry import ANALYSES

    return ANALYSES[asked.analysis].own_measure


def result_params(result: Result) -> dict[str, Any]:
    """The parameters that were chosen; the registry is imported when a result is there."""
    from interpboard.reproduce import own_params

    return own_params(result)


def linear(state: State, request: Request) -> Request:
    """Only logits are sums of parts."""
    return request if state.question.metric in _LINEAR else replace(request, metric="logit")


def linear_request(slot: Slot, state: State) -> Request:
    """What the user chose, of the logit where the metric is no sum of parts."""
    return linear(state, slot.plain_request(state))


def restore_nothing(slot: Slot, state: State, result: Result) -> State:
    """What is decided elsewhere."""
    return state


def of_job(slot: Slot, state: State) -> Request | None:
    """Once somebody said on which text; the prompt is not looked at."""
    chosen = slot.params_in(state)
    question = Question(state.question.text, kind=state.question.kind)
    return Request(slot.analysis, question, chosen) if chosen else None
