"""Rows held out by groups: no group, and no text, is ever on both sides."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from interpboard.errors import BadParameter


def joined_groups(groups: Sequence[str], *alike: Sequence[Hashable]) -> tuple[np.ndarray, int]:
    """The number [row] of each row's group, and how many named ones were joined because rows of them are the
    same in one of ``alike``, the texts of the rows say.

    Rows without a group (empty) are together where they are the same so.
    """
    root: dict[Hashable, Hashable] = {}

    def top(name: Hashable) -> Hashable:
        while root.setdefault(name, name) != name:
            root[name] = root[root[name]]  # half the way, so that chains stay short
            name = root[name]
        return name

    for row, group in enumerate(groups):
        for kind, own in enumerate(alike):
            root[top((kind, own[row]))] = top(("group", group) if group else (0, alike[0][row]))
    tops = [top((0, own)) for own in alike[0]]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(tops))}
    named = len({group for group in groups if group})
    joined = len({t for t, group in zip(tops, groups, strict=True) if group})
    return np.array([numbers[name] for name in tops]), named - joined


def grouped_folds(classes: np.ndarray, groups: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """The fold [row] in which a row is held out: groups stay whole, and classes are spread evenly.

    ``classes`` [row] are numbers from 0. Raises ``BadParameter`` where a class would be held out and not
    trained on.
    """
    names, at = np.unique(groups, return_inverse=True)
    folds = min(folds, len(names))
    counts = np.zeros((len(names), int(classes.max()) + 1))
    np.add.at(counts, (at, classes), 1)
    if folds < 2 or int((counts > 0).sum(0).min()) < 2:
        raise BadParameter(
            "A label is in one group only, so that it cannot be held out and trained on.",
            "Give more rows, or group by another column.",
        )
    share = counts / counts.sum(0)
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-share[order].max(1), kind="stable")]
    held = np.zeros((folds, counts.shape[1]))
    fold_of = np.zeros(len(names), dtype=int)
    for group in order:
        loads = ((held + share[group]) ** 2 - held**2).sum(1)
        fold_of[group] = int(loads.argmin())
        held[fold_of[group]] += share[group]
    fold: np.ndarray = fold_of[at]
    if (held > 1 - 1e-9).any():
        raise BadParameter(
            "A label is in too few groups to be held out and trained on.",
            "Give more rows, fewer folds, or another seed.",
        )
    return fold


def shuffled_labels(labels: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    """``labels`` [row] put to other rows at random, as far as groups allow: groups of one label exchange
    theirs, and where a group has several they are exchanged within it. Whatever a group's rows have in common
    stays theirs: among all rows labels would be spread more evenly than chance spreads them, and chance would
    seem to read less than it does."""
    generator = np.random.default_rng(seed)
    _, begins, at = np.unique(groups, return_index=True, return_inverse=True)
    first = labels[begins]
    several = np.zeros(len(begins), bool)
    several[at[labels != first[at]]] = True
    first[~several] = generator.permutation(first[~several])
    shuffled: np.ndarray = first[at]
    ordered = np.argsort(at, kind="stable")
    ends = np.cumsum(np.bincount(at))
    for group in np.flatnonzero(several):
        rows = ordered[ends[group - 1] if group else 0 : ends[group]]
        shuffled[rows] = labels[generator.permutation(rows)]
    return shuffled
