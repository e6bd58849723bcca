"""Proof that each head's queries, keys and values are made of its own slice of a projection.

With every edge live, or none, all heads of a layer read one stream, so that a slice taken for another head's
would not show. Here some heads' inputs hear one prompt, and the rest another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Protocol

import numpy as np
import torch

from interpboard.circuits.discovery.wiring import Wiring, unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.models.proof.kinds import kinds_of_layers
from interpboard.models.sites import at_site
from interpboard.models.unembedding import run_body

_LETTERS = ("q", "k", "v")
_SHARE, _TIMES = 0.1, 10.0  # of what two prompts differ by; of what rounding does


class Hang(Protocol):
    """Puts a run with some edges [sender, receiver] on a stack."""

    def __call__(self, stack: ExitStack, edges: np.ndarray) -> None:
        """Until the stack is closed."""


@torch.no_grad()
def prove_own_inputs(wiring: Wiring, ids: torch.Tensor, others: torch.Tensor, hang: Hang) -> None:
    """Where every other head's query, key or value hears ``ids``, that must be of ``ids``, and all else of
    ``others``, the reference. Seen in the first layer of each kind.

    Another's slice is off by as much as the two prompts differ. A letter in which they differ by no more than
    rounding shows nothing. Raises ``Unsupported`` where it is not so.
    """
    lm, graph = wiring.lm, wiring.graph
    counts = (graph.n_heads, graph.n_kv_heads, graph.n_kv_heads)
    every_other = [np.arange(count) % 2 == 0 for count in counts]
    for layer in sorted(set(kinds_of_layers(lm.anatomy))):
        inputs = graph.attention_receivers(layer)

        def mixed(
            hears: Sequence[np.ndarray], layer: int = layer, inputs: slice = inputs
        ) -> dict[str, torch.Tensor]:
            edges = graph.edges.copy()
            edges[:, inputs.start :] = False
            edges[:, inputs] = graph.edges[:, inputs] & np.concatenate(hears)
            return _seen(lm, layer, ids, partial(hang, edges=edges))

        own, other = (_seen(lm, layer, row) for row in (ids, others))
        all_heard = mixed([np.ones(count, dtype=bool) for count in counts])
        for at in range(3):
            hears = [each if at == i else each & False for i, each in enumerate(every_other)]
            found = mixed(hears)
            for letter, heard in zip(_LETTERS, hears, strict=True):
                chosen = torch.from_numpy(heard).to(own[letter].device)[:, None]
                expected = torch.where(chosen, own[letter], other[letter])
                apart = _most(own[letter] - other[letter])
                rounding = _most(all_heard[letter] - own[letter])
                if not _most(found[letter] - expected) <= max(_SHARE * apart, _TIMES * rounding):
                    raise unsupported(
                        lm, "its queries, keys and values cannot be told apart by heads"
                    )


def _most(difference: torch.Tensor) -> float:
    """The length of ``difference`` [batch, pos, head, d_head] of the head in which it is longest."""
    return float(difference.double().transpose(1, 2).flatten(2).norm(dim=-1).max())


def _seen(
    lm: LanguageModel,
    layer: int,
    ids: torch.Tensor,
    hang: Callable[[ExitStack], None] = lambda _stack: None,
) -> dict[str, torch.Tensor]:
    """Queries, keys and values of a layer [batch, pos, head, d_head], as a pass comes by."""
    found: dict[str, torch.Tensor] = {}
    with ExitStack() as stack:
        hang(stack)
        for letter in _LETTERS:

            def keep(value: torch.Tensor, letter: str = letter) -> None:
                found[letter] = value.clone()

            stack.enter_context(at_site(lm.anatomy, letter, layer, keep))
        run_body(lm.anatomy, ids)
    return found
