"""What one run has at a site, in the form in which it is put into another.

An attention pattern is [query, head, key]: of a long prompt it would take gigabytes a layer. All that a
pattern does is to fetch values, and where it alone is edited the values are those of the run it is put
into. So a donor's pattern is kept as what it fetches from them beyond what is fetched already,
[pos, head, d_head]: added to what attention gives, that is the same edit.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import torch

from interpboard.models.language_model import LanguageModel
from interpboard.models.sites import at_site
from interpboard.models.unembedding import run_body
from interpboard.results import PromptInfo
from interpboard.runs.edits import Counterfactual
from interpboard.runs.finite import refusing, require_finite, run_words
from interpboard.runs.gradients.embeddings import wide
from interpboard.runs.prompt import input_ids
from interpboard.runs.record import by_blocks, enter_edits, record


@dataclass(frozen=True)
class Donor:
    """``values[layer]`` [pos, …] for ``site``; ``added`` to what is there, or put in its place. Empty at a
    layer that lacks the site."""

    site: str
    added: bool
    values: tuple[torch.Tensor, ...]

    def change(self, layer: int, own: torch.Tensor) -> torch.Tensor:
        """What its value changes in ``own`` [pos, …], the activation of the run it is put into."""
        value = self.values[layer].to(own)
        return value if self.added else value - own


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
    if site != "pattern":
        run = record(lm, source, (site,), (given,), partly=True)
        return Donor(site, False, tuple(value[0] for value in run.sites[site]))
    run = record(lm, into, ("v",), (made,), partly=True)
    values = tuple(value[0] for value in run.sites["v"])
    fetched_by_source = _fetched(lm, source, given, values)
    fetched_into = _fetched(lm, into, made, values)
    return Donor(
        "attended", True, tuple(a - b for a, b in zip(fetched_by_source, fetched_into, strict=True))
    )


def _fetched(
    lm: LanguageModel, prompt: PromptInfo, edits: Counterfactual, values: tuple[torch.Tensor, ...]
) -> list[torch.Tensor]:
    """What a run's patterns fetch from ``values`` [pos, kv_head, d_head]: [pos, head, d_head] by layer."""
    heads = lm.anatomy.n_heads
    fetched = [
        torch.zeros((len(value), heads, value.shape[-1]), dtype=wide(value), device=value.device)
        for value in values
    ]
    about = run_words(prompt, edited=bool(edits))

    def fetch(layer: int, block: torch.Tensor, first: int) -> None:
        require_finite(lm, about, block)
        into = fetched[layer]
        per_head = values[layer].to(into).repeat_interleave(heads // values[layer].shape[1], 1)
        pattern = block[0].to(into)
        into[first : first + len(pattern)] = torch.einsum("qhk,khd->qhd", pattern, per_head)

    with ExitStack() as stack:
        enter_edits(stack, lm, [edits], lambda _edit: True)
        for layer in lm.verified.layers_with("pattern"):
            seen = by_blocks(lm, partial(fetch, layer))
            stack.enter_context(at_site(lm.anatomy, "pattern", layer, seen))
        stack.enter_context(refusing(lm, about))
        run_body(lm.anatomy, input_ids(lm, prompt))
    return fetched
