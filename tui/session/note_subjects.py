"""What a note can be on, seen from where a cursor stands; and the notes that are there already. Pure.

The store's classes bring sqlite: they are imported when there is a note, or one is to be written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tui.session.state import State

if TYPE_CHECKING:
    from interpboard.store import Note, NoteSubject

_PART = re.compile(r"L(?P<layer>\d+) (?:H(?P<head>\d+)|N(?P<neuron>\d+)|MLP)")


def part_subject(state: State, part: str) -> NoteSubject | None:
    """The head, MLP or neuron that a pane calls ``part``: ``L2 H4``, ``L2 MLP``, ``L2 N117``."""
    from interpboard.store import NoteSubject

    found = _PART.fullmatch(part)
    if state.model is None or found is None:
        return None
    of_model = (state.model.info.name, state.model.info.weights, "")
    if found["neuron"] is not None:
        return NoteSubject("neuron", *of_model, f"{found['layer']}.{found['neuron']}")
    if found["head"] is not None:
        return NoteSubject("head", *of_model, f"{found['layer']}.{found['head']}")
    return NoteSubject("mlp", *of_model, found["layer"])


def result_subject_of(state: State, slot: str) -> NoteSubject | None:
    """The result that a slot shows."""
    from interpboard.session_report import result_subject

    answer = state.slots[slot]
    of = answer.of or (state.model.info if state.model is not None else None)
    if answer.result is None or answer.prompt is None or of is None:
        return None
    return result_subject(of, answer.prompt.text, answer.result)


def subjects(state: State, slot: str, part: str, of_prompt: bool) -> list[NoteSubject]:
    """What a note can be on in a pane with ``part`` under its cursor, the nearest first.

    ``of_prompt``: the pane is about the prompt before all.
    """
    from interpboard.store import NoteSubject

    result, prompt = (
        result_subject_of(state, slot),
        NoteSubject("prompt", prompt=_noted_prompt(state)),
    )
    around = (prompt, result) if of_prompt else (result, prompt)
    found = (part_subject(state, part), *around, NoteSubject("session"))
    return [each for each in found if each is not None]


def _noted_prompt(state: State) -> str:
    """As results name their prompt; of a chat that no model has read yet as it was given."""
    return state.question.text if state.rendered is None else state.rendered


def note_on(state: State, subject: NoteSubject | None, session: int | None = None) -> Note | None:
    """The newest note on ``subject``; on a session only that of ``session``."""
    if subject is None:
        return None
    found = [note for note in state.notes if note.subject.same_as(subject)]
    if subject.kind == "session":
        found = [note for note in found if note.session == session]
    return found[-1] if found else None


def note_at_cursor(state: State, part: str, of_prompt: bool) -> Note | None:
    """The note on ``part``, which is under the cursor of a pane; ``of_prompt``: that on the prompt."""
    if not state.notes:
        return None
    if of_prompt:
        from interpboard.store import NoteSubject

        return note_on(state, NoteSubject("prompt", prompt=_noted_prompt(state)))
    return note_on(state, part_subject(state, part))


def noted_parts(state: State, kinds: Sequence[str]) -> tuple[str, ...]:
    """The parts of those ``kinds`` of the model in use that have a note: ``L2 H4``, the oldest first."""
    if not state.notes or state.model is None:
        return ()
    from interpboard.store import NoteSubject

    of_head = NoteSubject("head", state.model.info.name, state.model.info.weights)
    parts = [
        note.subject.part
        for note in state.notes
        if note.subject.kind in kinds and of_head.same_model(note.subject)
    ]
    return tuple(dict.fromkeys(parts))


def noted_in(state: State, slot: str, kinds: Sequence[str] = ()) -> str:
    """What a pane's title says of notes: the parts of those ``kinds`` that have one, and its result."""
    names = list(noted_parts(state, kinds))
    if not state.notes:
        return ""
    if note_on(state, result_subject_of(state, slot)) is not None:
        names.insert(0, "this result")
    if not names:
        return ""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"noted: {', '.join(names[:3])}{more}"
