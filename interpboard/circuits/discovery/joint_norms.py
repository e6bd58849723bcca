"""Projections behind which a norm takes all heads together (esmc, olmoe): one edge would change every head.

So a head's query or key is defined by the norm itself, computed anew for each: its slice of what the norm
gives where all of the projection reads that head's stream. What other heads hear does not come into it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

import torch
from torch import nn

from interpboard.circuits.discovery.wiring import LayerWiring, Projection
from interpboard.models.encoder_blocks import Heard, heard_in
from interpboard.models.language_model import LanguageModel
from interpboard.models.module_hooks import Act, on_output
from interpboard.models.proof.rounding import agrees
from interpboard.models.unembedding import run_body

Layer = TypeVar("Layer", bound=LayerWiring)


@dataclass(frozen=True)
class NormedProjection(Projection):
    """A projection and the ``norm`` that it is read through, over all of its heads."""

    norm: nn.Module = field(kw_only=True)

    @contextmanager
    def on_stream(self, act: Act) -> Iterator[None]:
        """See ``Projection``: of what the norm gives."""
        with on_output(self.norm, act):
            yield

    def gives(self, normed: torch.Tensor) -> torch.Tensor:
        """See ``Projection``."""
        found: torch.Tensor = self.norm.forward(self.module.forward(normed))
        return found

    def project(self, normed: torch.Tensor) -> torch.Tensor:
        """See ``Projection``."""
        return self.of_each([self.gives(stream) for stream in normed])

    def pull_back(self, gradient: torch.Tensor, normed: torch.Tensor, /) -> torch.Tensor:
        """See ``Projection``: through the norm as it acts on ``normed``."""
        found = []
        for receiver in range(self.n_receivers):
            own = torch.zeros_like(gradient)
            part = self._split(own, -1)[0]
            part[..., receiver, :] = self._split(gradient, -1)[0][..., receiver, :]
            with torch.enable_grad():
                stream = normed.detach().clone().requires_grad_()
                (back,) = torch.autograd.grad(self.gives(stream), stream, own)
            found.append(back)
        return torch.stack(found)


@torch.no_grad()
def with_joint_norms(
    lm: LanguageModel, layers: Sequence[Layer], ids: torch.Tensor
) -> tuple[Layer, ...]:
    """``layers``, their projections with the norm that they have behind them, as ``ids`` [batch, pos] show.

    A norm head by head is given another shape, and stays the model's own.
    """
    heard = heard_in(lm.anatomy.attention, lambda: run_body(lm.anatomy, ids))
    return tuple(
        replace(own, projections=tuple(_with_norm(each, calls) for each in own.projections))
        for own, (calls, _) in zip(layers, heard, strict=True)
    )


def _with_norm(projection: Projection, calls: Sequence[Heard]) -> Projection:
    made = [call for call in calls if call.module is projection.module]
    if len(made) != 1 or len(projection.heads) != 1 or projection.n_receivers == 1:
        return projection
    gave = made[0].gave
    for call in calls:
        if call.began < made[0].ended or not call.given.shape == gave.shape == call.gave.shape:
            continue
        if torch.equal(call.given, gave) and not agrees(call.gave, gave):
            fields = {name: getattr(projection, name) for name in Projection.__dataclass_fields__}
            return NormedProjection(**fields, norm=call.module)
    return projection
