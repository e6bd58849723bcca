"""Arrays whose dimensions have names and whose entries have labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
import numpy as np


class Axis(msgspec.Struct, frozen=True):
    """One dimension of an array: its name (``layer``, ``head``, ``token``) and a label per entry."""

    name: str
    labels: tuple[str, ...]


class Labelled(Protocol):
    """What has one dimension per axis."""

    @property
    def axes(self) -> tuple[Axis, ...]: ...
    @property
    def values(self) -> np.ndarray: ...


class LabelledArray(msgspec.Struct, frozen=True, eq=False, omit_defaults=True):
    """``values`` has one dimension per axis, in order. Numbers, or strings as ``text_array`` makes.

    ``estimated`` (same shape, true or false) marks values that exact ones will take the place of: only
    in what is shown while a result is computed, never in a result.
    """

    axes: tuple[Axis, ...]
    values: np.ndarray
    estimated: np.ndarray | None = None

    def __post_init__(self) -> None:
        put_in_shape(self)


def layer_axis(n_layers: int, embed: bool = False) -> Axis:
    """``layer`` labelled 0 … n−1, with ``embed`` in front for the lens."""
    labels = tuple(str(i) for i in range(n_layers))
    return Axis("layer", ("embed", *labels) if embed else labels)


def token_axis(tokens: tuple[str, ...]) -> Axis:
    """``token`` labelled by the prompt's tokens."""
    return Axis("token", tokens)


def text_array(values: Any) -> np.ndarray:
    """Nested lists of strings as an array of objects: numpy's own string type drops a final NUL."""
    return np.array(values, dtype=object)


def names_of(axes: Sequence[Axis]) -> list[str]:
    """The axes' names, those that repeat told apart by a number: ``head``, ``head_2``."""
    names: list[str] = []
    for axis in axes:
        name, number = axis.name, 2
        while name in names:
            name, number = f"{axis.name}_{number}", number + 1
        names.append(name)
    return names


def put_in_shape(array: Labelled) -> None:
    """Check the values against the axes. Raises ``ValueError`` that names the axes."""
    expected = tuple(len(axis.labels) for axis in array.axes)
    if array.values.shape == expected:
        return
    if array.values.size == 0 and 0 in expected:  # nested lists lose the other sizes
        reshaped = array.values.reshape(expected)
        msgspec.structs.force_setattr(array, "values", reshaped)  # type: ignore[arg-type]
        return
    names = ", ".join(axis.name for axis in array.axes)
    raise ValueError(f"values have shape {array.values.shape}, axes ({names}) say {expected}")
