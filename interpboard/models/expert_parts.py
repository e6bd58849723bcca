"""One expert of a mixture by itself: its neurons for a token, and what each of them adds.

transformers keeps the matrices of all experts in one parameter each, in one of two orders, with biases or
without. What is made of them here is held against what the experts said in the run that is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from interpboard.errors import Unsupported
from interpboard.models.division import held
from interpboard.models.mixtures import Mixture


@dataclass(frozen=True)
class ExpertParts:
    """Of one expert and token: ``neurons`` [neuron], what is given to its last map; ``writes``
    [neuron, d_model], what a unit of each adds to what the expert says; ``bias`` [d_model] of that map."""

    neurons: torch.Tensor
    writes: torch.Tensor
    bias: torch.Tensor | None

    @property
    def said(self) -> torch.Tensor:
        """What the expert says [d_model], before it is weighed."""
        out = self.neurons @ self.writes
        return out if self.bias is None else out + self.bias


def expert_parts(mixture: Mixture, expert: int, token: torch.Tensor) -> ExpertParts:
    """The parts of ``expert`` for ``token`` [d_model], as the expert is given it.

    Raises ``Unsupported`` where its matrices are not kept in a way that is known."""
    experts: Any = mixture.experts
    if getattr(experts, "has_post_expert_norm", False):
        raise Unsupported(
            "The experts of this model norm what they say: no neuron adds a fixed vector."
        )
    gated = held(experts, "gate_up_proj") is not None
    into = _of(experts, "gate_up_proj" if gated else "up_proj", expert)
    down = _of(experts, "down_proj", expert)
    if into is None or down is None or (not hasattr(experts, "act_fn") and not _gates(experts)):
        raise Unsupported(
            "The experts of this model are in a format that cannot be read by neuron."
        )
    # llama4 keeps both maps transposed and does not say so.
    if not getattr(experts, "is_transposed", mixture.dense):
        into, down = into.T, down.T
    given = token.to(into) @ into
    bias = _of(experts, "gate_up_proj_bias" if gated else "up_proj_bias", expert)
    given = given if bias is None else given + bias
    if not gated:
        neurons = experts.act_fn(given)
    elif _gates(experts):
        neurons = experts._apply_gate(given[None])[0]
    else:
        gate, up = given.chunk(2)
        neurons = up * experts.act_fn(gate)
    return ExpertParts(neurons, down, _of(experts, "down_proj_bias", expert))


def _gates(experts: Any) -> bool:
    return hasattr(experts, "_apply_gate")


def _of(experts: Any, name: str, expert: int) -> torch.Tensor | None:
    every = held(experts, name) if hasattr(experts, name) else None
    return every[expert] if isinstance(every, torch.Tensor) and every.dim() >= 2 else None
