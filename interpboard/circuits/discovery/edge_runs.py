"""Forward passes in which every receiver hears its own mixture of two runs, edge by edge and exactly.

The *reference* is what takes a sender's place on an edge outside the circuit: its activation on the
corrupted prompt, or a mean. A receiver's input is the reference's stream plus, for every edge of the
circuit, what the sender writes in this very pass less what it writes in the reference. So a part of the
circuit reads what the circuit computes, not what the clean model would (Conmy et al. 2023). It is one
plain forward of the model with hooks: the projections are computed head by head, from a stream each, and
everything else is done by the model's own modules.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import numpy as np
import torch

from interpboard.circuits.discovery.wiring import Wiring, find_wiring, unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.models.module_hooks import on_input, on_output
from interpboard.models.proof.rounding import Noise, same_within_rounding
from interpboard.models.proof.rows import disturbed
from interpboard.models.sites import at_site
from interpboard.models.unembedding import residual_to_logits, run_body
from interpboard.runs.finite import refusing
from interpboard.runs.watch import SILENT, Watch

_TOKENS = 6


@dataclass(frozen=True)
class Activations:
    """What every sender writes in one run, and what every receiver reads. Tuples by layer.

    ``embed``, ``mlp``, ``before_attention``, ``before_mlp``, ``output`` [batch, pos, d_model];
    ``z`` [batch, pos, head, d_head]. A mean has one row and one position.
    """

    embed: torch.Tensor
    z: tuple[torch.Tensor, ...]
    mlp: tuple[torch.Tensor, ...]
    before_attention: tuple[torch.Tensor, ...]
    before_mlp: tuple[torch.Tensor, ...]
    output: torch.Tensor

    def map(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Activations:
        """``change`` of every tensor."""
        new: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            new[field.name] = (
                tuple(map(change, value)) if isinstance(value, tuple) else change(value)
            )
        return Activations(**new)

    def plus(self, other: Activations) -> Activations:
        """The sum, tensor by tensor."""
        left = iter(other.tensors)
        return self.map(lambda tensor: tensor + next(left))

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """All tensors, in the order in which ``map`` takes them."""
        effects: list[torch.Tensor] = []
        for field in fields(self):
            value = getattr(self, field.name)
            effects += value if isinstance(value, tuple) else (value,)
        return tuple(effects)


def proved_wiring(lm: LanguageModel) -> Wiring:
    """The wiring of ``lm``, proved on two random prompts of six tokens.

    With all edges the first prompt's logits must come out, with none the second's, up to what rounding at
    every receiver does to a plain run. Raises ``Unsupported`` where they do not: parallel blocks, norms
    behind attention, scaled additions.
    """
    wiring = find_wiring(lm)
    generator = torch.Generator().manual_seed(0)
    some = min(lm.anatomy.d_vocab, 1000)
    ids = torch.randint(some, (2, _TOKENS), generator=generator).to(lm.device)
    clean, reference = (record_activations(wiring, row[None]) for row in ids)
    for edges, row, expected in (
        (wiring.graph.edges, ids[:1], clean),
        (~wiring.graph.edges, ids[1:], reference),
    ):
        noise = Noise.between(_rounded_anew(wiring, row), expected.output)
        none = edges & wiring.graph.edges
        found = edge_patched(wiring, ids[:1], reference, none)
        if not same_within_rounding(found, expected.output, noise):
            raise unsupported(lm, "what its layers add is not what heads and MLPs write")
    return wiring


@torch.no_grad()
def _rounded_anew(wiring: Wiring, ids: torch.Tensor) -> torch.Tensor:
    """The final residual stream of a plain run in which what attention and MLPs read is rounded once more."""
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

    with ExitStack() as stack:
        for layer in range(anatomy.n_layers):
            for name, site in (("pre", "resid_pre"), ("z", "z"), ("mlp", "mlp_out")):
                stack.enter_context(at_site(anatomy, site, layer, partial(keep, name)))
            entry = anatomy.before_mlp[layer]
            stack.enter_context(on_input(entry, partial(keep, "mid")))
        stack.enter_context(
            at_site(anatomy, "resid_post", anatomy.n_layers - 1, partial(keep, "end"))
        )
        with refusing(wiring.lm, "A prompt of the circuit's dataset", len(ids)):
            run_body(anatomy, ids)
    mid = tuple(value.reshape(seen["pre"][0].shape) for value in seen["mid"])
    return Activations(
        seen["pre"][0],
        tuple(seen["z"]),
        tuple(seen["mlp"]),
        tuple(seen["pre"]),
        mid,
        seen["end"][0],
    )


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
    anatomy = wiring.lm.anatomy
    live = _Live(wiring, reference, edges)
    with ExitStack() as stack:
        stack.enter_context(at_site(anatomy, "resid_pre", 0, live.begin))
        for layer, attention in enumerate(wiring.layers):
            stack.enter_context(on_input(attention.norm, lambda _value: watch.check()))
            first = 0
            for projection in attention.projections:
                part = slice(first, first := first + projection.n_receivers)
                project = partial(live.project, layer, part, projection.project)
                stack.enter_context(on_output(projection.module, project))
            stack.enter_context(at_site(anatomy, "z", layer, partial(live.heads, layer)))
            stack.enter_context(
                on_input(anatomy.before_mlp[layer], partial(live.before_mlp, layer))
            )
            stack.enter_context(at_site(anatomy, "mlp_out", layer, partial(live.mlp, layer)))
        with refusing(wiring.lm, "A run with some edges only", len(ids)):
            run_body(anatomy, ids)
    return live.stream(wiring.graph.receivers.index("output"), reference.output)


def logits_at(lm: LanguageModel, output: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Logits [batch, d_vocab] of final residual streams ``output`` at ``positions`` [batch]."""
    rows = torch.arange(len(positions), device=output.device)
    output = (
        output.expand(len(positions), int(positions.max()) + 1, -1)
        if (output.shape[1] == 1)
        else output
    )
    return residual_to_logits(lm.anatomy, output[rows, positions.to(output.device)])


