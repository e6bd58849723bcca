"""Is what the user named as the output of attention and of the MLP what is added to the stream?

A map further up passes every other proof: whoever patches a value projection patches all that attention
says. But what is added to the stream is added at its own position alone, and as it is, but for a factor.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

import torch

from interpboard.errors import NotALanguageModel
from interpboard.models.anatomy import Anatomy
from interpboard.models.proof.kinds import kinds_of_layers, layers_to_prove
from interpboard.models.proof.rounding import TOLERANCE
from interpboard.models.proof.rows import plain_logits
from interpboard.models.proof.shortcuts import MISFIT
from interpboard.models.sites import at_site

_AT = 1  # the position that is changed: others stand before it and behind
_PARTS = {"attn_out": "attn_out (or out_proj)", "mlp_out": "mlp_out (or down_proj)"}
Streams = dict[str, torch.Tensor]


@torch.no_grad()
def refuse_other_additions(anatomy: Anatomy, ids: torch.Tensor) -> None:
    """Raise ``NotALanguageModel`` for a part that is not what its layer adds to the stream.

    ``ids`` [1, pos].
    """
    for layer in layers_to_prove(kinds_of_layers(anatomy)):
        for site, part in _PARTS.items():
            module = getattr(anatomy, site)[layer]
            if module is None or _is_added(anatomy, layer, site, ids):
                continue
            raise NotALanguageModel(
                f"{type(module).__name__}, named as {part}, is not what layer {layer} adds to the stream.",
                "Name the last map before the addition, or the norm behind it.",
            )


def adds_before_mlp(anatomy: Anatomy, layer: int, ids: torch.Tensor) -> bool:
    """Whether what ``before_mlp`` of ``layer`` is given moves by what attention's output is moved by."""
    try:
        added: list[torch.Tensor] = []
        clean, changed = (
            _streams(anatomy, layer, "attn_out", ids, change, added) for change in (0, 1)
        )
    except MISFIT:
        return False
    middle = clean["resid_mid"]
    moved = (changed["resid_mid"] - middle)[0].abs()
    return float(moved.max()) > 8 * TOLERANCE[middle.dtype] * float(middle.abs().max())


def _is_added(anatomy: Anatomy, layer: int, site: str, ids: torch.Tensor) -> bool:
    try:
        added: list[torch.Tensor] = []
        clean, changed = (_streams(anatomy, layer, site, ids, change, added) for change in (0, 1))
    except MISFIT:
        return False
    if len(added) != 1 or added[0].shape != clean["resid_post"].shape[-1:]:
        return False
    step = added[0]
    moved = {name: (changed[name] - clean[name])[0] for name in clean if name in changed}
    limit = {name: 8 * TOLERANCE[t.dtype] * float(t.abs().max()) for name, t in clean.items()}
    end = moved["resid_post"]
    elsewhere = torch.cat([end[:_AT], end[_AT + 1 :]])
    if float(elsewhere.abs().max()) > limit["resid_post"]:
        return False
    name = "resid_post"
    if (
        site == "attn_out"
    ):  # the MLP answers it; where what it reads is not known, its position is all
        name = "resid_mid"
        if name not in moved or float(moved[name].abs().max()) <= limit[name]:
            return True
    here = moved[name][_AT].double()
    factor = (here * step).sum() / step.square().sum()
    off = float((here - factor * step).abs().max())
    return off <= limit[name] < float(here.abs().max())


def _streams(
    anatomy: Anatomy,
    layer: int,
    site: str,
    ids: torch.Tensor,
    change: int,
    added: list[torch.Tensor],
) -> Streams:
    """The stream [1, pos, d_model] in and behind ``layer``; with ``change`` something large is put on
    ``site`` at one position, and goes to ``added`` [d_model]."""
    seen: Streams = {}

    def act(value: torch.Tensor) -> torch.Tensor | None:
        if not change:
            return None
        generator = torch.Generator().manual_seed(5)
        size = value.double().square().mean().sqrt().clamp_min(1e-3)
        step = size * torch.randn(value.shape[-1], generator=generator, dtype=torch.float64)
        new = value.clone()
        new[:, _AT] += step.to(new)
        added.append((new - value)[0, _AT].double())
        return new

    def keep(name: str, value: torch.Tensor) -> None:
        seen[name] = value.clone()

    with ExitStack() as stack:
        stack.enter_context(at_site(anatomy, site, layer, act))
        if anatomy.before_mlp[layer] is not None:
            stack.enter_context(at_site(anatomy, "resid_mid", layer, partial(keep, "resid_mid")))
        stack.enter_context(at_site(anatomy, "resid_post", layer, partial(keep, "resid_post")))
        plain_logits(anatomy, ids)
    return seen
