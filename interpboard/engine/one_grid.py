"""Whether engines have one model: only then their cells are of one grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from interpboard.results import ModelInfo


def of_one_grid(models: Mapping[int, ModelInfo], engines: int) -> list[int]:
    """Of so many ``engines`` those with the model of the first that has any; ``models`` by engine."""
    loaded = [at for at in sorted(models) if at < engines]
    return [at for at in loaded if not why_not_of_one_grid((models[loaded[0]], models[at]))]


def why_not_of_one_grid(models: Sequence[ModelInfo]) -> str:
    """Why cells of both ``models`` are not of one grid; empty: they are. Weights, number format and kind of
    device are the same where they are."""
    first, other = models
    kinds = [each.device.partition(":")[0] for each in models]
    if kinds[0] == kinds[1] and (first.weights, first.dtype) == (other.weights, other.dtype):
        return ""
    return (
        f"The model is {first.dtype} on {first.device} and {other.dtype} on {other.device}, or its "
        "weights differ: cells of both are not of one grid."
    )
