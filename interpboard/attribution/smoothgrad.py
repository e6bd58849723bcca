"""Which tokens mattered: the gradient averaged over noisy copies of the prompt."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from interpboard.attribution.noisy_inputs import noisy_inputs
from interpboard.attribution.saliency import normed, require_norm
from interpboard.models.language_model import LanguageModel
from interpboard.results import PromptInfo, token_axis
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.gradients.embeddings import each_gradient, wide
from interpboard.runs.metrics import Metric
from interpboard.runs.room import refuse_samples_without_room
from interpboard.runs.watch import SILENT, Watch


@dataclass
class _Mean:
    """The gradients of the first ``done`` copies, each divided by the number of all."""

    gradient: torch.Tensor
    done: int


@analysis("smoothgrad", path="autograd", refuses=refuse_samples_without_room)
def smoothgrad(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    samples: int = 16,
    noise: float = 0.1,
    seed: int = 0,
    norm: str = "l2",
    watch: Watch = SILENT,
) -> Computed:
    """Score [token]: ``saliency`` of the mean gradient over ``samples`` noisy copies of the embeddings.

    Smilkov et al. 2017, "SmoothGrad". ``noise``: standard deviation, in units of that of the embeddings
    over the vocabulary, drawn by ``seed``; without noise it is ``saliency``. ``norm``, units, sign: as there.
    The norm is taken of the mean, so that what differs in sign between copies cancels. Raises ``Unsupported``
    for a metric without a gradient, ``BadParameter``, ``OutOfMemory``.
    """
    require_norm(norm)
    inputs = noisy_inputs(lm, prompt, samples, noise, seed)
    nothing = torch.zeros(inputs.shape[1:], dtype=wide(inputs), device=inputs.device)
    mean = watch.once("mean of gradients", lambda: _Mean(nothing, 0))

    def take(first: int, _inputs: torch.Tensor, gradients: torch.Tensor) -> None:
        mean.gradient.add_(gradients.to(nothing.dtype).sum(0) / samples)
        mean.done = first + len(gradients)

    each_gradient(
        lm, prompt, metric, samples, lambda i, j: inputs[i:j], take, watch, done=mean.done
    )
    return Computed(
        values=normed(mean.gradient, norm).cpu().numpy(),
        axes=(token_axis(prompt.tokens),),
    )
