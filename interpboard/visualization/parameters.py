"""The values of an analysis's parameters in a line of a page."""

from __future__ import annotations

from typing import Any

from interpboard.visualization.blocks import PageStyle
from interpboard.visualization.numbers import number


def plain_value(value: Any, page: PageStyle) -> str:
    """The value of a parameter or of a lone extra, harmless; None asks for all there are."""
    if value is None:
        return "all"
    if isinstance(value, float):
        return number(value)
    if isinstance(value, (list, tuple)):
        if len(value) > 1 and all(_is_prompt(part) for part in value):
            return f"{plain_value(value[0], page)} and {len(value) - 1:,} more"
        return ",".join(plain_value(part, page) for part in value)
    return page.words(str(value))


def _is_prompt(value: Any) -> bool:
    """A text, or the texts of a pair: of many the line has the first, and the saved result all."""
    return isinstance(value, (list, tuple)) or (isinstance(value, str) and " " in value.strip())
