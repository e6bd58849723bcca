"""What the app knows, as frozen snapshots. ``session.Session`` owns the one current snapshot.

A *question* is what every pane answers: text, metric, target, foil, position. A *request* is the analysis
that one slot asks of the engine for it (``tui.slots`` say which). Each slot keeps the newest result together
with the request it answers, so a pane can tell whether what it shows is stale.
Nothing here imports numpy: the first screen is painted from these classes alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from interpboard.config import DEFAULT_TEXT
from tui.session.chat_draft import chat_line
from tui.session.interventions import InterventionStack
from tui.session.job import Job
from tui.session.selection import Selection

if TYPE_CHECKING:
    from interpboard.results import Cells, Document, LabelledArray, ModelInfo, PromptInfo, Result
    from interpboard.store import Note
    from tui.session.compared import Compared
    from tui.session.means import Means
    from tui.session.unfinished import Unfinished

_METRICS = ("logit", "logit_diff", "prob", "logprob")

# A chat is written as JSON. A bare text is looked at beside a chat: nothing is put around it.
PromptKind = Literal["text", "chat", "bare"]
Phase = Literal["starting", "loading", "ready", "failed", "restarting", "gave up"]


@dataclass(frozen=True)
class Question:
    """What is to be explained. Without target: the model's top token; position −1: the last.

    ``text`` is the prompt as it was given: of the kind ``chat`` JSON that ``results.chats`` reads.
    """

    text: str = DEFAULT_TEXT
    metric: str = "logit"
    target: str | None = None
    foil: str | None = None
    position: int = -1
    kind: PromptKind = "text"

    @property
    def shown(self) -> str:
        """The prompt as lines name it: of a chat its last turn, and who spoke before."""
        return chat_line(self.text) if self.kind == "chat" else self.text

    def next_metric(self) -> Question:
        """The next metric in turn; ``logit_diff`` only where there is a foil."""
        names = [name for name in _METRICS if name != "logit_diff" or self.foil is not None]
        at = names.index(self.metric) + 1 if self.metric in names else 0
        return replace(self, metric=names[at % len(names)])

    def without_tokens(self) -> Question:
        """The same without target and foil: another tokenizer may not have them."""
        return replace(self, target=None).with_foil(None)

    def foil_of(self, metric: str) -> str | None:
        """The foil, where ``metric`` is a difference to it."""
        return self.foil if metric == "logit_diff" else None

    def with_foil(self, foil: str | None) -> Question:
        """With a foil the metric is the difference; without one it cannot be."""
        if foil is not None:
            return replace(self, foil=foil, metric="logit_diff")
        metric = "logit" if self.metric == "logit_diff" else self.metric
        return replace(self, foil=None, metric=metric)


@dataclass(frozen=True)
class Request:
    """One analysis, for one question. ``metric``: instead of the question's, where that cannot be had."""

    analysis: str
    question: Question
    params: Mapping[str, Any] = field(default_factory=dict)
    metric: str = ""


@dataclass(frozen=True, eq=False)
class Answer:
    """What a slot has: the newest result, the request it answers, and the job under way.

    ``failed`` came to nothing, for the reason ``failure``. A result may be ``partial``. ``of``: the model of
    a saved result; None: of the model in use.
    """

    result: Result | None = None
    prompt: PromptInfo | None = None
    of: ModelInfo | None = None
    request: Request | None = None
    pending: Request | None = None  # what the job under way will answer
    failed: Request | None = None
    failure: str = ""
    partial: LabelledArray | None = None
    job: Job | None = None
    begun: tuple[PromptInfo, Result] | None = None  # what the job's result will be, without values
    cells: tuple[Cells, ...] = ()  # what it has computed so far, where that can be gone on from

    @property
    def question(self) -> Question | None:
        """What the result explains."""
        return self.request.question if self.request is not None else None

    @property
    def turn(self) -> tuple[bool, int]:
        """When the engine comes to the job under way: what runs is before what is quick."""
        from interpboard.registry import ANALYSES
        from interpboard.registry.spec import COSTS

        asked, waits = self.pending, self.job is None or not self.job.runs
        known = ANALYSES.get(asked.analysis) if asked is not None else None
        return waits, COSTS.index(known.cost_with(asked.params)) if asked and known else 0

    @property
    def named(self) -> Result | None:
        """What says what the numbers in sight are of; of the job under way it has no values yet."""
        if self.partial is None:
            return self.result
        return self.begun[1] if self.begun is not None else None

    @property
    def named_prompt(self) -> PromptInfo | None:
        """The prompt that the numbers in sight are of."""
        if self.partial is None:
            return self.prompt
        return self.begun[0] if self.begun is not None else None


