"""A document as a table for Parquet: a row a value, its interval and what else is known beside it."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import numpy as np

from interpboard.errors import MissingPackage
from interpboard.results import Document
from interpboard.results.intervals import can_be_unsure, unsure_entries
from interpboard.results.table import table_columns


def parquet_bytes(document: Document) -> bytes:
    """All results of ``document`` in one table: ``model``, ``analysis``, ``params`` (JSON), ``metric``, for
    each axis its label and its index, ``value``, and each extra over the same axes (``low``, ``n``, …); with
    intervals, or rounding was measured, ``unsure``: whether the value may be no effect.

    What a result does not have is null there; NaN stays NaN. Raises ``MissingPackage``.
    """
    pa = _arrow()
    tables = []
    for result in document.results:
        columns = table_columns(result, result.extra)
        n = result.values.size
        fixed = {
            "model": document.model.name,
            "analysis": result.analysis,
            "params": json.dumps(result.params, ensure_ascii=False, default=str),
            "metric": result.metric.name,
        }
        arrays = {name: pa.array([text] * n, pa.string()) for name, text in fixed.items()}
        for name, values in columns.items():
            arrays[name if name not in fixed else f"axis_{name}"] = _column(pa, values)
        if can_be_unsure(result):
            arrays["unsure"] = pa.array(unsure_entries(result).reshape(-1))
        tables.append(pa.table(arrays))
    joined = pa.concat_tables(tables, promote_options="permissive")
    out = BytesIO()
    from pyarrow import parquet

    parquet.write_table(joined, out)
    return out.getvalue()


def _column(pa: Any, values: np.ndarray) -> Any:
    if values.dtype == object:
        return pa.array([str(value) for value in values], pa.string())
    return pa.array(values, from_pandas=False)


def _arrow() -> Any:
    try:
        import pyarrow
    except ImportError:
        raise MissingPackage(
            "Parquet is written by pyarrow.", "pip install 'interpboard[sweep]', or use .csv."
        ) from None
    return pyarrow