class _Live:
    """``changes`` [sender, batch, pos, d_model]: what was written so far in a pass, less the reference."""

    def __init__(self, wiring: Wiring, reference: Activations, edges: np.ndarray) -> None:
        self.wiring, self.graph, self.reference = wiring, wiring.graph, reference
        self.edges = torch.from_numpy(edges.astype(np.float32)).T.contiguous()
        self.changes = torch.empty(0)
        self.normed: tuple[int, torch.Tensor] | None = None

    def begin(self, hidden: torch.Tensor) -> None:
        self.changes = hidden.new_zeros(len(self.graph.senders), *hidden.shape)
        self.changes[0] = hidden - self.reference.embed
        self.edges = self.edges.to(hidden)

    def streams(self, receivers: slice, seen: int, base: torch.Tensor) -> torch.Tensor:
        """What ``receivers`` read [receiver, batch, pos, d_model]."""
        flat = self.edges[receivers, :seen] @ self.changes[:seen].flatten(1)
        return base + flat.view(-1, *self.changes.shape[1:])

    def stream(self, receiver: int, base: torch.Tensor) -> torch.Tensor:
        """What one receiver reads [batch, pos, d_model]."""
        seen = int(self.graph.edges[:, receiver].sum())
        return self.streams(slice(receiver, receiver + 1), seen, base)[0]

    def project(
        self,
        layer: int,
        part: slice,
        project: Callable[[torch.Tensor], torch.Tensor],
        _output: torch.Tensor,
    ) -> torch.Tensor:
        if self.normed is None or self.normed[0] != layer:
            self.normed = (
                layer,
                self.wiring.layers[layer].normed(
                    self.streams(
                        self.graph.attention_receivers(layer),
                        self.graph.before_attention(layer),
                        self.reference.before_attention[layer],
                    )
                ),
            )
        return project(self.normed[1][part])

    def heads(self, layer: int, z: torch.Tensor) -> None:
        first = self.graph.before_attention(layer)
        change = self.wiring.layers[layer].written(z - self.reference.z[layer])
        self.changes[first : first + self.graph.n_heads] = change

    def before_mlp(self, layer: int, hidden: torch.Tensor) -> torch.Tensor:
        base = self.reference.before_mlp[layer]
        return self.stream(self.graph.mlp_receiver(layer), base).reshape(hidden.shape)

    def mlp(self, layer: int, added: torch.Tensor) -> None:
        self.changes[self.graph.before_mlp(layer)] = added - self.reference.mlp[layer]
