"""Forward passes in which every receiver hears its own mixture of two runs, edge by edge and exactly.

The *reference* is what takes a sender's place on an edge outside the circuit: its activation on the
corrupted prompt, or a mean. A receiver's input is the reference's stream plus, for every edge of the
circuit, what the sender writes in this very pass less what it writes in the reference. So a part of the
circuit reads what the circuit computes, not what the clean model would (Conmy et al. 2023). It is one
plain forward of the model with hooks: the projections are computed head by head, from a stream each, and
everything else is done by the model's own modules.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Protocol

import numpy as np
import torch

from interpboard.circuits.discovery.activations import Activations
from interpboard.circuits.discovery.called_maps import CalledMaps, maps_round
from interpboard.circuits.discovery.joint_norms import with_joint_norms
from interpboard.circuits.discovery.live_edges import LiveEdges
from interpboard.circuits.discovery.own_inputs import prove_own_inputs
from interpboard.circuits.discovery.wiring import (
    LayerWiring,
    Wiring,
    find_wiring,
    some_ids,
    unsupported,
)
from interpboard.models.language_model import LanguageModel
from interpboard.models.module_hooks import on_input
from interpboard.models.proof.rounding import Noise, same_within_rounding
from interpboard.models.proof.rows import disturbed
from interpboard.models.sites import at_site
from interpboard.models.unembedding import residual_to_logits, run_body
from interpboard.runs.finite import refusing
from interpboard.runs.watch import SILENT, Watch

_TOKENS = 6


def proved_wiring(lm: LanguageModel) -> Wiring:
    """The wiring of ``lm``, proved on two random prompts of six tokens.

    With all edges the first prompt's logits must come out, with none the second's, up to what rounding at
    every receiver does to a plain run; and each head must read by its own slice of a projection, where
    queries, keys and values can be seen. Raises ``Unsupported`` where they do not: parallel blocks, norms
    behind attention, more that is added.
    """
    wiring = find_wiring(lm)
    wiring = replace(wiring, layers=with_joint_norms(lm, wiring.layers, some_ids(lm)))
    generator = torch.Generator().manual_seed(0)
    some = min(lm.anatomy.d_vocab, 1000)
    ids = torch.randint(some, (2, _TOKENS), generator=generator).to(lm.device)
    clean, reference = (record_activations(wiring, row[None]) for row in ids)
    for edges, row, expected in (
        (wiring.graph.edges, ids[:1], clean),
        (~wiring.graph.edges, ids[1:], reference),
    ):
        noise = Noise.between(rounded_anew(wiring, row), expected.output)
        none = edges & wiring.graph.edges
        found = edge_patched(wiring, ids[:1], reference, none)
        if not same_within_rounding(found, expected.output, noise):
            raise unsupported(lm, "what its layers add is not what heads and MLPs write")
    shown = {"q", "k", "v"} <= lm.verified.sites
    if not shown and any(each.by_heads for own in wiring.layers for each in own.projections):
        raise unsupported(lm, "its queries, keys and values cannot be seen, and stand head by head")
    if shown:
        prove_own_inputs(
            wiring, ids[:1], ids[1:],
            lambda stack, edges: hang(stack, wiring, _hearing(wiring, reference, edges)),
        )  # fmt: skip
    return wiring


@torch.no_grad()
def rounded_anew(wiring: Wiring, ids: torch.Tensor) -> torch.Tensor:
    """The last layer's output of a plain run in which what attention and MLPs read is rounded once more."""
    anatomy = wiring.lm.anatomy
    end: list[torch.Tensor] = []
    with ExitStack() as stack:
        for layer, attention in enumerate(wiring.layers):
            act = partial(disturbed, dtype=attention.rounds_to)
            stack.enter_context(at_site(anatomy, "resid_pre", layer, act))
            stack.enter_context(on_input(anatomy.before_mlp[layer], act))
        stack.enter_context(at_site(anatomy, "resid_post", anatomy.n_layers - 1, end.append))
        run_body(anatomy, ids)
    return end[0]


@torch.no_grad()
def record_activations(wiring: Wiring, ids: torch.Tensor) -> Activations:
    """A plain run of ``ids`` [batch, pos]."""
    anatomy = wiring.lm.anatomy
    seen: dict[str, list[torch.Tensor]] = {}

    def keep(name: str, value: torch.Tensor) -> None:
        seen.setdefault(name, []).append(value.clone())

    def keep_written(own: LayerWiring, value: torch.Tensor) -> None:
        keep("mlp", own.scaled(value))

    with ExitStack() as stack:
        for layer, own in enumerate(wiring.layers):
            stack.enter_context(at_site(anatomy, "z", layer, partial(keep, "z")))
            stack.enter_context(at_site(anatomy, "mlp_out", layer, partial(keep_written, own)))
        stack.enter_context(at_site(anatomy, "resid_pre", 0, partial(keep, "embed")))
        stack.enter_context(
            at_site(anatomy, "resid_post", anatomy.n_layers - 1, partial(keep, "end"))
        )
        with refusing(wiring.lm, "A prompt of the circuit's dataset", len(ids)):
            run_body(anatomy, ids)
    return Activations(seen["embed"][0], tuple(seen["z"]), tuple(seen["mlp"]), seen["end"][0])


