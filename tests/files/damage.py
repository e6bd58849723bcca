"""Damage as hypothesis draws it: bytes cut and changed, parts of a JSON text replaced by something else."""

from __future__ import annotations

import copy
import json
import struct
from typing import Any

from hypothesis import strategies as st

JUNK = (
    None, True, -1, 0, 3, 2.5, 1e308, 2**70, "", "x", "\0", [], {}, [[]], [1, [2]], {"a": None},
    ["a"], "9" * 300,
)  # fmt: skip


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value[:3])
    return [path, *(place for key, each in items for place in paths_of(each, (*path, key)))]


@st.composite
def changed_json(draw: st.DrawFn, whole: Any) -> Any:
    """``whole`` with one or two parts replaced or left out."""
    value = copy.deepcopy(whole)
    for _ in range(draw(st.integers(1, 2))):
        *above, last = draw(st.sampled_from(paths_of(value)[1:] or [("x",)]))
        at = value
        for key in above:
            at = at[key]
        if draw(st.booleans()) and isinstance(at, (dict, list)):
            del at[last]
        else:
            at[last] = copy.deepcopy(draw(st.sampled_from(JUNK)))
        if not isinstance(value, (dict, list)) or not value:
            break
    return value


@st.composite
def changed_bytes(draw: st.DrawFn, whole: bytes) -> bytes:
    """``whole`` cut short, or with some bytes changed."""
    raw = bytearray(whole)
    if draw(st.booleans()):
        return bytes(raw[: draw(st.integers(0, len(raw)))])
    for _ in range(draw(st.integers(1, 4))):
        raw[draw(st.integers(0, len(raw) - 1))] = draw(st.integers(0, 255))
    return bytes(raw)


def parts_of(raw: bytes) -> tuple[Any, bytes]:
    """The header of a safetensors file, and its data."""
    (size,) = struct.unpack("<Q", raw[:8])
    return json.loads(raw[8 : 8 + size]), raw[8 + size :]


def joined(header: Any, data: bytes) -> bytes:
    """A safetensors file of them."""
    raw = json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + data
