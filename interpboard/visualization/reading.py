"""What every view takes from a result: the scale around its neutral value, and what its sides mean."""

from __future__ import annotations

import numpy as np

from interpboard.registry import ANALYSES
from interpboard.results import Result
from interpboard.results.intervals import of_two_groups
from interpboard.results.top import Order
from interpboard.visualization.colors import Scale


def scale_of(result: Result, values: np.ndarray | None = None) -> Scale:
    """The scale of ``values`` (those of ``result``): by the registry, by themselves for what is not in it.

    It is centred at the result's neutral value.
    """
    values = result.values if values is None else values
    if values.dtype == object:
        return Scale(1.0)
    if of_two_groups(result):  # has two sides, whatever it is a difference of
        return Scale.of(values, diverging=True, center=result.neutral)
    known = ANALYSES.get(result.analysis)
    if known is not None:
        return Scale.of_kind(values, known.scale_with(result.params), result.neutral)
    return scale_of_unknown(values, result.neutral)


def scale_of_unknown(values: np.ndarray, center: float = 0.0) -> Scale:
    """The scale of values of which no more is known than themselves."""
    if values.dtype == object:
        return Scale(1.0)
    finite = values[np.isfinite(values)].astype(np.float64)
    if center or not finite.size or finite.min() < 0:
        return Scale.of(finite, diverging=True, center=center)
    return Scale.of_kind(finite, "probability" if finite.max() <= 1 else "magnitude")


def name_of(result: Result) -> str:
    """The title of the analysis, or the name it was saved by."""
    known = ANALYSES.get(result.analysis)
    if known is None:
        return result.analysis
    return known.title_for(result.metric.problem, result.metric.in_place)


def has_own_measure(result: Result) -> bool:
    """Whether its values are of something else than the prompt's metric."""
    known = ANALYSES.get(result.analysis)
    return known is not None and known.own_measure


def distances(result: Result) -> np.ndarray:
    """How far each value is from the neutral one; 0 where it is not finite. Of shares, among them R², which
    may be far below 0 where nothing is read: below 0 there."""
    values = result.values.astype(np.float64)
    away: np.ndarray = np.where(np.isfinite(values), values - result.neutral, 0.0)
    return away if scale_of(result).of_shares else np.abs(away)


def strongest_first(result: Result) -> Order:
    """The order of ``Result.top`` that begins with the strongest entry, as ``distances`` has them."""
    return "highest" if scale_of(result).of_shares else "magnitude"