@torch.no_grad()
def final_stream(wiring: Wiring, ids: torch.Tensor) -> torch.Tensor:
    """What the output reads [batch, pos, d_model] in a plain run of ``ids`` [batch, pos]."""
    anatomy = wiring.lm.anatomy
    seen: list[torch.Tensor] = []
    with (
        at_site(anatomy, "resid_post", anatomy.n_layers - 1, seen.append),
        refusing(wiring.lm, "A prompt of the circuit's dataset", len(ids)),
    ):
        run_body(anatomy, ids)
    return seen[0]


@torch.no_grad()
def edge_patched(
    wiring: Wiring,
    ids: torch.Tensor,
    reference: Activations,
    edges: np.ndarray,
    watch: Watch = SILENT,
) -> torch.Tensor:
    """The final residual stream [batch, pos, d_model] for ``ids`` [batch, pos] with only ``edges``
    [sender, receiver] live. Asks ``watch`` in every layer whether to stop."""
    return patched(wiring, ids, _hearing(wiring, reference, edges, watch))


def _hearing(
    wiring: Wiring, reference: Activations, edges: np.ndarray, watch: Watch = SILENT
) -> HearsPass:
    how = CalledMaps if maps_round(wiring) else LiveEdges
    return how(wiring, reference, edges, watch)


class HearsPass(Protocol):
    """What hears of a pass, layer by layer, what was written, and answers what is read (``LiveEdges``)."""

    watch: Watch

    def begin(self, hidden: torch.Tensor, /) -> None:
        """The input of layer 0."""

    def project(self, layer: int, number: int, output: torch.Tensor, /) -> torch.Tensor:
        """What a projection of the layer gives."""

    def heads(self, layer: int, z: torch.Tensor, /) -> None:
        """What the layer's heads give."""

    def before_mlp(self, layer: int, hidden: torch.Tensor, /) -> torch.Tensor:
        """What the layer's MLP reads."""

    def mlp(self, layer: int, added: torch.Tensor, /) -> None:
        """What the layer's MLP adds."""

    def output(self) -> torch.Tensor:
        """What the output reads."""


@torch.no_grad()
def patched(wiring: Wiring, ids: torch.Tensor, hears: HearsPass) -> torch.Tensor:
    """What the output reads [batch, pos, d_model] for ``ids`` [batch, pos], a pass that ``hears`` changes."""
    with ExitStack() as stack:
        hang(stack, wiring, hears)
        with refusing(wiring.lm, "A run with some edges only", len(ids)):
            run_body(wiring.lm.anatomy, ids)
    return hears.output()


def hang(stack: ExitStack, wiring: Wiring, hears: HearsPass) -> None:
    """Hang ``hears`` into the model until ``stack`` is closed; its watch is asked in every layer."""
    anatomy = wiring.lm.anatomy
    stack.enter_context(at_site(anatomy, "resid_pre", 0, hears.begin))
    for layer, attention in enumerate(wiring.layers):
        stack.enter_context(on_input(attention.norm, lambda _value: hears.watch.check()))
        for number, projection in enumerate(attention.projections):
            project = partial(hears.project, layer, number)
            stack.enter_context(projection.on_stream(project))
        stack.enter_context(at_site(anatomy, "z", layer, partial(hears.heads, layer)))
        stack.enter_context(on_input(anatomy.before_mlp[layer], partial(hears.before_mlp, layer)))
        stack.enter_context(
            at_site(anatomy, "mlp_out", layer, partial(_added, hears, wiring, layer))
        )


def _added(hears: HearsPass, wiring: Wiring, layer: int, given: torch.Tensor) -> None:
    hears.mlp(layer, wiring.layers[layer].scaled(given))


def logits_at(lm: LanguageModel, output: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Logits [batch, d_vocab] of final residual streams ``output`` at ``positions`` [batch]."""
    rows = torch.arange(len(positions), device=output.device)
    output = (
        output.expand(len(positions), int(positions.max()) + 1, -1)
        if (output.shape[1] == 1)
        else output
    )
    return residual_to_logits(lm.anatomy, output[rows, positions.to(output.device)])
