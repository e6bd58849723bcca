"""Direct paths through maps that round what they are given to 8 bits (LLM.int8): their parts do not add up.

Heads are then what the map's unpacked weight makes of them, and what rounding put in beside them is measured
and has a name, so that the whole is still a sum. It is held against what rounding can be at the most: a
weight that was read wrongly, or a map that does more, is refused and not called rounding.
"""

from __future__ import annotations

import torch
from torch import nn

from interpboard.errors import Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.models.packed import base_layer, rounds_inputs
from interpboard.models.plain_linear import plain_linear

_STEPS = 127
ROUNDED = (
    "LLM.int8 rounds what attention's output projections are given: heads are read through the unpacked "
    "weights, and what rounding adds stands beside them."
)


def weight_of_rounding(
    module: object, name: str
) -> tuple[torch.Tensor, torch.Tensor | None] | None:
    """Weight [out, in] and bias of a map that rounds its inputs; None for another.

    Raises ``Unsupported`` saying ``name`` where the weight cannot be read.
    """
    if not isinstance(module, nn.Module) or not rounds_inputs(base_layer(module)):
        return None
    found = plain_linear(module)
    if found is None:
        raise Unsupported(
            f"{name} of this model rounds its inputs to 8 bits, and its weight cannot be read.",
            "Use --quantize int8 or 4bit.",
        )
    return found


def rounds_heads(lm: LanguageModel, layer: int) -> bool:
    """Whether the output projection of a layer's attention rounds what it is given."""
    projection = lm.anatomy.out_proj[layer]
    return projection is not None and rounds_inputs(base_layer(projection))


def require_rounding(beside: float, gradient: torch.Tensor, at: torch.Tensor, layer: int) -> None:
    """Raise ``Unsupported`` if ``beside``, what a projection gives but for gradient · at, is more than
    rounding can be: in each place of ``at`` [width] half a step of 1/127 of its largest number, and as much
    again for what kernels round besides."""
    step = float(at.double().abs().max()) / _STEPS
    if abs(beside) > step * float(gradient.double().abs().sum()) + 1e-6:
        raise Unsupported(
            f"Attention of layer {layer} adds {beside:.3g} to the logit beside its heads, more than the "
            "rounding of its inputs can.",
            "Use --quantize int8 or 4bit.",
        )
