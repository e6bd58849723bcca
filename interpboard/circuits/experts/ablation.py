"""Which experts carry the answer: each expert of each mixture switched off, one at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from interpboard.circuits.experts.routing import mixture_layers, routing_of
from interpboard.circuits.selection import chosen
from interpboard.errors import BadParameter, Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.models.proof.rounding import TOLERANCE
from interpboard.results import Axis, LabelledArray, PromptInfo
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.cells import evaluate_cells
from interpboard.runs.edits import Edit
from interpboard.runs.metrics import Metric
from interpboard.runs.record import record
from interpboard.runs.watch import SILENT, Watch

OTHERS = ("kept", "rescaled")


@analysis("expert_ablation")
def expert_ablation(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    others: str = "kept",
    layers: Sequence[int] | None = None,
    experts: Sequence[int] | None = None,
    watch: Watch = SILENT,
) -> Computed:
    """Effect [layer, expert] = metric(expert off) − metric(clean).

    Off: its weight is 0 for every token. ``others`` says what becomes of a token's other experts: their
    weights are ``kept``, or ``rescaled`` so that they sum to what they did before, which is allowed where
    the block itself gives every token the same sum; no token is sent to an expert that it did not choose.
    Exact: one counterfactual an expert, but for experts to which no token of the prompt goes, whose effect
    is 0 without a run. ``layers`` and ``experts``: those to switch off, None: all.

    ``extra``: ``tokens`` [layer, expert], how many tokens of the prompt go there.

    Raises ``Unsupported`` for a model without mixtures of experts, and for ``rescaled`` where weights do not
    sum to the same for every token or tokens go to one expert; ``BadParameter`` for what is not there.
    """
    if others not in OTHERS:
        raise BadParameter(f"There is no {others!r} for others.", f"Use {' or '.join(OTHERS)}.")
    having = mixture_layers(lm, layers)
    run = record(lm, prompt, ("router",), partly=True)
    routing = routing_of(run, having)
    which = chosen(experts, routing.shape[-1], "expert")
    if others == "rescaled":
        _refuse_unless_rescalable(routing, TOLERANCE[run.sites["router"][having[0]].dtype])
    axes = (
        Axis("layer", tuple(lm.anatomy.layer_names[i] for i in having)),
        Axis("expert", tuple(map(str, which))),
    )
    there = ~np.isnan(routing[:, 0, which])
    tokens = np.where(there, (np.abs(routing[:, :, which]) > 0).sum(1), np.nan)
    unused = tokens == 0

    def effects(metrics: np.ndarray) -> np.ndarray:
        return np.where(unused, 0.0, metrics - metric.baseline)

    def cell(row: int, expert: int) -> tuple[Edit, ...]:
        layer = having[row]
        if others == "kept":
            return (Edit("router", layer, "zero", neuron=expert),)
        value = _rescaled(run.sites["router"][layer][0], expert)
        return (Edit("router", layer, "patch", value=value),)

    cells = [
        cell(row, expert) if tokens[row, at] > 0 else None
        for row in range(len(having))
        for at, expert in enumerate(which)
    ]
    metrics = evaluate_cells(
        run, cells, metric, axes, effects, unchanged=metric.baseline, watch=watch
    )
    return Computed(
        values=effects(metrics), axes=axes, extra={"tokens": LabelledArray(axes, tokens)}
    )


def _refuse_unless_rescalable(routing: np.ndarray, tolerance: float) -> None:
    """``routing`` [layer, token, expert]."""
    sums = np.nansum(routing, -1)
    if np.ptp(sums) > tolerance * np.abs(sums).max():
        raise Unsupported(
            "The weights of a token's experts do not sum to the same for every token of this model: its "
            "blocks do not rescale them.",
            "Use others=kept.",
        )
    if ((np.abs(routing) > 0).sum(-1) < 2).any():
        raise Unsupported(
            "Tokens of this model go to one expert: without it nothing is left to rescale.",
            "Use others=kept.",
        )


def _rescaled(weights: torch.Tensor, expert: int) -> torch.Tensor:
    """``weights`` [pos, expert] without one expert, with the sum that each token had."""
    left = weights.clone()
    left[:, expert] = 0
    return left * (weights.sum(-1, keepdim=True) / left.sum(-1, keepdim=True))
