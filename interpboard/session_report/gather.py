"""The notes and results of a session, put in order: each note above what it is on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from interpboard.errors import StoreProblem
from interpboard.reproduce import command_line, python_lines
from interpboard.results import Document, MetricRequest
from interpboard.session_report.beside import Saved, with_mlps
from interpboard.session_report.subjects import result_subject, subject_words
from interpboard.store import Note, NoteSubject, SavedRun, SavedSession, SessionBook
from interpboard.visualization.session_page import (
    PageNote,
    PageResult,
    PageSection,
    SessionPage,
)

_OF_MODELS = ("head", "mlp", "neuron")


def session_page(book: SessionBook, session: SavedSession) -> SessionPage:
    """The page of ``session``. Raises ``StoreProblem``; a result that cannot be read is named on the page.

    Results stand by prompt and model in the order in which the first of each was made. Notes on a head, an
    MLP or a neuron stand where their model first is.
    """
    notes = book.notes(session.id)
    placed: set[int] = set()

    def taken(fits: Callable[[NoteSubject], bool], words: bool = False) -> tuple[PageNote, ...]:
        found = [
            (i, note) for i, note in enumerate(notes) if i not in placed and fits(note.subject)
        ]
        placed.update(i for i, _ in found)
        return tuple(PageNote(note.text, note.subject.part if words else "") for _, note in found)

    of_session = taken(lambda subject: subject.kind == "session")
    documents, missing = _read(book, session)
    sections = []
    for group in _groups(documents):
        first = group[0][1]
        model, text = first.model, first.prompt.text
        on_prompt = NoteSubject("prompt", prompt=text)
        of_prompt = taken(lambda subject, on=on_prompt: on.same_as(subject))  # type: ignore[misc]
        parts = NoteSubject("head", model.name, model.weights)
        of_parts = taken(
            lambda subject, own=parts: subject.kind in _OF_MODELS and own.same_model(subject),  # type: ignore[misc]
            words=True,
        )
        results = [_result(run, doc, taken, parts) for (run, doc), parts in with_mlps(group)]
        sections.append(PageSection(model, first.prompt, (*of_prompt, *of_parts), tuple(results)))
    left = [note for i, note in enumerate(notes) if i not in placed]
    others = tuple(PageNote(note.text, subject_words(note.subject)) for note in left)
    return SessionPage(
        session.title, session.begun_at, session.used_at, (*of_session, *others),
        tuple(sections), missing,
    )  # fmt: skip


def asked_in(run: SavedRun, document: Document) -> MetricRequest:
    """What had been asked when ``run`` was made, as far as it was kept."""
    (result,) = document.results
    metric = result.metric.name
    target, foil, position = (run.ask.get(name) for name in ("target", "foil", "position"))
    return MetricRequest(
        metric,
        target if isinstance(target, str) else None,
        foil if isinstance(foil, str) and metric == "logit_diff" else None,
        position if isinstance(position, int) and not isinstance(position, bool) else -1,
    )


def _read(
    book: SessionBook, session: SavedSession
) -> tuple[list[tuple[SavedRun, Document]], tuple[str, ...]]:
    found, missing = [], []
    for run in book.runs(session.id):
        try:
            found.append((run, book.store.document(run.id)))
        except StoreProblem as problem:
            missing.append(f"{run.analysis} on {run.prompt}: {problem.message}")
    dropped = book.dropped(session.id)
    if dropped:
        missing.append(f"{dropped} older results, which the store does not keep any more")
    return found, tuple(missing)


def _groups(
    documents: Sequence[tuple[SavedRun, Document]],
) -> list[list[tuple[SavedRun, Document]]]:
    """Those of one prompt and model together."""
    groups: dict[Any, list[tuple[SavedRun, Document]]] = {}
    for run, document in documents:
        model = document.model
        key = (model.name, model.weights, model.dtype, model.special_tokens, document.prompt.text)
        groups.setdefault(key, []).append((run, document))
    return list(groups.values())


def _result(
    run: SavedRun,
    document: Document,
    taken: Callable[..., tuple[PageNote, ...]],
    parts: Sequence[Saved],
) -> PageResult:
    """``parts``: the runs that some of the result's numbers are of; their lines stand below its own."""
    (result,) = document.results
    notes: list[PageNote] = []
    made = [(document, asked_in(run, document))]
    made += [(of_part, asked_in(own, of_part)) for own, of_part in parts]
    for found, _asked in made:
        subject = result_subject(found.model, found.prompt.text, found.results[0])
        notes += taken(subject.same_as)
    return PageResult(
        result,
        tuple(notes),
        "\n".join(python_lines(*each) for each in made),
        "".join(command_line(*each) for each in made),
    )


def notes_on(notes: Sequence[Note], subject: NoteSubject) -> list[Note]:
    """Those of ``notes`` that are on ``subject``."""
    return [note for note in notes if note.subject.same_as(subject)]
