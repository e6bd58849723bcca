"""Which tokens mattered: integrated gradients from a baseline to the prompt's embeddings."""

from __future__ import annotations

import numpy as np

from interpboard.attribution.baselines import baseline_embeddings
from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.results import LabelledArray, PromptInfo, token_axis
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.gradients.embeddings import (
    metric_of_embeddings,
    prompt_embeddings,
    require_gradient,
)
from interpboard.runs.gradients.path_integral import path_integrals
from interpboard.runs.gradients.quadrature import quadrature
from interpboard.runs.metrics import Metric
from interpboard.runs.room import refuse_a_gradient_without_room
from interpboard.runs.watch import SILENT, Watch

TOLERATED_DELTA = 0.05
FIRST_STEPS, MOST_STEPS = 8, 1024


@analysis("integrated_gradients", path="autograd", refuses=refuse_a_gradient_without_room)
def integrated_gradients(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    n_steps: int | str = 32,
    baseline: str = "zero",
    baseline_text: str = "",
    method: str = "gauss_legendre",
    watch: Watch = SILENT,
) -> Computed:
    """Signed attribution [token]: (x − x′) · ∫ gradient of the metric along the path from x′ to x.

    Sundararajan, Taly and Yan 2017, "Axiomatic Attribution for Deep Networks". The
    scores sum to metric(x) − metric(x′) but
    for the completeness error, given in ``extra["delta"]`` (sum − change); beyond 5 % of the change the
    result carries a warning that says what to try. It costs no further gradient: the result is there as
    soon as its numbers are.
    ``extra["baseline_metric"]`` is metric(x′), ``extra["n_steps"]`` the steps taken.

    ``n_steps``: a number, or ``auto``: doubled from 8 until the error is tolerable, to 1024 at most.
    A norm right behind the embeddings (llama) makes the metric jump just beside a baseline of zero,
    where no rule does well: take ``mean`` there.
    ``baseline``, ``baseline_text``: see ``baseline_embeddings``. ``method``: see ``quadrature``. Raises
    ``Unsupported`` for metrics without a gradient, ``BadParameter``, ``OutOfMemory``.
    """
    require_gradient(metric)
    asked = require_steps(n_steps)
    quadrature(method, asked or FIRST_STEPS)
    inputs = prompt_embeddings(lm, prompt)
    start = baseline_embeddings(lm, prompt, baseline, baseline_text)
    at_baseline, at_prompt = (
        metric_of_embeddings(lm, prompt, metric, end) for end in (start, inputs)
    )
    change = at_prompt - at_baseline

    def integral(steps: int) -> np.ndarray:
        rule = quadrature(method, steps)
        scores = path_integrals(lm, prompt, metric, start, inputs[None], rule, watch)
        return scores[0].cpu().numpy()

    steps = asked or FIRST_STEPS
    scores = integral(steps)
    while asked is None and not _complete(scores, change) and steps < MOST_STEPS:
        steps *= 2
        scores = integral(steps)
    delta = float(scores.sum()) - change
    return Computed(
        values=scores,
        axes=(token_axis(prompt.tokens),),
        extra={
            "delta": LabelledArray((), np.array(delta)),
            "baseline_metric": LabelledArray((), np.array(at_baseline)),
            "n_steps": LabelledArray((), np.array(steps)),
        },
        warnings=() if _complete(scores, change) else (_warning(delta, change, steps),),
    )


def require_steps(n_steps: int | str) -> int | None:
    """The number of steps, None for ``auto``. Raises ``BadParameter``."""
    if n_steps == "auto":
        return None
    if isinstance(n_steps, str):
        raise BadParameter(f"n_steps is a whole number or auto, not {n_steps!r}.")
    return n_steps


def _complete(scores: np.ndarray, change: float) -> bool:
    return abs(float(scores.sum()) - change) <= TOLERATED_DELTA * abs(change)


def _warning(delta: float, change: float, steps: int) -> str:
    """What is wrong, and what to try."""
    words = (
        f"Completeness error {delta:+.3g} is more than {TOLERATED_DELTA:.0%} of the metric's change "
        f"{change:+.3g}: "
    )
    if steps >= MOST_STEPS:
        return f"{words}{steps} steps are not enough, try another baseline (mean) or method."
    return f"{words}raise n_steps above {steps} (auto finds how many do), or try baseline=mean."
