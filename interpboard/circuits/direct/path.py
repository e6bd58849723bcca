"""The direct path from the residual stream to a logit: affine, once the norms' statistics are held.

A norm divides by a statistic of its input. Held at what it was in the run, the norm becomes an affine
map, and a logit a sum over whatever was added to the stream. The map is not rebuilt from weights: the
model's own module is differentiated with its statistics detached, whatever its kind (LayerNorm with its
centring, RMSNorm, gemma's 1 + w). That the map found gives the module's output is checked every time.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from interpboard.circuits.direct.held import Map, Pulled, StatisticsHeld
from interpboard.circuits.direct.held_head import pull_back_head
from interpboard.circuits.direct.rounded_inputs import weight_of_rounding
from interpboard.errors import Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.models.proof.rounding import TOLERANCE, agrees
from interpboard.models.unembedding import unembed
from interpboard.runs.metrics import Metric, at_least_float32

_FAR = 1000.0  # so far out that a soft cap shows in any number format


@dataclass(frozen=True)
class DirectPath:
    """The metric as an affine function of the final residual stream at the metric's position.

    metric = ``gradient`` · stream + ``norm_bias`` + ``unembed_bias``. ``total`` is the number that is
    attributed: the metric, or where the logits are capped its value before the cap (then ``capped``).
    """

    gradient: torch.Tensor
    norm_bias: float
    unembed_bias: float
    total: float
    capped: bool


def direct_path(lm: LanguageModel, metric: Metric, stream: torch.Tensor) -> DirectPath:
    """The direct path from ``stream`` [d_model], the final residual stream, to a logit or a difference.

    Raises ``Unsupported`` for another metric, and where the final norm cannot be held.
    """
    lm.verified.require_lens()
    if metric.info.name not in ("logit", "logit_diff", "value"):
        raise Unsupported(
            f"The metric {metric.info.name} is no sum of direct contributions.",
            "Use logit, or logit_diff with a foil.",
        )
    with torch.no_grad():
        normed = lm.anatomy.final_norm(stream[None])[0]
        capped = not is_affine(lambda rows: unembed(lm.anatomy, rows), normed[None])
    # An encoder's head has a norm and an activation of its own, and no cap.
    bends = capped and not lm.verified.causal and lm.anatomy.strips is None
    capped = capped and not bends

    def explained(rows: torch.Tensor) -> torch.Tensor:
        logits = lm.anatomy.unembedding(rows) if capped else unembed(lm.anatomy, rows)
        return metric.of(logits)[:, None]

    if bends:
        head = pull_back_head(lm.anatomy, explained, normed)
    else:
        head = pull_back(explained, normed, torch.ones(1, device=normed.device), "The unembedding")
    norm = pull_back(lm.anatomy.final_norm, stream, head.gradient, "The final norm")
    with torch.no_grad():
        total = float(explained(normed[None]))
    return DirectPath(norm.gradient, norm.constant, head.constant, total, capped)


def pull_back(module: Map, at: torch.Tensor, direction: torch.Tensor, name: str) -> Pulled:
    """``pull_back_rows`` for one ``direction`` [width of the output]."""
    gradient, constant = pull_back_rows(module, at, direction[None], name)
    return Pulled(gradient[0], float(constant[0]))


def pull_back_rows(
    module: Map, at: torch.Tensor, directions: torch.Tensor, name: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """``module`` around ``at`` [width], its statistics held, along each of ``directions`` [row, …]; or each
    around a point of its own, ``at`` [row, width].

    Gradients [row, width] and constants [row]. Of a map that rounds its inputs (LLM.int8) they are those of
    its unpacked weight, and what rounding makes of ``at`` is not in them (``rounded_inputs``). The constant
    is what the module makes of zero, found apart from the gradient, so that a module that is not affine even
    so is found out: raises ``Unsupported`` saying ``name``.
    """

    rounded = weight_of_rounding(module, name)
    if rounded is not None:
        weight, bias = rounded
        along_weight = directions.to(weight)
        constants = torch.zeros_like(along_weight[:, 0]) if bias is None else along_weight @ bias
        return (along_weight @ weight).to(at_least_float32(at)), constants

    def along(x: torch.Tensor) -> torch.Tensor:
        return (at_least_float32(module(x)) * directions).sum(-1)

    rows = at.detach().expand(len(directions), -1)
    with torch.enable_grad(), StatisticsHeld():
        leaf = rows.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(along(leaf).sum(), leaf)
    with torch.no_grad():
        value, constant = along(rows), along(torch.zeros_like(rows))
    terms = gradient.double() * rows.double()
    # The value may be small beside the terms that it is the sum of.
    scale = terms.abs().sum(-1).clamp(min=1)
    found = (terms.sum(-1) + constant) / scale
    # Beside the terms, not beside the value: of those it is at most 1, and rounding is of their size.
    if not bool(((found - value / scale).abs() <= TOLERANCE[at.dtype]).all()):
        raise Unsupported(f"{name} of this model does not become affine with its scale held.")
    return gradient, constant


def push_forward(module: Map, at: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
    """What ``step`` [width] at the input of ``module`` adds to its output, its statistics held at ``at``."""
    with torch.enable_grad(), StatisticsHeld():
        leaf = at.detach().clone().requires_grad_()
        output = module(leaf[None])[0]
        # The gradient is linear in the direction: its own gradient is the map the other way round.
        direction = torch.zeros_like(output, requires_grad=True)
        (back,) = torch.autograd.grad(output, leaf, direction, create_graph=True)
        (found,) = torch.autograd.grad(back, direction, step)
    return found.detach()


def is_affine(head: Map, normed: torch.Tensor) -> bool:
    """Whether, at ``normed`` [row, d_model], the logits grow in proportion: a soft cap does not let them."""
    bias = at_least_float32(head(torch.zeros_like(normed)))
    near = at_least_float32(head(normed)) - bias
    far = (at_least_float32(head(_FAR * normed)) - bias) / _FAR
    scale = near.abs().max().clamp(min=1e-30)
    return agrees((far / scale).to(normed.dtype), (near / scale).to(normed.dtype))
