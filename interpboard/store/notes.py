"""What a note is, and what it is on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from interpboard.files.fingerprint import FingerprintMatch, compare
from interpboard.registry.component_names import neuron_label, shown_component

SubjectKind = Literal["session", "prompt", "result", "head", "mlp", "neuron"]
NOTE_KINDS: tuple[SubjectKind, ...] = ("session", "prompt", "result", "head", "mlp", "neuron")
NOTE_COLUMNS = "session, kind, model, weights, prompt, place, text, written_at"
_TYPES = (int, str, str, str, str, str, str, float)


@dataclass(frozen=True)
class NoteSubject:
    """What a note is on.

    ``model`` and ``weights`` (their fingerprint) of all but sessions and prompts; ``prompt`` of prompts and
    results; ``place``: ``3.7`` of a head, ``3`` of an MLP, ``3.117`` of a neuron, and of a result what was
    computed and asked (``session_report.subjects``).
    """

    kind: SubjectKind
    model: str = ""
    weights: str = ""
    prompt: str = ""
    place: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """As the table has it."""
        return (self.kind, self.model, self.weights, self.prompt, self.place)

    def same_as(self, other: NoteSubject) -> bool:
        """Are both on the same thing? Weights whose fingerprint was not kept may be the same."""
        plain = (self.kind, self.prompt, self.place)
        return plain == (other.kind, other.prompt, other.place) and self.same_model(other)

    def same_model(self, other: NoteSubject) -> bool:
        """Are both of one model, as far as its fingerprint was kept?"""
        if self.model != other.model:
            return False
        return compare(self.weights, other.weights) is not FingerprintMatch.other

    @property
    def part(self) -> str:
        """The part of the model in words, ``L3 H7``; empty where it is on something else."""
        if self.kind == "neuron":
            return neuron_label(*self.place.split(".", 1)) if "." in self.place else self.place
        if self.kind == "mlp":
            return shown_component(f"{self.place}.mlp")
        return shown_component(self.place) if self.kind == "head" else ""


@dataclass(frozen=True)
class Note:
    """A note: what it is on, its text, which session it was written in and when."""

    session: int
    subject: NoteSubject
    text: str
    written_at: float


def note_of(row: Sequence[Any]) -> Note | None:
    """The columns ``NOTE_COLUMNS``; None for a row that holds something else."""
    right = all(isinstance(value, kind) for value, kind in zip(row, _TYPES, strict=True))
    if not right or row[1] not in NOTE_KINDS:
        return None
    return Note(row[0], NoteSubject(*row[1:6]), row[6], row[7])
