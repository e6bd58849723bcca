"""Results as tables: plain columns, and a pandas frame of them where pandas is installed."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from interpboard.errors import MissingPackage
from interpboard.results.arrays import Labelled, LabelledArray, names_of


def table_columns(array: Labelled, extra: dict[str, LabelledArray]) -> dict[str, np.ndarray]:
    """One row an entry: for each axis its label and ``<axis>_index``, then ``value``, then every
    extra that has the same axes."""
    shape = array.values.shape
    where = np.indices(shape).reshape(len(shape), -1)
    found: dict[str, np.ndarray] = {}
    for name, axis, index in zip(names_of(array.axes), array.axes, where, strict=True):
        found[name] = np.array(axis.labels, dtype=object)[index]
        found[f"{name}_index"] = index
    found["value"] = array.values.reshape(-1)
    for name, other in extra.items():
        if other.axes == array.axes and name not in found:
            found[name] = other.values.reshape(-1)
    return found


def pandas() -> Any:
    """The pandas module. Raises ``MissingPackage`` with the command that installs it."""
    try:
        return importlib.import_module("pandas")
    except ImportError:
        raise MissingPackage("A data frame needs pandas.", "pip install pandas") from None
