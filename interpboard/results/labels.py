"""An axis's labels as they are shown: tokens with their spaces visible, parts of the model by their names."""

from __future__ import annotations

import re

from interpboard.display import visible, visible_token
from interpboard.registry.component_names import shown_component

TOKEN_AXES = ("token", "query", "key")
_OF_UNITS = ("unit", "query_unit")
_BETWEEN_WORDS = re.compile(r"(?<=\S) (?=\S)")
_OF_PARTS = ("component", "head_a", "head_b")


def visible_label(axis: str, label: str, *, ascii_only: bool | None = None) -> str:
    """``label`` of the axis named ``axis``, harmless."""
    if axis in _OF_PARTS:
        return visible(shown_component(label), ascii_only=ascii_only)
    if axis == "layer":  # ``in 3``: the space is ours
        return visible(label, ascii_only=ascii_only)
    if (
        axis in _OF_UNITS
    ):  # texts, and names such as ``user 1``: only spaces at the ends are in question
        words = _BETWEEN_WORDS.split(label)
        return " ".join(visible_token(word, ascii_only=ascii_only) for word in words)
    return visible_token(label, ascii_only=ascii_only)
