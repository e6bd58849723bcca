"""Which token goes to which expert, and with what weight."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interpboard.circuits.selection import chosen
from interpboard.models.language_model import LanguageModel
from interpboard.results import Axis, LabelledArray, PromptInfo, token_axis
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.metrics import Metric, at_least_float32
from interpboard.runs.record import Run, record
from interpboard.runs.watch import SILENT, Watch


@analysis("expert_routing", path="forward")
def expert_routing(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    layers: Sequence[int] | None = None,
    watch: Watch = SILENT,
) -> Computed:
    """The weight [layer, token, expert] with which each token goes to each expert; 0: it does not go there.

    The weights are those that the block uses: after softmax, top-k and whatever normalises or scales them.
    Experts that all tokens share are not among them. ``layers``: those to show, None: every mixture. NaN
    where a layer has fewer experts than another.

    ``extra``: ``tokens`` [layer, expert], how many tokens of the prompt go there; ``share`` [layer, expert],
    the expert's share of all weight (the sizes of weights, where some are negative); ``entropy``
    [layer, token], of a token's shares, in nats: 0 where it goes to one expert.

    Raises ``Unsupported`` for a model without mixtures of experts, ``BadParameter`` for layers that are not
    there.
    """
    watch.step(0, 1)
    having = mixture_layers(lm, layers)
    weights = routing_of(record(lm, prompt, ("router",), partly=True), having)
    watch.step(1, 1)
    layer = Axis("layer", tuple(lm.anatomy.layer_names[i] for i in having))
    expert = Axis("expert", tuple(map(str, range(weights.shape[-1]))))
    token = token_axis(prompt.tokens)
    size = np.abs(weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = size / np.nansum(size, -1, keepdims=True)
        each = np.where(shares > 0, -shares * np.log(shares), 0.0)
        share = np.nansum(size, 1) / np.nansum(size, (1, 2))[:, None]
    missing = np.isnan(weights).all(1)
    counts = (size > 0).sum(1).astype(np.float64)
    return Computed(
        values=weights,
        axes=(layer, token, expert),
        extra={
            "tokens": LabelledArray((layer, expert), np.where(missing, np.nan, counts)),
            "share": LabelledArray((layer, expert), np.where(missing, np.nan, share)),
            "entropy": LabelledArray((layer, token), each.sum(-1)),
        },
    )


def mixture_layers(lm: LanguageModel, layers: Sequence[int] | None) -> tuple[int, ...]:
    """``layers``, each a mixture of experts; None: all that are. Raises as ``expert_routing``."""
    if layers is None:
        return lm.verified.layers_with("router")
    found = chosen(layers, lm.anatomy.n_layers, "layer")
    for layer in found:
        lm.verified.require_site("router", layer)
    return found


def routing_of(run: Run, layers: Sequence[int]) -> np.ndarray:
    """[layer, token, expert] of a run that recorded ``router``, in float64; NaN beyond a layer's experts."""
    each = [at_least_float32(run.sites["router"][i][0]).double().cpu().numpy() for i in layers]
    found = np.full((len(each), len(each[0]), max(w.shape[1] for w in each)), np.nan)
    for row, weights in zip(found, each, strict=True):
        row[:, : weights.shape[1]] = weights
    return found
