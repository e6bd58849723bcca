"""What the app knows, as frozen snapshots. ``session.Session`` owns the one current snapshot.

An *ask* is everything the user decides: text, metric, target, foil, position. Each slot keeps the
newest result together with the ask it answers, so a pane can tell whether what it shows is stale.
Nothing here imports numpy: the first screen is painted from these classes alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from interpboard.results import Document, LabelledArray, ModelInfo, PromptInfo, Result

DEFAULT_TEXT = "The Eiffel Tower is located in the city of"
METRICS = ("logit", "logit_diff", "prob", "logprob")

# Slot -> the analysis that runs there, in the order they are asked of the engine: quick ones first.
SLOTS: dict[str, str] = {
    "predictions": "predictions",
    "tokens": "integrated_gradients",
    "lens": "logit_lens",
    "heads": "head_ablation",
}

Phase = Literal["starting", "loading", "ready", "failed", "restarting", "gave up"]


@dataclass(frozen=True)
class Ask:
    """What is to be explained. Without target: the model's top token; position −1: the last."""

    text: str = DEFAULT_TEXT
    metric: str = "logit"
    target: str | None = None
    foil: str | None = None
    position: int = -1

    def next_metric(self) -> Ask:
        """The next metric in turn; ``logit_diff`` only where there is a foil."""
        names = [name for name in METRICS if name != "logit_diff" or self.foil is not None]
        at = names.index(self.metric) if self.metric in names else -1
        return replace(self, metric=names[(at + 1) % len(names)])

    def with_foil(self, foil: str | None) -> Ask:
        """With a foil the metric is the difference; without one it cannot be."""
        if foil is not None:
            return replace(self, foil=foil, metric="logit_diff")
        return replace(
            self, foil=None, metric="logit" if self.metric == "logit_diff" else self.metric
        )


@dataclass(frozen=True)
class Job:
    """A running or waiting analysis. ``total=0``: it has not begun."""

    done: int = 0
    total: int = 0

    @property
    def fraction(self) -> float:
        """0 … 1."""
        return self.done / self.total if self.total else 0.0


@dataclass(frozen=True, eq=False)
class Slot:
    """One place on the screen: the newest result, the ask it answers, and the job under way."""

    result: Result | None = None
    prompt: PromptInfo | None = None
    ask: Ask | None = None
    pending: Ask | None = None  # what the job under way will answer
    partial: LabelledArray | None = None
    job: Job | None = None


@dataclass(frozen=True, eq=False)
class Model:
    """The model in use, as the status line says it."""

    info: ModelInfo
    path: str
    parameters: int
    memory_bytes: int
    context: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Engine:
    """The engine process. ``notice`` outlives a restart: it says what happened to the last one."""

    phase: Phase = "starting"
    stage: str = ""
    fraction: float = 0.0
    notice: str = ""
    last_words: str = ""  # the last line of a dead engine's log


@dataclass(frozen=True)
class Selection:
    """Where the cursors are: one position of the prompt shared by panes, one layer, one head."""

    token: int | None = None
    layer: int | None = None
    head: int | None = None


@dataclass(frozen=True, eq=False)
class State:
    """One snapshot of everything."""

    ask: Ask = Ask()
    good: Ask | None = None  # the last ask that the engine answered; errors go back to it
    model: Model | None = None
    engine: Engine = Engine()
    selection: Selection = Selection()
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    slots: Mapping[str, Slot] = field(default_factory=lambda: {name: Slot() for name in SLOTS})

    def with_slot(self, name: str, **changes: Any) -> State:
        """This snapshot with one slot changed."""
        return replace(self, slots={**self.slots, name: replace(self.slots[name], **changes)})

    def stale(self, name: str) -> bool:
        """Does the slot show an answer to an older question?"""
        slot = self.slots[name]
        return slot.result is not None and slot.ask != self.ask

    @property
    def busy(self) -> tuple[str, ...]:
        """Slots with a job under way, the one that has begun first."""
        jobs = [(name, slot.job) for name, slot in self.slots.items() if slot.job is not None]
        return tuple(name for name, job in sorted(jobs, key=lambda item: item[1].total == 0))

    def document(self, names: Iterable[str]) -> Document | None:
        """The results of the slots that answer the same text as the first of them."""
        from interpboard.results import Document

        kept = [self.slots[name] for name in names if self.slots[name].result is not None]
        if not kept or self.model is None or kept[0].prompt is None:
            return None
        prompt = kept[0].prompt
        results = tuple(s.result for s in kept if s.result and s.prompt == prompt)
        return Document(model=self.model.info, prompt=prompt, results=results)
