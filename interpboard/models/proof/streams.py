"""Proof of the stream in models whose layers read more than it: the embedding again, the tokens themselves.

There a donor's stream does not make the receiver the donor. But what lies below a layer must reach it by the
stream alone: where the layers below are disturbed and the stream of this layer is put back, everything
behind it must be as it was. A layer that is handed a part of the stream beside the stream fails that.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

import torch

from interpboard.errors import NotALanguageModel
from interpboard.models.anatomy import Anatomy
from interpboard.models.proof.rounding import differs, same_within_rounding
from interpboard.models.proof.rows import plain_logits
from interpboard.models.proof.shortcuts import MISFIT
from interpboard.models.proof.sites import ProofPrompts
from interpboard.models.sites import at_site

_STREAMS = ("resid_pre", "resid_post")
_Seen = dict[str, torch.Tensor]


@torch.no_grad()
def stream_sites(anatomy: Anatomy, layer: int, prompts: ProofPrompts) -> frozenset[str]:
    """Those of ``resid_pre`` and ``resid_post`` of ``layer`` by which all that lies below reaches what lies
    behind. Nothing lies below the first layer's input: that is not proved here."""
    try:
        clean = _run(anatomy, layer, prompts, {}, disturbed=False)
        lost = _run(anatomy, layer, prompts, {}, disturbed=True)
        found = set()
        for site, watched in (("resid_pre", "resid_post"), ("resid_post", "logits")):
            if site == "resid_pre" and layer == 0:
                continue
            noise = prompts.noise if watched == "logits" else prompts.noise.elsewhere
            back = _run(anatomy, layer, prompts, {site: clean[site]}, disturbed=True)
            if differs(lost[watched], clean[watched], noise) and same_within_rounding(
                back[watched], clean[watched], noise
            ):
                found.add(site)
    except (*MISFIT, NotALanguageModel):
        return frozenset()
    return frozenset(found)


def _run(
    anatomy: Anatomy, layer: int, prompts: ProofPrompts, put: _Seen, *, disturbed: bool
) -> _Seen:
    """The streams of ``layer`` [1, pos, d_model] and the logits [1, pos, d_vocab] of the receiver."""
    seen: _Seen = {}

    def keep(site: str, value: torch.Tensor) -> torch.Tensor | None:
        seen[site] = put.get(site, value).clone()
        return put.get(site)

    def disturb(value: torch.Tensor) -> torch.Tensor:
        drawn = torch.randn(value.shape, generator=torch.Generator().manual_seed(6))
        return value + (value.double().square().mean().sqrt() * drawn.to(value.device)).to(value)

    with ExitStack() as stack:
        if disturbed:
            stack.enter_context(at_site(anatomy, "resid_pre", 0, disturb))
        for site in _STREAMS:
            stack.enter_context(at_site(anatomy, site, layer, partial(keep, site)))
        seen["logits"] = plain_logits(anatomy, prompts.ids)
    return seen
