"""JSON in which a name that an object has twice is found: of the two values ``json`` keeps the last, without
a word."""

from __future__ import annotations

import json
from typing import Any

_SHOWN = 60  # characters of a name


class Repeated(dict[str, Any]):
    """An object that has ``name`` twice; of that it holds the last value."""

    name: str


def json_marked(text: str | bytes, **options: Any) -> Any:
    """What ``json.loads`` makes of ``text``, with ``Repeated`` for objects that have a name twice."""
    return json.loads(text, object_pairs_hook=_marked, **options)


def name_twice(value: Any) -> str | None:
    """A name that an object in ``value``, of ``json_marked``, has twice; None: there is none."""
    left = [value]
    while left:
        own = left.pop()
        if isinstance(own, Repeated):
            return own.name
        if isinstance(own, dict):
            left.extend(own.values())
        elif isinstance(own, list):
            left.extend(own)
    return None


def _marked(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    repeated, seen = Repeated(found), set()
    for name, _ in pairs:
        if name in seen:
            repeated.name = name[:_SHOWN]
            break
        seen.add(name)
    return repeated
