"""Forward passes of an encoder–decoder in which every receiver hears its own mixture of two runs.

As ``edge_runs``, over two streams. Activations are in the positions of their own strip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from interpboard.circuits.discovery.activations import Activations
from interpboard.circuits.discovery.strips.wiring import StripWiring, find_strip_wiring
from interpboard.circuits.discovery.wiring import unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.models.module_hooks import on_input, on_output
from interpboard.models.proof.rounding import Noise, same_within_rounding
from interpboard.models.proof.rows import disturbed
from interpboard.models.two_strips.proof import strip_prompts
from interpboard.models.unembedding import run_body
from interpboard.runs.finite import refusing
from interpboard.runs.watch import SILENT, Watch


@dataclass(frozen=True)
class StripActivations(Activations):
    """``embed`` is the input of the encoder's first layer, ``embed_prefix`` of the decoder's; ``mlp`` of a
    layer without one has no numbers."""

    embed_prefix: torch.Tensor


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
    live = _Live(wiring, reference, edges, watch)
    with hooked(wiring, live), refusing(wiring.lm, "A run with some edges only", len(ids)):
        run_body(wiring.lm.anatomy, ids)
    return live.output()


class _Live:
    """Hears of one pass what was written, and answers what is read."""

    def __init__(
        self, wiring: StripWiring, reference: StripActivations, edges: np.ndarray, watch: Watch
    ) -> None:
        self.wiring, self.graph, self.reference, self.watch = wiring, wiring.graph, reference, watch
        self.edges = torch.from_numpy(edges.astype(np.float32)).T.contiguous()
        self.stream = {True: reference.embed, False: reference.embed_prefix}
        self.changes: dict[bool, torch.Tensor] = {}  # of the source, and of the prefix

    def __call__(self, what: str, layer: int, value: torch.Tensor) -> torch.Tensor | None:
        if what in ("embed", "embed_prefix"):
            source = what == "embed"
            count = self.graph.border if source else len(self.graph.senders) - self.graph.border
            self.changes[source] = value.new_zeros((count, *value.shape))
            own = self.reference.embed if source else self.reference.embed_prefix
            self.changes[source][0] = value - own
            self.edges = self.edges.to(value)
            return None
        wired = self.wiring.layers[layer]
        source = wired.in_source
        match what:
            case "z":
                first = self.graph.before_attention(layer)
                self._write(source, first, wired.written(value - self.reference.z[layer]))
                self.stream[source] = self.stream[source] + wired.adds(self.reference.z[layer])
            case "mlp":
                first = self.graph.before_mlp(layer)
                self._write(source, first, (value - self.reference.mlp[layer])[None])
                self.stream[source] = self.stream[source] + self.reference.mlp[layer]
            case "mid":
                receiver = self.graph.mlp_receiver(layer)
                return self._streams(slice(receiver, receiver + 1))[0]
            case "q" | "k" | "v":
                return self._projected(layer, "qkv".index(what))
        return None

    def output(self) -> torch.Tensor:
        """What the output reads [batch, pos, d_model]."""
        last = len(self.graph.receivers) - 1
        return self._streams(slice(last, last + 1), self.reference.output)[0]

    def _write(self, source: bool, first: int, change: torch.Tensor) -> None:
        first -= 0 if source else self.graph.border
        self.changes[source][first : first + len(change)] = change

    def _projected(self, layer: int, number: int) -> torch.Tensor:
        self.watch.check()
        wired, heads = self.wiring.layers[layer], self.graph.n_heads
        first = self.graph.attention_receivers(layer).start + number * heads
        streams = self._streams(slice(first, first + heads))
        return wired.projections[number].project(wired.read(number, streams))

    def _streams(self, receivers: slice, base: torch.Tensor | None = None) -> torch.Tensor:
        """What ``receivers``, which see the same senders, read [receiver, batch, pos, d_model]."""
        seen = self.graph.seen(self.graph.receivers[receivers.start])
        source = seen.start == 0
        begin = 0 if source else self.graph.border
        changes = self.changes[source][: seen.stop - begin]
        flat = self.edges[receivers, seen] @ changes.flatten(1)
        own = self.stream[source] if base is None else base
        return own + flat.view(-1, *changes.shape[1:])


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
            raise unsupported(lm, "what its layers add is not what heads and MLPs write")
    return wiring


@torch.no_grad()
def _rounded_anew(wiring: StripWiring, ids: torch.Tensor) -> torch.Tensor:
    """The final stream of a plain run in which what attention and MLPs read is rounded once more."""
    end: list[torch.Tensor] = []
    modules: dict[nn.Module, Any] = {}
    for own in wiring.layers:
        for norm in (own.norm, own.before_mlp):
            if norm is not None:
                modules[norm] = partial(disturbed, dtype=own.rounds_to)
    with ExitStack() as stack:
        stack.enter_context(wiring.strips.body.every_row())
        for norm, act in modules.items():
            stack.enter_context(on_input(norm, act))
        stack.enter_context(on_output(wiring.strips.blocks[-1].module, end.append))
        run_body(wiring.lm.anatomy, ids)
    return end[0]
