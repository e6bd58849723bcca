"""Forward passes of an encoder–decoder in which every receiver hears its own mixture of two runs.

As ``edge_runs``, over two streams. Activations are in the positions of their own strip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from interpboard.circuits.discovery.called_maps import maps_round
from interpboard.circuits.discovery.strips.activations import StripActivations
from interpboard.circuits.discovery.strips.streams import StripStreams
from interpboard.circuits.discovery.strips.wiring import StripWiring, find_strip_wiring
from interpboard.circuits.discovery.wiring import unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.models.module_hooks import on_input, on_output
from interpboard.models.proof.rounding import ONE_STEP, Noise, same_within_rounding
from interpboard.models.proof.rows import disturbed
from interpboard.models.two_strips.proof import strip_prompts
from interpboard.models.unembedding import run_body
from interpboard.runs.finite import refusing
from interpboard.runs.watch import SILENT, Watch

Keep = Callable[[str, int, torch.Tensor], torch.Tensor | None]


@contextmanager
def hooked(wiring: StripWiring, act: Keep) -> Iterator[None]:
    """While open, ``act(what, layer, value)`` sees, and may change, what is written and read.

    ``embed`` and ``embed_prefix``, ``q``, ``k``, ``v`` (what the maps give), ``z``, ``mid`` (what the MLP
    reads), ``mlp`` and ``end``, each in the positions of its strip; the encoder runs every row.
    """
    strips, graph = wiring.strips, wiring.graph
    heads = (graph.n_heads, -1)

    def by_heads(layer: int, flat: torch.Tensor) -> None:
        act("z", layer, flat.unflatten(-1, heads))

    with ExitStack() as stack:
        stack.enter_context(strips.body.every_row())
        for layer, name in (0, "embed"), (graph.n_encoder, "embed_prefix"):
            stack.enter_context(on_input(strips.blocks[layer].module, partial(act, name, layer)))
        for layer, own in enumerate(wiring.layers):
            for letter, projection in zip("qkv", own.projections, strict=True):
                stack.enter_context(on_output(projection.module, partial(act, letter, layer)))
            stack.enter_context(on_input(own.out_proj, partial(by_heads, layer)))
            if own.before_mlp is not None and own.down is not None:
                stack.enter_context(on_input(own.before_mlp, partial(act, "mid", layer)))
                stack.enter_context(on_output(own.down, partial(act, "mlp", layer)))
        last = strips.blocks[-1].module
        stack.enter_context(on_output(last, partial(act, "end", graph.n_layers - 1)))
        yield


@torch.no_grad()
def record_strips(wiring: StripWiring, ids: torch.Tensor) -> StripActivations:
    """A plain run of coded ``ids`` [batch, pos]."""
    seen: dict[tuple[str, int], torch.Tensor] = {}

    def keep(what: str, layer: int, value: torch.Tensor) -> None:
        if what not in "qkv" and what != "mid":
            seen[what, layer] = value.clone()

    with hooked(wiring, keep), refusing(wiring.lm, "A prompt of the circuit's dataset", len(ids)):
        run_body(wiring.lm.anatomy, ids)
    layers = range(wiring.graph.n_layers)
    z = tuple(seen["z", layer] for layer in layers)
    return StripActivations(
        seen["embed", 0],
        z,
        tuple(seen.get(("mlp", layer), z[layer].flatten(2)[..., :0]) for layer in layers),
        seen["end", layers[-1]],
        seen["embed_prefix", wiring.graph.n_encoder],
    )


@torch.no_grad()
def strip_edges_patched(
    wiring: StripWiring,
    ids: torch.Tensor,
    reference: StripActivations,
    edges: np.ndarray,
    watch: Watch = SILENT,
) -> torch.Tensor:
    """The decoder's final stream [batch, pos, d_model] for coded ``ids`` [batch, pos] with only ``edges``
    [sender, receiver] live. Asks ``watch`` in every layer whether to stop."""
    live = StripStreams(wiring, reference, edges, watch)
    with hooked(wiring, live), refusing(wiring.lm, "A run with some edges only", len(ids)):
        run_body(wiring.lm.anatomy, ids)
    return live.output()


def proved_strip_wiring(lm: LanguageModel) -> StripWiring:
    """The wiring of ``lm``, proved on two random prompts.

    With all edges the first's stream must come out, with none the second's. Raises ``Unsupported`` where they
    do not.
    """
    wiring = find_strip_wiring(lm)
    ids, other = strip_prompts(lm.anatomy)
    reference = record_strips(wiring, other)
    for edges, row in ((wiring.graph.edges, ids), (np.zeros_like(wiring.graph.edges), other)):
        expected = record_strips(wiring, row).output
        noise = Noise.between(_rounded_anew(wiring, row), expected)
        if not same_within_rounding(
            strip_edges_patched(wiring, ids, reference, edges), expected, noise
        ):
            if maps_round(wiring):
                raise unsupported(
                    lm,
                    "in LLM.int8 its maps round what they are given, so that parts do not add up",
                )
            reason = "what its layers add is not what heads and MLPs write"
            if noise.allowed(expected.dtype) != ONE_STEP.allowed(expected.dtype):
                reason += ", or rounding hides it, which grows much on its way here (--dtype float64 tells)"
            raise unsupported(lm, reason)
    return wiring


@torch.no_grad()
def _rounded_anew(wiring: StripWiring, ids: torch.Tensor) -> torch.Tensor:
    """The final stream of a plain run in which what attention and MLPs read is rounded once more."""
    end: list[torch.Tensor] = []
    modules: dict[nn.Module, Any] = {}
    for own in wiring.layers:
        normed = not isinstance(own.norm, nn.Identity)
        readers = (own.norm,) if normed else tuple(each.module for each in own.projections)
        for module in (*readers, own.before_mlp):
            if module is not None:
                modules[module] = partial(disturbed, dtype=own.rounds_to)
    with ExitStack() as stack:
        stack.enter_context(wiring.strips.body.every_row())
        for module, act in modules.items():
            stack.enter_context(on_input(module, act))
        stack.enter_context(on_output(wiring.strips.blocks[-1].module, end.append))
        run_body(wiring.lm.anatomy, ids)
    return end[0]
