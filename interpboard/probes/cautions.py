"""What would make a probe's number mean less than it seems to, looked at and said."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from interpboard.datasets.written_values import number_of
from interpboard.errors import BadParameter
from interpboard.probes.activations import ProbeRows
from interpboard.probes.folds import grouped_folds, joined_groups
from interpboard.probes.held_out import HeldOutTask, read_by_nearest, score_of

_CLEARLY = 0.1  # above chance, where labels follow something that is not looked for
_SHOWN = 3


def task_of(
    rows: ProbeRows, kind: str, folds: int, strength: float, seed: int, grouped: str
) -> tuple[HeldOutTask, tuple[str, ...], list[str]]:
    """The task that the labels of ``rows`` are, the names of its classes, and what must be said of it.

    Raises ``BadParameter`` for labels of one class, and for ridge for labels that are no numbers.
    """
    # By texts that begin alike groups would grow along chains where a text is read at several places.
    once = len(set(zip(rows.texts, rows.inputs, strict=True))) == len(set(rows.texts))
    alike = (rows.texts, rows.inputs) if once and not grouped else (rows.texts,)
    groups, joined = joined_groups(rows.groups, *alike)
    names: tuple[str, ...] = ()
    if kind == "ridge":
        answers = _numbers(rows)
        of_classes = np.zeros(len(rows), int)
    else:
        names = _in_order(set(rows.labels))
        if len(names) < 2:
            raise BadParameter(
                f"All {len(rows):,} rows have the label {names[0]!r}: there is nothing to tell apart.",
                "Give rows of two labels.",
            )
        answers = np.array([names.index(label) for label in rows.labels])
        of_classes = answers
    task = HeldOutTask(
        kind, answers, groups, grouped_folds(of_classes, groups, folds, seed), strength
    )
    return task, names, [*_of_rows(rows, groups), *_of_groups(rows, groups, joined, grouped)]


def _in_order(labels: set[str]) -> tuple[str, ...]:
    """Labels that are numbers from the smallest, others as texts: a direction leads from the first on."""
    numbers = {label: number_of(label) for label in labels}
    if any(number is None for number in numbers.values()):
        return tuple(sorted(labels))
    return tuple(sorted(labels, key=lambda label: (numbers[label], label)))


def _numbers(rows: ProbeRows) -> np.ndarray:
    found = []
    for label in rows.labels:
        try:
            found.append(float(label))
        except ValueError:
            raise BadParameter(
                f"Ridge reads numbers, and a row has the label {label!r:.40}.",
                "Use probe=mass_mean or logistic.",
            ) from None
    answers = np.array(found)
    if not np.isfinite(answers).all() or answers.std() == 0:
        raise BadParameter("Ridge reads finite numbers that differ.", "Check the labels.")
    return answers


def rows_left_out(rows: ProbeRows) -> list[str]:
    """How many rows are not among ``rows``, and why, the most frequent reasons first; none where none is."""
    if not rows.left_out:
        return []
    total = sum(rows.left_out.values())
    reasons = "; ".join(f"{k:,}: {why}" for why, k in rows.left_out.most_common(_SHOWN))
    return [f"{total:,} of {total + len(rows):,} rows are left out: {reasons}"]


def _of_rows(rows: ProbeRows, groups: np.ndarray) -> list[str]:
    notes = []
    n, dimensions = len(rows), rows.values.shape[-1]
    if n < dimensions:
        notes.append(
            f"fewer rows ({n:,}) than dimensions ({dimensions:,}): a probe can fit any labels of the rows it "
            "is fitted on; only what is held out says something, beside shuffled labels"
        )
    notes += rows_left_out(rows)
    labels, within = defaultdict(set), defaultdict(set)
    for row, tokens in enumerate(rows.inputs):
        labels[tokens, tuple(rows.at[row])].add(rows.labels[row])
        within[tokens].add(int(groups[row]))
    if torn := sum(len(own) > 1 for own in labels.values()):
        notes.append(
            f"{torn:,} texts are read with more than one label: no probe can read them all right"
        )
    if apart := sum(len(within[tokens]) > 1 for tokens in rows.inputs):
        notes.append(
            f"{apart:,} rows are the same tokens, up to where they are read, as rows of other groups: what "
            "is held out may have been fitted on; group by what they have in common"
        )
    return notes


def _of_groups(rows: ProbeRows, groups: np.ndarray, joined: int, grouped: str) -> list[str]:
    notes = []
    if joined:
        notes.append(
            f"{joined:,} groups share a text with another and are held out together with it"
        )
    columns = [name for name in rows.columns if name != grouped]
    if not grouped and columns:
        notes.append(
            f"held out by text, not by a column: values of {', '.join(columns[:_SHOWN])} are on both sides; "
            "group by one to keep them apart"
        )
    if len(np.unique(groups)) < len(rows) / 2 and not grouped:
        notes.append(f"{len(rows):,} rows have {len(np.unique(groups)):,} different texts")
    return notes


def repeated_shuffles(task: HeldOutTask, shuffled: list[HeldOutTask]) -> list[str]:
    """How many of ``shuffled`` score what ``task`` does whatever is read: they part the rows into the same
    classes, or have its numbers, up to their scale and sign. Nothing where none does."""
    alike = _is_parted_alike if task.classes else _is_scaled
    same = sum(alike(task.answers, other.answers) for other in shuffled)
    if not same:
        return []
    return [
        f"{same} of {len(shuffled)} shuffles leave the labels as they are, because few groups can "
        f"exchange theirs in few ways: no p is below {(1 + same) / (1 + len(shuffled)):.2g}; give more groups"
    ]


def _is_parted_alike(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two rows have one class of ``one`` [row] where they have one of ``other``, whatever the classes
    are called: each is named by the first row that has it."""
    parted = []
    for answers in (one, other):
        _, first, at = np.unique(answers, return_index=True, return_inverse=True)
        parted.append(first[at])
    return bool(np.array_equal(parted[0], parted[1]))


