"""The parameters that somebody chose, in words for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from interpboard.display import visible

ON_THE_WAY = ("preview",)  # what was shown before the result came, not what the result is


def chosen_words(chosen: Mapping[str, Any]) -> list[str]:
    """A few words for each of the parameters that say what a result is: ``mean``, ``layers 0, 3``."""
    found = []
    for name, value in chosen.items():
        if name not in ON_THE_WAY:
            places = isinstance(value, (list, tuple)) and isinstance([*value, ""][0], int)
            found.append(
                (f"{name.replace('_', ' ')} " if places else "") + setting_words(name, value)
            )
    return found


def setting_words(name: str, value: object) -> str:
    """A chosen parameter: a number or a word by itself, a switch by its name."""
    if isinstance(value, bool):
        return f"{'' if value else 'no '}{name.replace('_', ' ')}"
    if isinstance(value, Mapping):
        return ", ".join(
            f"{visible(str(key))} {setting_words(str(key), one)}" for key, one in value.items()
        )
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(setting_words(name, one) for one in value)
    if value is None:
        return f"no {name.replace('_', ' ')}"
    return f"{value:g}" if isinstance(value, float) else visible(str(value))
