"""What one run has at a site, in the form in which it is put into another.

An attention pattern is [query, head, key]: of a long prompt it would take gigabytes a layer. All that a
pattern does is to fetch values, and where it alone is edited the values are those of the run it is put
into. So a donor's pattern is kept as what it fetches from them beyond what is fetched already,
[pos, head, d_head]: added to what attention gives, that is the same edit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import require_room_for_tokens
from interpboard.models.sites import at_site
from interpboard.models.unembedding import run_body
from interpboard.patching.one_layer import seen_in_layer
from interpboard.results import PromptInfo
from interpboard.runs.edits import Counterfactual
from interpboard.runs.finite import refusing, require_finite, run_words
from interpboard.runs.gradients.embeddings import wide
from interpboard.runs.prompt import input_ids
from interpboard.runs.record import Run, by_blocks, enter_edits, record
from interpboard.runs.steps import bytes_of_a_layer, fullest_device, is_kept_of_all_layers

_WIDE = ("neuron",)
"""Sites with several times the numbers of the stream."""


@dataclass(frozen=True)
class Donor:
    """``values[layer]`` [pos, …] for ``site``; ``added`` to what is there, or put in its place. Empty at a
    layer that lacks the site. ``made_anew``: those of a layer are there while somebody holds them."""

    site: str
    added: bool
    values: Sequence[torch.Tensor]
    made_anew: bool = False

    def change(self, layer: int, own: torch.Tensor) -> torch.Tensor:
        """What its value changes in ``own`` [pos, …], the activation of the run it is put into."""
        value = self.values[layer].to(own)
        return value if self.added else value - own


class AsAsked(Sequence[torch.Tensor]):
    """``make(layer)`` of so many layers, made each time it is asked for."""

    def __init__(self, count: int, make: Callable[[int], torch.Tensor]) -> None:
        self._layers, self._make = range(count), make

    def __len__(self) -> int:
        return len(self._layers)

    def __getitem__(self, layer: Any) -> Any:
        return self._make(self._layers[layer])


def at_layer(run: Run, site: str, layer: int) -> torch.Tensor:
    """What ``run`` has there [pos, …], from the layer's input. Nothing is edited in its layers."""
    if not run.lm.verified.has(site, layer):
        return run.calls[layer].hidden[0, :0]
    return seen_in_layer(run, layer, [()], (site,), 0, len(run.prompt.token_ids))[site][0]


def gradient_site(site: str) -> str:
    """Where the gradient is taken that the changes of a ``Donor`` of ``site`` are multiplied with."""
    return "attended" if site == "pattern" else site


@torch.no_grad()
def make_donor(
    lm: LanguageModel,
    site: str,
    source: PromptInfo,
    into: PromptInfo,
    *,
    given: Counterfactual = (),
    made: Counterfactual = (),
) -> Donor:
    """That of the run of ``source`` with the edits ``given``, to be put into that of ``into`` with ``made``.

    Raises ``Unsupported`` for a site that is not there, ``NotFinite``, ``Unaffordable``.
    """
    much = site in _WIDE and not is_kept_of_all_layers(lm, site, len(source.token_ids))
    layers_replay = lm.verified.path == "replay" and lm.anatomy.strips is None
    if much and layers_replay and not any(edit.start >= 0 for edit in given):
        lm.verified.require_somewhere(site)
        run = record(lm, source, edits=(given,), behind_attention=False)
        made_anew = AsAsked(len(run.calls), partial(at_layer, run, site))
        return Donor(site, False, made_anew, made_anew=True)
    if site != "pattern":
        run = record(lm, source, (site,), (given,), partly=True)
        return Donor(site, False, tuple(value[0] for value in run.sites[site]))
    _require_room_for_what_is_fetched(lm, into)
    run = record(lm, into, ("v",), (made,), partly=True)
    values = tuple(value[0] for value in run.sites["v"])
    del run  # its streams are those of all layers
    beyond = [
        value.new_zeros((len(value), lm.anatomy.n_heads, value.shape[-1]), dtype=wide(value))
        for value in values
    ]
    _fetch(lm, source, given, values, beyond, torch.Tensor.add_)
    _fetch(lm, into, made, values, beyond, torch.Tensor.sub_)
    return Donor("attended", True, tuple(beyond))


def _require_room_for_what_is_fetched(lm: LanguageModel, prompt: PromptInfo) -> None:
    """Values, and what patterns fetch from them, of all layers; beside a pass with its patterns."""
    length, width = len(prompt.token_ids), lm.anatomy.d_model
    weight: torch.Tensor = lm.anatomy.embedding.weight  # type: ignore[assignment]
    a_token = lm.anatomy.n_layers * width * (weight.element_size() + wide(weight).itemsize)
    require_room_for_tokens(
        fullest_device(lm), lambda n: n * a_token, length,
        f"What attention patterns of {length:,} tokens fetch in all layers", prompts="the prompts",
        beside=partial(bytes_of_a_layer, lm, pattern=True),
    )  # fmt: skip


def _fetch(
    lm: LanguageModel,
    prompt: PromptInfo,
    edits: Counterfactual,
    values: tuple[torch.Tensor, ...],
    fetched: list[torch.Tensor],
    join: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> None:
    """What a run's patterns fetch from ``values`` [pos, kv_head, d_head] joins ``fetched``
    [pos, head, d_head] of each layer."""
    heads = lm.anatomy.n_heads
    about = run_words(prompt, edited=bool(edits))

    def fetch(layer: int, block: torch.Tensor, first: int) -> None:
        require_finite(lm, about, block)
        into = fetched[layer]
        per_head = values[layer].to(into).repeat_interleave(heads // values[layer].shape[1], 1)
        pattern = block[0].to(into)
        join(into[first : first + len(pattern)], torch.einsum("qhk,khd->qhd", pattern, per_head))

    with ExitStack() as stack:
        enter_edits(stack, lm, [edits], lambda _edit: True)
        for layer in lm.verified.layers_with("pattern"):
            seen = by_blocks(lm, partial(fetch, layer))
            stack.enter_context(at_site(lm.anatomy, "pattern", layer, seen))
        stack.enter_context(refusing(lm, about))
        run_body(lm.anatomy, input_ids(lm, prompt))
