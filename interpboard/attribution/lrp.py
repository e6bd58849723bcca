"""Which tokens mattered: layer-wise relevance propagation with rules for transformers."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import torch

from interpboard.attribution.lrp_rules import relevance_rules
from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.models.sites import at_site
from interpboard.results import LabelledArray, PromptInfo, token_axis
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.finite import require_finite, run_words
from interpboard.runs.gradients.embeddings import (
    frozen,
    metric_of_forward,
    require_slope,
    sparing,
    wide,
)
from interpboard.runs.metrics import Metric
from interpboard.runs.prompt import input_ids
from interpboard.runs.room import refuse_relevance_without_room
from interpboard.runs.strip_places import source_layers
from interpboard.runs.watch import SILENT, Watch

_ATTENTION = ("softmax", "frozen")


@analysis("lrp", path="autograd", refuses=refuse_relevance_without_room)
def lrp(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    attention: str = "softmax",
    watch: Watch = SILENT,
) -> Computed:
    """Relevance [token] of what enters the first layer at each token, in units of the metric; signed.

    AttnLRP, Achtibat et al. 2024, "AttnLRP: Attention-Aware Layer-Wise Relevance Propagation for
    Transformers". Chosen over DeepLIFT because its rules follow
    the parts of a transformer (norm, gate, softmax, the products of attention), need no baseline and one
    backward pass, and because gradients through norms and saturated softmaxes are what makes plain
    gradient × input unfaithful. The rules are in ``lrp_rules``. Positions' own embeddings (gpt2) count
    for the token that stands there.

    ``attention``: ``softmax`` follows queries and keys too. Its softmax rule is a Taylor expansion and
    does not conserve. ``frozen`` takes the pattern as a constant, as CP-LRP does (Ali et al. 2022;
    not its gate: here gate and up projection share, as in AttnLRP): relevance that went
    through what was attended to is left out, and then it conserves: where the model has no biases and
    the metric is linear in the logits, the scores sum to the metric. Biases take the share that is
    theirs. ``extra["delta"]`` is the sum − the metric. One prompt at a time.

    Of an encoder–decoder what enters the first layer of either stack. Relevance goes over cross attention
    into the source by its values, with ``softmax`` by its keys too.
    Mixtures of experts: the weights of their routers are constants, and each expert has the rules of an MLP;
    a block that does not keep its relevance under them is refused (``lrp_mixtures``).

    Raises ``Unsupported`` for a metric without a gradient and for families whose MLP or attention is
    not made of modules that the rules can be put on (gpt_oss, bloom), ``NotFinite``.
    """
    require_slope(metric)
    if attention not in _ATTENTION:
        raise BadParameter(f"There is no rule {attention!r}.", f"Use {', '.join(_ATTENTION)}.")
    watch.step(0, 1)
    entered: list[torch.Tensor] = []

    def begin(stream: torch.Tensor) -> torch.Tensor:
        entered.append(stream.detach().clone().requires_grad_())
        return entered[-1]

    beginnings = sorted({0, source_layers(lm)})
    with (
        torch.enable_grad(),
        frozen(lm.model),
        ExitStack() as stack,
        relevance_rules(lm, attention),
        sparing(lm, len(prompt.token_ids)),
    ):
        for layer in beginnings:
            stack.enter_context(at_site(lm.anatomy, "resid_pre", layer, begin))
        value = metric_of_forward(lm, metric, input_ids(lm, prompt))[0]
        gradients = torch.autograd.grad(value, entered)
    require_finite(lm, f"The relevance of {run_words(prompt)[4:]}", value, *gradients)
    # Of two strips each stream is 0 at the positions of the other.
    parts = [
        (gradient.to(wide(gradient)) * stream.detach().to(wide(gradient))).sum(-1)[0]
        for gradient, stream in zip(gradients, entered, strict=True)
    ]
    scores = torch.stack(parts).sum(0).cpu().numpy()
    watch.step(1, 1)
    return Computed(
        values=scores,
        axes=(token_axis(prompt.tokens),),
        extra={"delta": LabelledArray((), np.array(float(scores.sum()) - float(value.detach())))},
    )