class Answers(dict[str, Answer]):
    """What the slots have, by name. One that nobody has asked yet has nothing."""

    def __missing__(self, name: str) -> Answer:
        return Answer()


@dataclass(frozen=True, eq=False)
class Model:
    """The model in use, as the status line says it."""

    info: ModelInfo
    path: str
    parameters: int
    memory_bytes: int
    context: int = 0
    notes: tuple[str, ...] = ()


def same_tokens(one: ModelInfo | None, other: ModelInfo | None) -> bool:
    """Do both make the same tokens of a text? What is marked by position is marked for both then."""
    return (
        one is not None
        and other is not None
        and bool(one.tokenizer)
        and one.tokenizer == other.tokenizer
        and one.special_tokens == other.special_tokens
    )


@dataclass(frozen=True)
class Engine:
    """The engine process. ``notice`` outlives a restart: it says what happened to the last one."""

    phase: Phase = "starting"
    stage: str = ""
    opening: str = ""  # the model that was asked for
    not_opened: str = ""  # the one whose loading failed or was stopped, until another is there
    fraction: float = 0.0
    notice: str = ""
    log: tuple[str, ...] = ()  # the last lines of a dead engine's log
    lost: tuple[str, ...] = ()  # slots whose job went with it


@dataclass(frozen=True, eq=False)
class State:
    """One snapshot of everything."""

    question: Question = Question()
    good: Question | None = None  # the last one that the engine answered; errors go back to it
    model: Model | None = None
    engine: Engine = Engine()
    devices: tuple[str, ...] = ()  # whose engines share the grids, where several were asked for
    asked_devices: int = 1
    selection: Selection = field(default_factory=Selection)
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    analyses: Mapping[str, str] = field(default_factory=dict)  # chosen instead of the slots' own
    interventions: InterventionStack = field(default_factory=InterventionStack)
    notes: tuple[Note, ...] = ()  # of all sessions, in the order in which they were written
    marked: tuple[str, tuple[int, ...]] = ("", ())  # a text, and the positions of its subject
    spans: tuple[str, tuple[tuple[int, int], ...]] = ("", ())  # the same, of spans [begin, end)
    reasoning_open: bool = False  # is what stands between <think> marks shown?
    corrupted: str | None = None  # the prompt that the clean one is compared with
    examples: str = ""  # a file of max-activating examples
    translators: str = ""  # a folder with a tuned lens
    unfinished: tuple[Unfinished, ...] = ()  # the newest last
    dataset: str = ""  # a file with prompts whose circuit can be found
    compared: Compared | None = None  # what is shown beside this prompt, or taken from it
    sweep: str = ""  # how far the sweep that runs beside the app is, in words
    means: Means | None = None  # over the rows of a sweep, shown in place of this prompt's answers
    slots: Mapping[str, Answer] = field(default_factory=lambda: Answers())

    def with_slot(self, name: str, **changes: Any) -> State:
        """This snapshot with one slot changed."""
        return replace(
            self, slots=Answers({**self.slots, name: replace(self.slots[name], **changes)})
        )

    def asking(self, name: str, request: Request, title: str, cells: Cells | None) -> State:
        """This snapshot with ``request`` under way in a slot; ``cells`` of it are known."""
        known = () if cells is None else (cells,)
        return self.with_slot(
            name, job=Job(title=title), pending=request, failure="", partial=None, begun=None, cells=known,
        )  # fmt: skip

    def without_jobs(self) -> State:
        """This snapshot with nothing under way in any slot."""
        ended: dict[str, Any] = {
            "job": None, "partial": None, "pending": None, "begun": None, "cells": (),
        }  # fmt: skip
        return replace(
            self, slots=Answers({name: replace(own, **ended) for name, own in self.slots.items()})
        )

    @property
    def problem(self) -> str:
        """What a model with labels was trained for; empty where it predicts tokens."""
        return "" if self.model is None else self.model.info.problem

    @property
    def lacks_mask(self) -> bool:
        """Does the model fill a mask in, and the prompt have none, nor a position in its place?"""
        mask = "" if self.model is None else self.model.info.mask_token
        return bool(mask) and mask not in self.question.text and self.question.position == -1

    @property
    def rendered(self) -> str | None:
        """The prompt as the model reads it: of a chat what its template makes of it; None: not known yet."""
        if self.question.kind != "chat":
            return self.question.text
        for answer in self.slots.values():
            asked = answer.question
            if answer.prompt is not None and asked is not None and asked.text == self.question.text:
                return answer.prompt.text
        return None

    def beside(self, text: str) -> Question:
        """The same asked of another text, which is made as this prompt was."""
        bare = self.question.kind != "text"
        return replace(self.question, text=text, kind="bare" if bare else "text")

    @property
    def subject(self) -> tuple[int, ...]:
        """Positions of the subject that was marked in this prompt."""
        return self.marked[1] if self.marked[0] == self.question.text else ()

    def of_other_weights(self, name: str) -> bool:
        """Does the slot show a saved result of other weights than the model's that is in use?"""
        of = self.slots[name].of
        if of is None or self.model is None or of == self.model.info:
            return False
        from interpboard.files.fingerprint import FingerprintMatch, compare

        return compare(of.weights, self.model.info.weights) is FingerprintMatch.other

    def previous(self, name: str) -> str:
        """What the slot shows instead of this prompt and this model, in words; empty: it is of these."""
        answer = self.slots[name]
        shows_job = answer.partial is not None and answer.pending is not None
        request = answer.pending if shows_job else answer.request
        if request is None or not (shows_job or answer.result is not None):
            return ""
        of = answer.of if not shows_job else None
        if of is not None and self.model is not None and of.name != self.model.info.name:
            return "another model"
        if self.of_other_weights(name) and not shows_job:
            return "other weights"
        return "previous prompt" if request.question.text != self.question.text else ""

    def edited(self, name: str) -> Result | None:
        """The newest result of ``name`` while an intervention is on; it may be of an older list of them."""
        slot = self.slots[name]
        same = slot.request is not None and slot.request.question == self.question
        whole = slot.result is not None and slot.result.partial is None
        return slot.result if self.interventions.text and same and whole else None

    @property
    def busy(self) -> tuple[str, ...]:
        """Slots with a job under way: the one that runs, then those that wait, what is quick first."""
        jobs = [(name, slot) for name, slot in self.slots.items() if slot.job is not None]
        if len(jobs) > 1:
            jobs.sort(key=lambda item: item[1].turn)
        return tuple(name for name, _ in jobs)

    @property
    def begun(self) -> bool:
        """Has a job begun, so that it may have computed what is not told yet?"""
        return any(slot.job is not None and slot.begun is not None for slot in self.slots.values())

    def document(self, names: Iterable[str]) -> Document | None:
        """The results of the slots that answer the same text as the first of them."""
        from interpboard.results import Document

        kept = [self.slots[name] for name in names if self.slots[name].result is not None]
        if not kept or self.model is None or kept[0].prompt is None:
            return None
        prompt, asked = kept[0].prompt, kept[0].question
        of = whose = kept[0].of or self.model.info
        if asked is not None and asked.kind == "bare" and of.special_tokens:
            from msgspec.structs import replace as with_fields

            of = with_fields(of, special_tokens=False)
        same = (s for s in kept if s.prompt == prompt and (s.of or self.model.info) == whose)
        return Document(model=of, prompt=prompt, results=tuple(s.result for s in same if s.result))
