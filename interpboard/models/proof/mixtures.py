"""Proof of the site ``router``: the weights put there are what the experts are weighed by, each by its own.

What experts say is a sum over them, so halves of the experts must add up to the whole, for the weights that a
token has and for others, which send it to experts that it did not choose. Weights put back must change
nothing, and at one position nothing elsewhere. All of it beside rows that are edited otherwise and a row
of another prompt.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import torch

from interpboard.errors import NotALanguageModel
from interpboard.models.anatomy import Anatomy
from interpboard.models.module_hooks import on_output
from interpboard.models.proof.rounding import differs, same_within_rounding
from interpboard.models.proof.rows import plain_logits
from interpboard.models.proof.shortcuts import MISFIT
from interpboard.models.proof.sites import ProofPrompts
from interpboard.models.sites import ROUTER, at_site

_AT = 1  # the position that is edited alone: others stand before it and behind
_Weights = torch.Tensor  # [pos, expert]
_Rows = list[tuple[torch.Tensor, Callable[[_Weights], _Weights]]]


@torch.no_grad()
def router_sites(anatomy: Anatomy, layer: int, prompts: ProofPrompts) -> frozenset[str]:
    """``router`` where ``layer`` is a mixture of experts whose weights can be read and put, else nothing."""
    if not anatomy.mixtures or anatomy.mixtures[layer] is None:
        return frozenset()
    try:
        return frozenset({ROUTER}) if _holds(anatomy, layer, prompts) else frozenset()
    except (*MISFIT, NotALanguageModel):
        return frozenset()


def _holds(anatomy: Anatomy, layer: int, prompts: ProofPrompts) -> bool:
    weights: list[torch.Tensor] = []
    alone = []
    for ids in (prompts.ids, prompts.donor_ids):
        with at_site(anatomy, ROUTER, layer, partial(_keep, weights)):
            alone += _outputs(anatomy, layer, [(ids, _as_it_is)], together=True)
    own = weights[0]
    if len(own) != prompts.ids.shape[1]:
        return False
    # Every token to the neighbours of its experts, with other weights at each position.
    sizes = torch.linspace(0.5, 1.5, len(own), device=own.device, dtype=own.dtype)
    others = own.roll(1, dims=1) * sizes[:, None]
    even = torch.arange(own.shape[1], device=own.device) % 2 == 0
    here = torch.arange(len(own), device=own.device)[:, None] == _AT

    def put(value: _Weights) -> Callable[[_Weights], _Weights]:
        return lambda _: value

    ids, donor_ids = prompts.ids, prompts.donor_ids
    rows: _Rows = [
        (ids, _as_it_is),
        (donor_ids, _as_it_is),
        (ids, put(torch.zeros_like(own))),
        (ids, put(own * even)),
        (ids, put(own * ~even)),
        (ids, put(own * ~here)),
        (ids, put(others)),
        (ids, put(others * even)),
        (ids, put(others * ~even)),
    ]
    clean, donor, none, one, two, at, moved, moved_one, moved_two = _outputs(
        anatomy, layer, rows, together=not prompts.alone
    )
    noise = prompts.noise.elsewhere
    same = (
        (clean, alone[0]),
        (donor, alone[1]),
        (one + two - none, clean),
        (moved_one + moved_two - none, moved),
        (torch.where(here, none, clean), at),
    )
    return all(same_within_rounding(got, wanted, noise) for got, wanted in same) and all(
        differs(got, clean, noise) for got in (none, moved)
    )


def _outputs(anatomy: Anatomy, layer: int, rows: _Rows, *, together: bool) -> list[torch.Tensor]:
    """What the experts say [pos, d_model] in each of ``rows``."""
    if not together:
        return [_outputs(anatomy, layer, [row], together=True)[0] for row in rows]
    said: list[torch.Tensor] = []
    mixture = anatomy.mixtures[layer]
    assert mixture is not None

    def act(weights: torch.Tensor) -> torch.Tensor:
        return torch.stack([change(own) for own, (_, change) in zip(weights, rows, strict=True)])

    def hear(output: torch.Tensor) -> None:
        said.append(output.reshape(len(rows), -1, output.shape[-1]).clone())

    with ExitStack() as stack:
        stack.enter_context(at_site(anatomy, ROUTER, layer, act))
        stack.enter_context(on_output(mixture.output, hear))
        plain_logits(anatomy, torch.cat([ids for ids, _ in rows]))
    return list(said[0])


def _as_it_is(weights: _Weights) -> _Weights:
    return weights


def _keep(into: list[torch.Tensor], weights: torch.Tensor) -> None:
    into.append(weights[0].clone())
