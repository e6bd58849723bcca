"""Means of rows, a cell at a time, and how sure they are: standard error, bootstrap interval, median, sign.

``values`` are [row, cell], NaN where a row has no such cell: it is then not counted for it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

ENOUGH_ROWS = 10
"""From so many on an interval holds the mean nearly as often as it says, of values that are about normal."""
WHOLE_DRAWS = 10_000  # rows up to which all draws of a bootstrap are held
_ROWS_A_STEP = 4096
_CELLS_A_STEP = 2048
_FEW = 1 << 22  # numbers that are kept: 32 MiB


def mean_of(values: np.ndarray) -> np.ndarray:
    """[cell], NaN where no row has a value."""
    n = known(values)
    return np.divide(np.nansum(values, 0), n, out=np.full(len(n), np.nan), where=n > 0)


def known(values: np.ndarray) -> np.ndarray:
    """How many rows [cell] have a value."""
    return (~np.isnan(values)).sum(0)


def error_of_mean(values: np.ndarray) -> np.ndarray:
    """[cell]: the sample's standard deviation (n − 1) over √n; NaN under two rows."""
    n = known(values)
    off = np.nansum((values - mean_of(values)) ** 2, 0)
    return np.sqrt(np.divide(off, (n - 1) * n, out=np.full(len(n), np.nan), where=n > 1))


def same_sign(values: np.ndarray, neutral: float = 0.0) -> np.ndarray:
    """[cell]: the share of rows whose value is on the mean's side of ``neutral``; NaN where it is on none."""
    n = known(values)
    side = np.nan_to_num(np.sign(mean_of(values) - neutral))
    agree = (np.sign(values - neutral) == side).sum(0)
    return np.divide(agree, n, out=np.full(len(n), np.nan), where=side != 0)


def median_of(values: np.ndarray) -> np.ndarray:
    """[cell], NaN where no row has a value."""
    bounds = np.full(values.shape[1], np.nan)
    some = known(values) > 0
    bounds[some] = np.nanmedian(values[:, some], 0)
    return bounds


def bootstrap_interval(
    values: np.ndarray,
    level: float,
    resamples: int,
    seed: int,
    check: Callable[[], None] = lambda: None,
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval (low, high) [cell] of the mean: rows drawn with replacement, alike for every cell.

    Up to ``WHOLE_DRAWS`` rows a draw has as many as there are; of more each row is drawn Poisson(1) times,
    which comes to the same and needs no more memory. NaN under two rows. ``check`` may end it.
    """
    parts = [
        _interval(values[:, start : start + _CELLS_A_STEP], level, resamples, seed, check)
        for start in range(0, values.shape[1], _CELLS_A_STEP)
    ]
    low, high = np.concatenate(parts, axis=1) if parts else np.empty((2, 0))
    return low, high


def too_few_rows(n: np.ndarray) -> str:
    """What is to be said of the intervals of ``n`` rows [cell]; empty where those are enough, or one alone.

    The spread is guessed from the same rows, and a bootstrap takes it for known: its interval of two rows
    ends at those two and holds the mean of normal values in half of all samples, whatever its level
    (Hesterberg 2015, "What Teachers Should Know About the Bootstrap").
    """
    few = n[(n > 1) & (n < ENOUGH_ROWS)]
    if not few.size:
        return ""
    return (
        f"An interval of {few.min():.0f} rows is narrower than it says: take {ENOUGH_ROWS} or more."
    )


def _interval(
    values: np.ndarray, level: float, resamples: int, seed: int, check: Callable[[], None]
) -> np.ndarray:
    check()
    rows, cells = values.shape
    ends = np.full((2, cells), np.nan)
    if rows < 2:
        return ends
    there = ~np.isnan(values)
    numbers = np.where(there, values, 0.0)
    total, count = np.zeros((2, resamples, cells))
    if rows <= WHOLE_DRAWS:
        drawn = (_few_draws if rows * resamples <= _FEW else _draws)(rows, resamples, seed)
        # Where every row has every cell a draw has as many of each as there are rows.
        total, count = (
            drawn @ numbers,
            drawn @ there if not there.all() else np.full_like(total, rows),
        )
    else:
        generator = np.random.default_rng(seed)
        for start in range(0, rows, _ROWS_A_STEP):
            part = slice(start, start + _ROWS_A_STEP)
            check()
            drawn = generator.poisson(1.0, (resamples, len(numbers[part]))).astype(float)
            total += drawn @ numbers[part]
            count += drawn @ there[part]
    means = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    some = np.isfinite(means).any(0)
    tails = [50 * (1 - level), 50 * (1 + level)]
    ends[:, some] = np.nanpercentile(means[:, some], tails, axis=0)
    return ends


def _draws(rows: int, resamples: int, seed: int) -> np.ndarray:
    """[resample, row]: how often each row is drawn."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(rows, np.full(rows, 1 / rows), size=resamples).astype(float)


@lru_cache(maxsize=1)
def _few_draws(rows: int, resamples: int, seed: int) -> np.ndarray:
    """The same, kept: analyses of the same rows ask for the same."""
    drawn = _draws(rows, resamples, seed)
    drawn.setflags(write=False)
    return drawn
