"""A table of prompts: what a model says to each, and where in it that is decided. A row is one prompt.

A row is filled by results that exist, in any order: ``predictions`` (answer, probability, metric, is it
right), a lens (the layer from which its top token stays the answer) and ``head_ablation`` (the strongest
head). What could not be computed stays None, with the reason in ``problem``; nothing is 0 for want of a
number. Means over rows are not here.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from interpboard.registry.component_names import head_label
from interpboard.results.info import ModelInfo
from interpboard.results.result import Result

COLUMNS = ("answer", "probability", "metric", "settled", "head", "right")


class PromptRow(msgspec.Struct, frozen=True, kw_only=True):
    """``number`` counts from 1. ``head_exact`` false: an estimate from gradients, not a measured ablation."""

    number: int
    prompt: str
    target: str | None = None
    answer: str | None = None
    probability: float | None = None
    metric_name: str = ""
    metric: float | None = None
    settled: str | None = None
    head: str | None = None
    head_effect: float | None = None
    head_exact: bool | None = None
    right: bool | None = None
    problem: str = ""


class PromptTable(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of a file of prompts, and the model they are of."""

    schema: str = "interpboard/prompt-table/1"
    file: str
    model: ModelInfo
    rows: tuple[PromptRow, ...]


def with_answer(row: PromptRow, result: Result) -> PromptRow:
    """``row`` with a ``predictions`` result of its prompt: the likeliest token, and the clean metric."""
    tokens, ids = result.extra["tokens"].values, result.extra["token_ids"].values
    target = result.metric.target
    known = row.target is not None and target is not None and target.id >= 0
    right = int(ids[0]) == target.id if known and target is not None else None
    return msgspec.structs.replace(
        row,
        answer=str(tokens[0]),
        probability=None
        if result.metric.problem in ("value", "vector")
        else float(result.values[0]),
        metric_name=result.metric.name,
        metric=result.baseline,
        right=right,
    )


def with_settled(row: PromptRow, layers: Sequence[str] | None, position: int) -> PromptRow:
    """``row`` with the layer [token] from which a lens' top token stays, at the explained position."""
    known = layers is not None and position < len(layers)
    return msgspec.structs.replace(row, settled=layers[position] if known and layers else None)


def with_head(
    row: PromptRow,
    values: np.ndarray,
    neutral: float,
    labels: tuple[Sequence[str], Sequence[str]],
    *,
    exact: bool,
) -> PromptRow:
    """``row`` with the head whose effect [layer, head] is furthest from ``neutral``; NaN is passed over."""
    sizes = np.abs(values - neutral)
    if not np.isfinite(sizes).any():
        return row
    layer, head = divmod(int(np.nanargmax(sizes)), sizes.shape[1])
    return msgspec.structs.replace(
        row,
        head=head_label(labels[0][layer], labels[1][head]),
        head_effect=float(values[layer, head]),
        head_exact=exact,
    )


def sorted_rows(rows: Sequence[PromptRow], column: str, *, down: bool) -> list[PromptRow]:
    """``rows`` by one of ``COLUMNS``, ``number`` or ``prompt``; those without a value last."""

    def value(row: PromptRow) -> object:
        found = getattr(row, column)
        if column == "head" and row.head_effect is not None:
            return abs(row.head_effect)
        if column == "settled" and found is not None:
            return (0, -1) if found == "embed" else (0, int(found)) if found.isdigit() else (1, 0)
        return found

    known = [row for row in rows if value(row) is not None]
    known.sort(key=lambda row: (value(row),), reverse=down)
    return [*known, *(row for row in rows if value(row) is None)]
