"""Which tokens mattered: integrated gradients from a baseline to the prompt's embeddings."""

from __future__ import annotations

import time

import numpy as np
import torch

from interpboard.attribution.embedding_gradient import metric_and_gradient, prompt_embeddings
from interpboard.attribution.quadrature import quadrature
from interpboard.errors import BadParameter, OutOfMemory
from interpboard.models.language_model import LanguageModel
from interpboard.results import LabelledArray, PromptInfo, Result, token_axis
from interpboard.runs.metrics import Metric
from interpboard.runs.provenance import made_by
from interpboard.runs.watch import SILENT, Watch

TOKENS_A_STEP = 512
TOLERATED_DELTA = 0.05


def integrated_gradients(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    n_steps: int = 32,
    baseline: str = "zero",
    method: str = "gauss_legendre",
    watch: Watch = SILENT,
) -> Result:
    """Signed attribution [token]: (x − x′) · ∫ gradient of the metric along the path from x′ to x.

    Sundararajan, Taly and Yan 2017, "Axiomatic Attribution for Deep Networks". Positive: the token
    raised the metric above its value at the baseline x′. The scores sum to metric(x) − metric(x′) but
    for the completeness error, given in ``extra["delta"]`` (sum − change); beyond 5 % of the change the
    result carries a warning. ``extra["baseline_metric"]`` is metric(x′).

    ``baseline``: ``zero`` embeddings, or the ``mean`` of the vocabulary's. ``method``: see
    ``quadrature``. Raises ``Unsupported`` for metrics without a gradient.
    """
    started = time.perf_counter()
    points, weights = quadrature(method, n_steps)
    inputs = prompt_embeddings(lm, prompt)
    start = _baseline(lm, inputs, baseline)
    path = inputs - start
    total = torch.zeros(inputs.shape, dtype=_wide(inputs), device=inputs.device)
    rows = max(1, TOKENS_A_STEP // len(prompt.token_ids))
    done = 0
    while done < n_steps:
        watch.step(done, n_steps)
        alphas = torch.tensor(points[done : done + rows], dtype=_wide(inputs)).to(inputs.device)
        embeddings = (start + alphas[:, None, None] * path).to(inputs.dtype)
        try:
            gradient = metric_and_gradient(lm, prompt, metric, embeddings)[1]
        except torch.OutOfMemoryError as error:
            if rows == 1:
                raise OutOfMemory(
                    "One backward pass of the prompt does not fit.", "Shorten the prompt."
                ) from error
            rows //= 2
            continue
        share = torch.tensor(weights[done : done + rows], dtype=_wide(inputs)).to(inputs.device)
        total += torch.einsum("r,rpd->pd", share, gradient.to(total.dtype))
        done += len(alphas)
    scores = (total * path).sum(-1).cpu().numpy()
    ends, _ = metric_and_gradient(lm, prompt, metric, torch.stack([start, inputs]))
    at_baseline, at_prompt = (float(end) for end in ends)
    delta = float(scores.sum()) - (at_prompt - at_baseline)
    watch.step(n_steps, n_steps)
    return Result(
        analysis="integrated_gradients",
        params={"n_steps": n_steps, "baseline": baseline, "method": method},
        metric=metric.info,
        baseline=metric.baseline,
        axes=(token_axis(prompt.tokens),),
        values=scores,
        extra={
            "delta": LabelledArray((), np.array(delta)),
            "baseline_metric": LabelledArray((), np.array(at_baseline)),
        },
        elapsed_s=time.perf_counter() - started,
        made_by=made_by("autograd"),
        warnings=_warnings(delta, at_prompt - at_baseline, n_steps),
    )


def _baseline(lm: LanguageModel, inputs: torch.Tensor, name: str) -> torch.Tensor:
    if name == "zero":
        return torch.zeros_like(inputs)
    if name == "mean":
        ids = torch.arange(lm.anatomy.d_vocab, device=inputs.device)
        with torch.no_grad():
            mean: torch.Tensor = lm.anatomy.embedding(ids).to(_wide(inputs)).mean(0)
        return mean.to(inputs.dtype).expand_as(inputs)
    raise BadParameter(f"There is no baseline {name!r}.", "Use zero or mean.")


def _wide(tensor: torch.Tensor) -> torch.dtype:
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


def _warnings(delta: float, change: float, n_steps: int) -> tuple[str, ...]:
    if abs(delta) <= TOLERATED_DELTA * abs(change):
        return ()
    return (
        f"Completeness error {delta:+.3g} is more than {TOLERATED_DELTA:.0%} of the metric's change "
        f"{change:+.3g}: raise n_steps above {n_steps}.",
    )
