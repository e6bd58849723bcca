"""Which results of rows are meant: ``right=true and (label!=B or tokens>12)``."""

from __future__ import annotations

from collections.abc import Callable

from interpboard.datasets.row_expression import row_expression
from interpboard.sweeps.row_results import RowResult

RowFilter = Callable[[RowResult], bool]


def row_filter(text: str) -> RowFilter:
    """The rows that fit ``text`` (``datasets.row_expression``); a row without a column fits only ``!=``.

    The columns are those of ``RowResult.column``. Raises ``BadParameter``.
    """
    wanted = row_expression(text)
    return lambda row: wanted.fits(row.column)
