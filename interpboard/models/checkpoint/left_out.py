"""Names of tensors that have no place, or places that have no tensor, in words that say what they are.

``layers 3 and 4`` says more than eighteen names; three names are given all the same, to be searched for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from interpboard.models.checkpoint.headers import layer_of

_NAMES = 3
_LENGTH = 80  # characters of a name; a damaged header holds any text
_KINDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "of an adapter that is not merged",
        re.compile(r"lora_|\.base_layer\.|\.modules_to_save\.|ia3_|oft_"),
    ),
    (
        "of quantised weights, of which config.json says nothing",
        re.compile(r"\.(qweight|qzeros|scales|g_idx|SCB|absmax|quant_\w+|weight_scale\w*|weight_packed|"
                   r"weight_zero_point|nested_\w+)(\.|$)|_blocks$|_scales$"),
    ),
    (
        "of a head that predicts no tokens",
        re.compile(r"^(score|classifier|classification_head|v_head|value_head|qa_outputs|summary|"
                   r"multiple_choice_head|reward_head|regression_head|cls)\."),
    ),
)  # fmt: skip


def said_of_unused(names: Sequence[str], layers: int, class_name: str) -> str:
    """``18 tensors of layers 3 and 4, where the config has 3 layers (…)``; several kinds by ``; ``."""
    left = list(names)
    reasons: list[str] = []
    for what, pattern in _KINDS:
        kind = [name for name in left if pattern.search(name)]
        left = [name for name in left if not pattern.search(name)]
        if kind:
            reasons.append(f"{_count(kind)} {what} ({_some(kind)})")
    beyond = [name for name in left if (layer_of(name) or 0) >= layers > 0]
    if beyond:
        reasons.append(
            f"{_count(beyond)} of {_layers(beyond)}, where the config has "
            f"{layers} layer{'s' if layers > 1 else ''} ({_some(beyond)})"
        )
    left = [name for name in left if name not in set(beyond)]
    biases = [name for name in left if name.endswith(".bias")]
    if biases and len(biases) == len(left):
        reasons.append(f"{len(biases)} bias{'es' if len(biases) > 1 else ''} that {class_name} has no "
                    f"place for ({_some(biases)})")  # fmt: skip
    elif left:
        reasons.append(f"{_count(left)} that {class_name} has no place for ({_some(left)})")
    return "; ".join(reasons)


def said_of_missing(names: Sequence[str], layers: int) -> str:
    """``18 of the weights a language model needs, all those of layers 3 and 4 (…)``."""
    of = [layer for name in names if (layer := layer_of(name)) is not None]
    where = f", in {_layers(names)} of {layers}" if of and len(of) == len(names) else ""
    return f"{len(names)} of the weights a language model needs{where} ({_some(names)})"


def _count(names: Sequence[str]) -> str:
    return f"{len(names)} tensor{'s' if len(names) > 1 else ''}"


def _layers(names: Sequence[str]) -> str:
    found = sorted({layer for name in names if (layer := layer_of(name)) is not None})
    if len(found) == 1:
        return f"layer {found[0]}"
    if len(found) > 3 and found == list(range(found[0], found[-1] + 1)):
        return f"layers {found[0]} to {found[-1]}"
    shown = [str(layer) for layer in found[:6]]
    if len(found) > 6:
        return f"layers {', '.join(shown)} and {len(found) - 6} more"
    return f"layers {', '.join(shown[:-1])} and {shown[-1]}"


def _some(names: Sequence[str]) -> str:
    more = " …" if len(names) > _NAMES else ""
    return ", ".join(name[:_LENGTH] for name in sorted(names)[:_NAMES]) + more
