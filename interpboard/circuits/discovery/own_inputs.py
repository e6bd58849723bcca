"""Proof that each head's queries, keys and values are made of its own slice of a projection.

With every edge live, or none, all heads of a layer read one stream, so that a slice taken for another head's
would not show. Here some heads' inputs hear one prompt, and the rest another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Protocol

import numpy as np
import torch

from interpboard.circuits.discovery.graph import Graph
from interpboard.circuits.discovery.wiring import unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.models.proof.kinds import kinds_of_layers
from interpboard.models.proof.rounding import agrees, differs
from interpboard.models.sites import at_site
from interpboard.models.unembedding import run_body

_LETTERS = ("q", "k", "v")


class Hang(Protocol):
    """Puts a run with some edges [sender, receiver] on a stack."""

    def __call__(self, stack: ExitStack, edges: np.ndarray) -> None:
        """Until the stack is closed."""


@torch.no_grad()
def prove_own_inputs(
    lm: LanguageModel, graph: Graph, ids: torch.Tensor, others: torch.Tensor, hang: Hang
) -> None:
    """Where every other head's query, key or value hears ``ids``, that must be of ``ids``, and all else of
    ``others``, the reference. Seen in the first layer of each kind: rounding adds up behind it.

    Raises ``Unsupported`` where it is not so.
    """
    counts = (graph.n_heads, graph.n_kv_heads, graph.n_kv_heads)
    for layer in sorted(set(kinds_of_layers(lm.anatomy))):
        plain = [_seen(lm, layer, row) for row in (ids, others)]
        inputs = graph.attention_receivers(layer)
        for letter in range(3):
            hears = [
                np.arange(count) % 2 == (0 if at == letter else 2)
                for at, count in enumerate(counts)
            ]
            edges = graph.edges.copy()
            edges[:, inputs.start :] = False
            edges[:, inputs] = graph.edges[:, inputs] & np.concatenate(hears)
            mixed = _seen(lm, layer, ids, partial(hang, edges=edges))
            _compare(lm, plain, mixed, hears)


def _compare(
    lm: LanguageModel,
    plain: Sequence[Mapping[str, torch.Tensor]],
    mixed: Mapping[str, torch.Tensor],
    hears: Sequence[np.ndarray],
) -> None:
    for letter, heard in zip(_LETTERS, hears, strict=True):
        own, other, found = (each[letter] for each in (*plain, mixed))
        expected = torch.where(torch.from_numpy(heard).to(own.device)[:, None], own, other)
        told_apart = differs(own.flatten(-2), other.flatten(-2))
        if not told_apart or not agrees(found.flatten(-2), expected.flatten(-2)):
            raise unsupported(lm, "its queries, keys and values cannot be told apart by heads")


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
