"""An axis's labels as they are shown: tokens with their spaces visible, parts of the model by their names."""

from __future__ import annotations

from interpboard.display import visible, visible_token
from interpboard.registry.component_names import shown_component

TOKEN_AXES = ("token", "query", "key")
_OF_PARTS = ("component", "head_a", "head_b")


def visible_label(axis: str, label: str, *, ascii_only: bool | None = None) -> str:
    """``label`` of the axis named ``axis``, harmless."""
    if axis in _OF_PARTS:
        return visible(shown_component(label), ascii_only=ascii_only)
    if axis == "layer":  # ``in 3``: the space is ours
        return visible(label, ascii_only=ascii_only)
    return visible_token(label, ascii_only=ascii_only)
