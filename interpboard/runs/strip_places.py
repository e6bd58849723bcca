"""At which positions of a prompt a layer has a site: all of them, but in an encoder–decoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from interpboard.errors import BadParameter, Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.models.strips import group_of, layers_of_source
from interpboard.registry.parameter import OF_LAYERS
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


def with_layer_numbers(lm: LanguageModel, given: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the parameters ``given`` that name layers, as the numbers that functions take.

    ``X1`` is one layer, ``X`` all of its group. Raises ``BadParameter`` for a layer that is not there.
    """
    found: dict[str, Any] = {}
    for name in OF_LAYERS:
        value = given.get(name)
        several = isinstance(value, (tuple, list))
        parts: list[Any] = [*value] if isinstance(value, (tuple, list)) else [value]
        if not any(isinstance(part, str) for part in parts):
            continue
        numbers = [n for part in parts for n in _numbers(lm, part)]
        if not several and len(numbers) > 1:
            raise BadParameter(
                f"{value} is a group of layers, and {name} is one of them.", "Write X0."
            )
        found[name] = tuple(numbers) if several else numbers[0]
    return found


def _numbers(lm: LanguageModel, part: int | str) -> list[int]:
    if not isinstance(part, str):
        return [part]
    names = lm.anatomy.layer_names
    if lm.anatomy.strips is None:
        raise BadParameter(
            f"This model has one stack of layers, and no layer {part}.",
            f"It has layers 0 to {len(names) - 1}.",
        )
    wanted = part.strip().upper()
    found = [i for i, name in enumerate(names) if wanted in (name, group_of(name))]
    if not found:
        raise BadParameter(f"There is no layer {part}.", f"The model has {', '.join(names)}.")
    return found


def source_layers(lm: LanguageModel) -> int:
    """How many layers come before those whose stream the head reads: an encoder's."""
    return layers_of_source(lm.anatomy.layer_names) if lm.anatomy.strips is not None else 0


def with_next(lm: LanguageModel, ids: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """``ids`` [row, pos], as ``input_ids`` gives them, with one more token ``chosen`` [row] behind each."""
    coded = chosen if lm.anatomy.strips is None else -1 - chosen
    return torch.cat([ids, coded[:, None]], dim=1)


def plain_ids(lm: LanguageModel, ids: torch.Tensor) -> torch.Tensor:
    """``ids`` [row, pos], as ``input_ids`` gives them, as the tokenizer knows them."""
    return ids if lm.anatomy.strips is None else torch.where(ids < 0, -1 - ids, ids)


def refuse_in_strips(lm: LanguageModel, what: str) -> None:
    """Raise ``Unsupported`` for an encoder–decoder."""
    if lm.anatomy.strips is not None:
        raise Unsupported(f"{what} is not available for an encoder–decoder.")
