"""Which tokens mattered: another method's scores averaged over noisy copies of the prompt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from interpboard.attribution.baselines import baseline_embeddings
from interpboard.attribution.noisy_inputs import noisy_inputs
from interpboard.attribution.saliency import normed
from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.results import LabelledArray, PromptInfo, token_axis
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.gradients.embeddings import each_gradient, require_gradient, wide
from interpboard.runs.gradients.path_integral import path_integrals
from interpboard.runs.gradients.quadrature import quadrature
from interpboard.runs.metrics import Metric
from interpboard.runs.room import refuse_samples_without_room
from interpboard.runs.watch import SILENT, Watch

SCORES_OF = ("saliency", "grad_x_input", "integrated_gradients")


@analysis("noise_tunnel", path="autograd", refuses=refuse_samples_without_room)
def noise_tunnel(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    of: str = "integrated_gradients",
    samples: int = 16,
    noise: float = 0.1,
    seed: int = 0,
    n_steps: int = 32,
    baseline: str = "zero",
    watch: Watch = SILENT,
) -> Computed:
    """Mean score [token] of ``of`` over ``samples`` noisy copies of the embeddings.

    Smilkov et al. 2017, "SmoothGrad", applied to whole methods. ``of``: ``saliency`` (L2, no sign),
    ``grad_x_input`` or ``integrated_gradients`` (both in units of the metric), each computed at
    the noisy embeddings. ``extra["std_error"]`` [token] is the standard error of the mean, NaN of one
    sample. ``noise`` and ``seed``: as in ``smoothgrad``. ``n_steps`` and ``baseline`` are those of
    integrated gradients (Gauss–Legendre). Raises ``Unsupported``, ``BadParameter``, ``OutOfMemory``.
    """
    require_gradient(metric)
    if of not in SCORES_OF:
        raise BadParameter(f"There is no noise tunnel of {of!r}.", f"Use {', '.join(SCORES_OF)}.")
    inputs = noisy_inputs(lm, prompt, samples, noise, seed)
    if of == "integrated_gradients":
        start = baseline_embeddings(lm, prompt, baseline)
        rule = quadrature("gauss_legendre", n_steps)
        scores = path_integrals(lm, prompt, metric, start, inputs, rule, watch)
    else:
        scores = _scores(lm, prompt, metric, inputs, of, watch)
    each = scores.cpu().numpy()
    spread = each.std(0, ddof=1) if samples > 1 else np.full(each.shape[1], np.nan)
    return Computed(
        values=each.mean(0),
        axes=(token_axis(prompt.tokens),),
        extra={"std_error": LabelledArray((token_axis(prompt.tokens),), spread / samples**0.5)},
    )


@dataclass
class _Scored:
    """Scores [sample, pos]; those of the first ``done`` samples are known."""

    scores: torch.Tensor
    done: int


def _scores(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    inputs: torch.Tensor,
    of: str,
    watch: Watch,
) -> torch.Tensor:
    """Scores [sample, pos] at ``inputs`` [sample, pos, d_model]."""
    nothing = torch.zeros(inputs.shape[:2], dtype=wide(inputs), device=inputs.device)
    found_so_far = watch.once("scores of copies", lambda: _Scored(nothing, 0))
    scores = found_so_far.scores

    def take(first: int, noisy: torch.Tensor, gradients: torch.Tensor) -> None:
        if of == "saliency":
            found = normed(gradients, "l2")
        else:
            found = (gradients.to(scores.dtype) * noisy.to(scores.dtype)).sum(-1)
        scores[first : first + len(noisy)] = found
        found_so_far.done = first + len(noisy)

    each_gradient(
        lm, prompt, metric, len(inputs), lambda i, j: inputs[i:j], take, watch,
        done=found_so_far.done,
    )  # fmt: skip
    return scores
