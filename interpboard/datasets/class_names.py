"""Classes by their names: the library datasets keeps a column of classes as numbers, and the names beside.

They stand in the schema of each Arrow and Parquet file that it writes, as its features.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from interpboard.datasets.rows import UnusableRow

_KEY = b"huggingface"
_UNKNOWN = -1  # of a row whose class is not given, as in the test parts of challenges


class ClassNames:
    """The columns of a file that hold classes, ``{}`` where it says nothing of any."""

    def __init__(self, features: Mapping[str, Any]) -> None:
        self._features = {
            name: feature for name, feature in features.items() if _has_classes(feature)
        }

    @classmethod
    def of_schema(cls, metadata: Mapping[bytes, bytes] | None) -> ClassNames:
        """What the metadata of an Arrow schema say; nothing where they are of another kind."""
        try:
            features = json.loads((metadata or {}).get(_KEY, b"{}"))["info"]["features"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return cls({})
        return cls(features if isinstance(features, dict) else {})

    def named(self, record: dict[str, Any]) -> dict[str, Any]:
        """``record`` with names for classes. Raises ``UnusableRow`` for a class that has none."""
        if not self._features:
            return record
        return {
            name: _named(name, value, self._features.get(name)) for name, value in record.items()
        }


def _has_classes(feature: Any) -> bool:
    if _names_of(feature) is not None:
        return True
    within = list(feature.values()) if isinstance(feature, dict) else feature
    return isinstance(within, list) and any(map(_has_classes, within))


def _names_of(feature: Any) -> list[str] | None:
    if not isinstance(feature, dict) or feature.get("_type") != "ClassLabel":
        return None
    names = feature.get("names")
    return names if isinstance(names, list) else None


def _named(column: str, value: Any, feature: Any) -> Any:
    """``value`` with the names of ``feature``, which may be lists and objects of classes."""
    if isinstance(value, list):
        return [_named(column, each, _of_each(feature)) for each in value]
    if isinstance(value, dict):
        inner = _of_each(feature)
        return {
            name: _named(column, each, inner.get(name) if isinstance(inner, dict) else None)
            for name, each in value.items()
        }
    names = _names_of(feature)
    if names is None or not isinstance(value, int):
        return value
    if value == _UNKNOWN:
        return None
    if not 0 <= value < len(names):
        raise UnusableRow(f"has the class {value} in {column}, of which there are {len(names)}")
    return str(names[value])


def _of_each(feature: Any) -> Any:
    """What a feature says of each value of a list: of a list in brackets, too, as older files have it."""
    if isinstance(feature, dict) and isinstance(feature.get("_type"), str) and "feature" in feature:
        return feature["feature"]
    return feature[0] if isinstance(feature, list) and len(feature) == 1 else feature
