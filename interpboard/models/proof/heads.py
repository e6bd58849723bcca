"""Why a model has no heads: what a refusal of them says."""

from __future__ import annotations

from interpboard.models.anatomy import Anatomy
from interpboard.models.layer_parts import Absent, mixer_of


def why_no_heads(anatomy: Anatomy) -> str:
    """The reason where no layer of ``anatomy`` has heads; empty where one has."""
    if any(anatomy.d_head):
        return ""
    found = [mixer_of(layer) for layer in anatomy.layers]
    attends = [type(module).__name__ for module, own in found if own]
    if attends:
        return f"The heads of {attends[0]} cannot be told apart: no output projection splits into them."
    names = dict.fromkeys(type(m).__name__ for m, _ in found if not isinstance(m, Absent))
    verb = "mixes" if len(names) == 1 else "mix"
    how = (
        f"{' and '.join(names)} {verb} its tokens"
        if names
        else "nothing says what mixes its tokens"
    )
    return f"This model has no attention heads: {how}."
