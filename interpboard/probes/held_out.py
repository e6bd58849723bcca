"""How well a probe reads rows that it was not fitted on, with an interval, beside what chance reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interpboard.probes.fits import fit_probe
from interpboard.probes.folds import grouped_folds, shuffled_labels

RESAMPLES = 1000
CONFIDENCE = 0.95
_DRAWS_A_STEP = 200


@dataclass(frozen=True)
class HeldOutTask:
    """What is to be read of rows: ``answers`` [row], numbers of classes or (``ridge``) numbers; ``folds``
    [row]; ``groups`` [row], what is drawn together for an interval."""

    kind: str
    answers: np.ndarray
    groups: np.ndarray
    folds: np.ndarray
    strength: float

    @property
    def classes(self) -> int:
        """How many; 0 where numbers are read."""
        return 0 if self.kind == "ridge" else int(self.answers.max()) + 1

    def shuffled(self, number: int, seed: int) -> HeldOutTask:
        """The same with answers that say nothing: one of many shuffles."""
        answers = shuffled_labels(self.answers, self.groups, seed + number)
        of_classes = np.zeros(len(answers), int) if self.kind == "ridge" else answers
        folds = grouped_folds(of_classes, self.groups, int(self.folds.max()) + 1, seed)
        return HeldOutTask(self.kind, answers, self.groups, folds, self.strength)

    def among(self, rows: np.ndarray) -> HeldOutTask:
        """The same of ``rows`` [row], true or false, alone."""
        return HeldOutTask(
            self.kind, self.answers[rows], self.groups[rows], self.folds[rows], self.strength
        )

    def read(self, values: np.ndarray) -> tuple[np.ndarray, bool]:
        """What the probe fitted on the other folds reads [row] of each row, and whether all converged."""
        said = np.full(len(self.answers), np.nan)
        converged = True
        for fold in np.unique(self.folds):
            out = self.folds == fold
            fit = fit_probe(self.kind, values[~out], self.answers[~out], self.strength)
            said[out] = said_by(fit.scores(values[out].astype(np.float64)), self.classes)
            converged &= fit.converged
        return said, converged

    def trainable(self) -> bool:
        """Whether every class is on both sides of every fold."""
        if not self.classes:
            return len(np.unique(self.folds)) > 1
        present = set(range(self.classes))
        return len(np.unique(self.folds)) > 1 and all(
            set(np.unique(self.answers[self.folds != fold]).tolist()) == present
            for fold in np.unique(self.folds)
        )

    def base(self) -> np.ndarray:
        """[row]: the mean of the numbers that the row's probe was fitted on, which R² is measured against;
        0 where classes are read, whose accuracy is measured against nothing."""
        means = np.zeros(len(self.answers))
        if self.classes:
            return means
        for fold in np.unique(self.folds):
            means[self.folds == fold] = self.answers[self.folds != fold].mean()
        return means


def said_by(scores: np.ndarray, classes: int) -> np.ndarray:
    """The class [row] with the highest score, or the number itself."""
    found: np.ndarray = scores.argmax(1).astype(float) if classes else scores[:, 0]
    return found


def score_of(
    said: np.ndarray, answers: np.ndarray, classes: int, base: np.ndarray | float = 0.0
) -> float:
    """Balanced accuracy: the mean over classes of the share of their rows that are read right, chance 1 over
    their number; of numbers R² against the mean of those fitted on."""
    good, weight = _by_row(said, answers, classes, base)
    return float(_score(good.sum(0), weight.sum(0), classes))


def interval_of(
    said: np.ndarray,
    answers: np.ndarray,
    groups: np.ndarray,
    classes: int,
    base: np.ndarray | float,
    seed: int,
) -> tuple[float, float]:
    """Bootstrap interval of ``score_of``, groups drawn with replacement: rows of one group are not
    independent. Of the rows read, not of the fitting."""
    good, weight = _by_row(said, answers, classes, base)
    names, at = np.unique(groups, return_inverse=True)
    of_group = np.zeros((2, len(names), good.shape[1]))
    np.add.at(of_group[0], at, good)
    np.add.at(of_group[1], at, weight)
    generator = np.random.default_rng(seed)
    found = []
    for start in range(0, RESAMPLES, _DRAWS_A_STEP):
        size = min(_DRAWS_A_STEP, RESAMPLES - start)
        drawn = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=size)
        found.append(_score(drawn @ of_group[0], drawn @ of_group[1], classes))
    ends = np.nanpercentile(np.concatenate(found), [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)])
    return float(ends[0]), float(ends[1])


def _by_row(
    said: np.ndarray, answers: np.ndarray, classes: int, base: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray]:
    """Of each row what is summed above and below the line [row, class], of numbers [row, 1]."""
    if not classes:
        return ((said - answers) ** 2)[:, None], ((answers - base) ** 2)[:, None]
    own = answers[:, None] == np.arange(classes)
    return own * (said == answers)[:, None], own.astype(float)


def _score(good: np.ndarray, weight: np.ndarray, classes: int) -> np.ndarray:
    """The score of sums over rows [..., class]."""
    shares = np.divide(good, weight, out=np.full(good.shape, np.nan), where=weight > 0)
    found: np.ndarray = np.nanmean(shares, axis=-1) if classes else 1 - shares[..., 0]
    return found


def read_by_nearest(
    measure: np.ndarray, answers: np.ndarray, folds: np.ndarray, classes: int
) -> np.ndarray:
    """What one number of each row says of its answer: that of the rows of other folds with the nearest one,
    each class counted as if it had equally many rows; of numbers their mean."""
    said = np.full(len(answers), np.nan)
    for fold in np.unique(folds):
        fitted = folds != fold
        own, known = measure[fitted], answers[fitted]
        weights = 1 / np.bincount(known.astype(int), minlength=classes) if classes else None
        for row in np.flatnonzero(~fitted):
            away = np.abs(own - measure[row])
            near = known[away == away.min()]
            if weights is None:
                said[row] = near.mean()
            else:
                said[row] = (np.bincount(near.astype(int), minlength=classes) * weights).argmax()
    return said


def p_values(observed: np.ndarray, null: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """That chance, ``null`` [shuffle, …], reads as well: each cell, and the best of all cells. A shuffle by
    which a cell cannot be read (NaN) says nothing of it, and one by which none can be read nothing at all."""
    axes = tuple(range(1, null.ndim))
    known = ~np.isnan(null)
    best = np.nanmax(null, axis=axes, initial=-np.inf)
    own = (1 + (null >= observed).sum(0)) / (1 + known.sum(0))
    as_good = (best.reshape(-1, *[1] * observed.ndim) >= observed).sum(0)
    # Never below the cell's own: of fewer cells than all the best is less than the best of all.
    family = np.maximum(own, (1 + as_good) / (1 + known.any(axes).sum()))
    missing = np.isnan(observed)
    return np.where(missing, np.nan, own), np.where(missing, np.nan, family)
