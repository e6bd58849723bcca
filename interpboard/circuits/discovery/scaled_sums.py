"""The factor on what a layer's attention and MLP add to its stream: 1 but for a few (granite, esmc)."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

import torch

from interpboard.models.language_model import LanguageModel
from interpboard.models.proof.rounding import agrees
from interpboard.models.sites import at_site
from interpboard.models.unembedding import run_body

_SITES = ("resid_pre", "attn_out", "mlp_out", "resid_post")


@torch.no_grad()
def scales_of_sums(lm: LanguageModel, ids: torch.Tensor) -> list[float]:
    """Of each layer, as a run of ``ids`` [batch, pos] shows.

    1 where no factor makes the sum: that is for the proof of a wiring to refuse, or the layer norms its sums.
    """
    seen: dict[tuple[str, int], torch.Tensor] = {}

    def keep(place: tuple[str, int], value: torch.Tensor) -> None:
        seen[place] = value.clone()

    layers = range(lm.anatomy.n_layers)
    with ExitStack() as stack:
        for layer in layers:
            for site in _SITES:
                act = partial(keep, (site, layer))
                stack.enter_context(at_site(lm.anatomy, site, layer, act))
        run_body(lm.anatomy, ids)
    return [_scale(*(seen[site, layer] for site in _SITES)) for layer in layers]


def _scale(
    before: torch.Tensor, attention: torch.Tensor, mlp: torch.Tensor, after: torch.Tensor
) -> float:
    added = attention.to(before) + mlp.to(before)
    if agrees(before + added, after):
        return 1.0
    size = added.double().square().sum()
    if not bool(size):
        return 1.0
    scale = float(((after - before).double() * added.double()).sum() / size)
    return scale if agrees(before + scale * added, after) else 1.0
