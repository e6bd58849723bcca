"""Which results of rows are meant: ``right=true and (label!=B or tokens>12)``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from interpboard.datasets.row_expression import row_expression
from interpboard.sweeps.row_results import RowResult

RowFilter = Callable[[RowResult], bool]
OF_RESULTS = (
    "row", "place", "text", "target", "foil", "answer", "right", "position", "baseline",
)  # fmt: skip
ALSO = {"metric": "baseline"}
"""What people call a column of a result otherwise: the metric on the clean run."""


def row_filter(text: str) -> RowFilter:
    """The rows that fit ``text`` (``datasets.row_expression``); a row without a column fits only ``!=``.

    A column of the dataset, or one of ``OF_RESULTS``; ``tokens`` is the prompt's length, ``metric`` what the
    metric is on the clean run. Raises ``BadParameter``.
    """
    wanted = row_expression(text)
    return lambda row: wanted.fits(partial(_value, row))


def _value(row: RowResult, name: str) -> Any:
    if name in row.columns:
        return row.columns[name]
    if name == "tokens":
        return len(row.roles)
    name = ALSO.get(name, name)
    return getattr(row, name) if name in OF_RESULTS else None