def _is_scaled(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether ``other`` [row] is ``one`` times a number, which may be negative, plus another."""
    a, b = one - one.mean(), other - other.mean()
    sizes = float(np.linalg.norm(a) * np.linalg.norm(b))
    return sizes > 0 and bool(abs(a @ b) >= (1 - 1e-9) * sizes)


def surface_scores(
    rows: ProbeRows, task: HeldOutTask, shuffled: list[HeldOutTask]
) -> tuple[float, np.ndarray, list[str]]:
    """What the text's length alone reads, and [place] where in the text the place stands; with a
    warning where that is clearly above chance."""

    def read(measure: np.ndarray, of: HeldOutTask) -> float:
        return score_of(
            read_by_nearest(measure, of.answers, of.folds, of.classes),
            of.answers, of.classes, of.base(),
        )  # fmt: skip

    chance = 1 / task.classes if task.classes else 0.0
    notes = []

    def judged(measure: np.ndarray, what: str) -> float:
        score = read(measure.astype(float), task)
        null = [read(measure.astype(float), other) for other in shuffled]
        if score > chance + _CLEARLY and score > max(null, default=-np.inf):
            notes.append(
                f"labels follow {what}: it alone reads {score:.3g} of them held out, where chance is "
                f"{chance:.3g}; a probe may have found no more than that"
            )
        return score

    length = judged(rows.lengths, "the text's length in tokens")
    at = np.full(len(rows.places), np.nan)
    for place, name in enumerate(rows.places):
        there = rows.at[:, place] >= 0
        measure = rows.at[:, place]
        if there.all() and len(np.unique(measure)) > 1 and (measure + 1 != rows.lengths).any():
            at[place] = judged(measure, f"where {name!r} stands in the text")
        elif there.all():
            at[place] = length if (measure + 1 == rows.lengths).all() else chance
    return length, at, list(dict.fromkeys(notes))
