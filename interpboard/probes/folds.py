"""Rows held out by groups: no group, and no text, is ever on both sides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interpboard.errors import BadParameter


def joined_groups(groups: Sequence[str], texts: Sequence[str]) -> tuple[np.ndarray, int]:
    """The number [row] of each row's group, and how many named ones were joined because they share a text.

    Rows without a group (empty) are together where they have the same text.
    """
    root: dict[tuple[str, str], tuple[str, str]] = {}

    def top(name: tuple[str, str]) -> tuple[str, str]:
        while root.setdefault(name, name) != name:
            name = root[name]
        return name

    for group, text in zip(groups, texts, strict=True):
        root[top(("text", text))] = top(("group", group) if group else ("text", text))
    tops = [top(("text", text)) for text in texts]
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
    """``labels`` [row] put to other rows at random, as far as groups allow: where each group has one label
    the groups exchange theirs; where each has several they are exchanged within it; else among all rows."""
    generator = np.random.default_rng(seed)
    names, at = np.unique(groups, return_inverse=True)
    several = np.array([len(np.unique(labels[at == group])) > 1 for group in range(len(names))])
    if not several.any():
        first = np.array([labels[np.argmax(at == group)] for group in range(len(names))])
        exchanged: np.ndarray = generator.permutation(first)[at]
        return exchanged
    shuffled = labels.copy()
    if not several.all():
        return generator.permutation(shuffled)
    for group in range(len(names)):
        rows = np.flatnonzero(at == group)
        shuffled[rows] = labels[generator.permutation(rows)]
    return shuffled
