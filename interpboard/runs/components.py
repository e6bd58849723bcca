"""Heads by name: ``3.5``, ``L3H5`` and ``L3 H5`` are head 5 of layer 3."""

from __future__ import annotations

import re
from collections.abc import Sequence

from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel

Head = tuple[int, int]

_HEAD = re.compile(r"(?:L|([EDX]))?(\d+)(?:\.|\.?\s*H)(\d+)", re.IGNORECASE)


def resolve_head(lm: LanguageModel, given: str | Sequence[int]) -> Head:
    """(layer, head) of a name or of a pair of numbers. Raises ``BadParameter`` unless it is there."""
    if isinstance(given, str):
        found = _HEAD.fullmatch(given.strip())
        if found and (found[1] or lm.anatomy.strips is not None):
            return _in_group(lm, f"{(found[1] or '').upper()}{found[2]}", int(found[3]), given)
        given = tuple(int(number) for number in found.groups()[1:]) if found else ()
    if isinstance(given, (int, float)) or len(given) != 2:  # the number 3.10 would be head 1
        raise BadParameter("A head is written as layer.head in text, e.g. '3.5'.")
    layer, head = int(given[0]), int(given[1])
    n_layers, n_heads = lm.anatomy.n_layers, lm.anatomy.n_heads
    if not (0 <= layer < n_layers and 0 <= head < n_heads):
        raise BadParameter(
            f"The model has no head {head} in layer {layer}.",
            f"It has layers 0 to {n_layers - 1} of heads 0 to {n_heads - 1}.",
        )
    return layer, head


def _in_group(lm: LanguageModel, name: str, head: int, given: str) -> Head:
    names = lm.anatomy.layer_names
    if name not in names or not head < lm.anatomy.n_heads:
        raise BadParameter(
            f"The model has no head {given}.",
            f"It has {names[0]} … {names[-1]}, of heads 0 to {lm.anatomy.n_heads - 1}.",
        )
    return names.index(name), head
