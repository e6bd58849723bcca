"""Parameters of analyses: their types, their limits, and how what a user wrote becomes a value."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from interpboard.errors import BadParameter

OF_LAYERS = ("layer", "layers", "save_layer")
"""Parameters that take the names of an encoder–decoder's layers, too."""
_LAYER_NAME = re.compile(r"[EDX](\d*)", re.IGNORECASE)
_WHOLE_MOST = 2**63 - 1  # what seeds and sizes are computed in


@dataclass(frozen=True)
class Parameter:
    """One parameter of the type ``kind``. Numbers are finite, and whole ones fit 64 bits, always."""

    name: str
    kind: type
    default: Any
    help: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    required: bool = False  # it has no default that would make sense
    many: bool = False  # a tuple of ``kind``, written with commas; None means all
    words: tuple[str, ...] = ()  # that may stand in place of a number
    written: bool = False  # a path that is written to
    instead: str = ""  # another parameter that may be given in the place of this required one

    def parse(self, value: Any) -> Any:
        """``value`` (text from a user, or a plain value) as this parameter's type."""
        if self.many:
            if value is None or value == "all":
                return None
            parts = value.split(",") if isinstance(value, str) else value
            parts = [parts] if isinstance(parts, (int, float)) else parts
            return tuple(self._one(part) for part in parts)
        return self._one(value)

    def _one(self, value: Any) -> Any:
        if isinstance(value, str) and value.strip() in self.words:
            return value.strip()
        if self.kind is int and self.name in OF_LAYERS and _is_layer_name(value, self.many):
            return value.strip().upper()
        try:
            parsed = _CONVERT[self.kind](self._bare(value))
        except (TypeError, ValueError, OverflowError):
            raise BadParameter(
                f"Parameter {self.name} takes {' or '.join((_article(self.kind), *self.words))}, "
                f"not {value!r}."
            ) from None
        if self.kind is float and not math.isfinite(parsed):
            raise BadParameter(f"Parameter {self.name} is a finite number, not {parsed}.")
        if self.kind is int and abs(parsed) > _WHOLE_MOST:
            raise BadParameter(f"Parameter {self.name} is at most {_WHOLE_MOST} in size.")
        if self.choices and parsed not in self.choices:
            raise BadParameter(
                f"Parameter {self.name} is one of {', '.join(self.choices)}, not {parsed!r}."
            )
        if self.minimum is not None and parsed < self.minimum:
            raise BadParameter(f"Parameter {self.name} is at least {self.minimum:g}, not {parsed}.")
        if self.maximum is not None and parsed > self.maximum:
            raise BadParameter(f"Parameter {self.name} is at most {self.maximum:g}, not {parsed}.")
        return parsed

    def _bare(self, value: Any) -> Any:
        """``value`` without spaces around it, but for free text: there they make other tokens."""
        free = self.kind in (str, object) and not self.choices and not self.many
        return value if free or not isinstance(value, str) else value.strip()


def _is_layer_name(value: Any, many: bool) -> bool:
    """Whether ``value`` is a layer of an encoder–decoder, ``X1``, or (``many``) a group, ``X``."""
    found = _LAYER_NAME.fullmatch(value.strip()) if isinstance(value, str) else None
    return found is not None and (many or found[1] != "")


def _article(kind: type) -> str:
    return {
        int: "a whole number",
        float: "a number",
        str: "text",
        bool: "true or false",
        object: "a value",
    }[kind]


def _whole(value: Any) -> int:
    number = int(value)
    if isinstance(value, float) and number != value:
        raise ValueError(value)
    return number


def _truth(value: Any) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if str(value).lower() not in words:
        raise ValueError(value)
    return words[str(value).lower()]


def _text(value: Any) -> str:
    if not isinstance(value, (str, int, float)):  # a list would become the text of a list
        raise TypeError(value)
    return str(value)


_CONVERT: dict[type, Callable[[Any], Any]] = {
    int: _whole,
    float: float,
    str: _text,
    bool: _truth,
    object: lambda value: value,
}
