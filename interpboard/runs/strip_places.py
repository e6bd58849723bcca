"""At which positions of a prompt a layer has a site: all of them, but in an encoder–decoder."""

from __future__ import annotations

import torch

from interpboard.errors import BadParameter, Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.results import PromptInfo


def positions_at(lm: LanguageModel, prompt: PromptInfo, site: str, layer: int) -> range:
    """The positions of ``prompt`` at which ``layer`` has ``site``."""
    length, strips = len(prompt.token_ids), lm.anatomy.strips
    return range(length) if strips is None else strips.positions(site, layer, prompt.border, length)


def values_there(
    lm: LanguageModel, prompt: PromptInfo, site: str, layer: int, values: torch.Tensor
) -> torch.Tensor:
    """``values`` [pos, …] at those positions alone: a mean over the others would be one with zeros."""
    there = positions_at(lm, prompt, site, layer)
    return values[there.start : there.stop]


def require_place(
    lm: LanguageModel,
    prompt: PromptInfo,
    site: str,
    layer: int,
    positions: tuple[int, ...] | None,
    said: str,
) -> None:
    """Raise ``BadParameter`` for an edit that would go nowhere: ``positions`` that a layer does not have, or
    an MLP that it has not. ``said``: the edit as it was written."""
    there, name = positions_at(lm, prompt, site, layer), lm.anatomy.layer_names[layer]
    if not there:
        raise BadParameter(
            f"{said}: {name} is self-attention alone; the MLP of that layer stands behind cross attention.",
            f"Write {name.replace('D', 'X')}.",
        )
    wrong = [position for position in positions or () if position not in there]
    if wrong:
        raise BadParameter(
            f"{said}: {name} has no position {wrong[0]}.",
            f"Its positions are {there.start} to {there.stop - 1}.",
        )


def refuse_in_strips(lm: LanguageModel, what: str) -> None:
    """Raise ``Unsupported`` for an encoder–decoder."""
    if lm.anatomy.strips is not None:
        raise Unsupported(f"{what} is not available for an encoder–decoder.")
