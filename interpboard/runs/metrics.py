"""Metrics: the one number that is explained, computed from the logits at one position.

| name | value | needs |
|---|---|---|
| ``logit`` | logit of the target | |
| ``logit_diff`` | logit of the target − logit of the foil | a foil |
| ``prob`` | probability of the target | |
| ``logprob`` | natural logarithm of that probability | |
| ``value`` | the number that a regression or a reward model gives | such a model |
| ``cosine`` | similarity of the pooled vector to that of a second text, the target | a sentence encoder |
| ``kl`` | KL(clean ‖ edited) over the vocabulary, in nats; 0 on the clean run | |
| ``rank`` | how many tokens are likelier than the target, plus 1; no gradient | |

Of a model with labels the labels stand in the tokens' place. Where several may be true of one text, each is
a probability by itself (sigmoid), and ``kl`` is the sum over labels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property

import numpy as np
import torch
from msgspec.structs import replace
from torch.nn.functional import cosine_similarity, logsigmoid

from interpboard.display import visible_token
from interpboard.errors import BadParameter, BadPosition, BadTarget
from interpboard.models.finite import finite_logits
from interpboard.models.label_head import LabelHead
from interpboard.models.language_model import LanguageModel
from interpboard.registry import ANALYSES
from interpboard.registry.metric_names import COSINE, EVERY_METRIC, VALUE
from interpboard.results import MetricInfo, MetricRequest, PromptInfo, TokenRef
from interpboard.runs.finite import prompt_logits
from interpboard.runs.labels import (
    NO_TOKEN,
    check_metric,
    is_of_text,
    label_head,
    label_position,
    logit_name,
    resolve_target,
)
from interpboard.runs.named_answers import refuse_one_for_both, without_space
from interpboard.runs.prompt import make_prompt, resolve_position
from interpboard.runs.references import plain_text
from interpboard.runs.rounding import difference_beyond_rounding, unless_rounding


@dataclass(frozen=True)
class Metric:
    """A resolved metric. ``clean_logits`` [d_vocab]: the clean run's, at ``info.position``.

    ``warnings``: what everybody must hear who reads a result of it. ``asked``: the request that it is of.
    """

    info: MetricInfo
    clean_logits: torch.Tensor
    warnings: tuple[str, ...] = ()
    independent: bool = False  # each label has a probability of its own
    other: torch.Tensor | None = None  # [component]: the vector that it is compared with
    asked: MetricRequest | None = None
    measured: dict[str, float] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What was measured of it, once for all analyses; another metric made from it knows nothing."""

    @property
    def target_id(self) -> int:
        """The token whose prediction is explained."""
        assert self.info.target is not None
        return self.info.target.id

    @property
    def tokens(self) -> tuple[int, ...] | None:
        """The tokens whose logits it needs; None: the whole vocabulary's."""
        if self.info.name in ("logit", "value"):
            return (self.target_id,)
        if self.info.name == "logit_diff":
            assert self.info.foil is not None
            return (self.target_id, self.info.foil.id)
        return None

    @cached_property
    def baseline(self) -> float:
        """The metric of the clean run."""
        return float(self.of(self.clean_logits[None])[0])

    def apart(self, clean: float, other: float) -> float:
        """``clean − other`` of two runs' metrics; NaN where it is no more than rounding."""
        return difference_beyond_rounding(
            clean, other, self.clean_logits.dtype, self._size(clean, other)
        )

    def unless_rounding(self, values: np.ndarray, unchanged: float) -> np.ndarray:
        """``values`` of edited runs; ``unchanged``, the metric of the same run without the edits, in place of
        those that differ from it by no more than rounding. NaN stays, and so does all in 16 bits
        (``rounding.is_fine``)."""
        size = self._size(unchanged, unchanged)
        return unless_rounding(values, unchanged, self.clean_logits.dtype, size)

    def _size(self, clean: float, other: float) -> float:
        """How large the numbers are whose rounding the metric has."""
        largest = max(abs(clean), abs(other))
        name = self.info.name
        if name == "rank":
            return 0.0  # it is counted
        if self.other is not None:
            return 1.0
        of_target = self._largest_logit
        if name == "prob":  # its error is that of the logit times the probability
            return largest * (1 + of_target)
        return 1 + largest if name == "kl" else 1 + max(largest, of_target)

    @cached_property
    def _largest_logit(self) -> float:
        """Of those of the clean run that it reads; looked at once, since each look waits for the device."""
        tokens = self.tokens or (self.target_id,)
        return float(
            torch.stack([self.clean_logits[token] for token in tokens]).double().abs().max()
        )

    @property
    def differentiable(self) -> bool:
        """Whether it has a gradient: not ``rank``."""
        return self.info.name != "rank"

    @property
    def has_slope(self) -> bool:
        """Whether it has one at the clean run: ``kl`` is at its least there, its gradient zero."""
        return self.differentiable and self.info.name != "kl"

    @cached_property
    def masked(self) -> torch.Tensor | None:
        """[d_vocab]: the tokens that the model masks, their clean logit being −∞; None: no token."""
        masked = self.clean_logits == -torch.inf
        return masked if bool(masked.any()) else None

    def of(self, logits: torch.Tensor) -> torch.Tensor:
        """The metric [rows] of ``logits`` [rows, d_vocab], in at least float32.

        NaN for a row with any logit that is not finite, but for −∞ where the clean run has it: such a
        run says nothing, even if the logits that the metric reads are numbers.
        """
        fine = finite_logits(logits.detach(), self.masked)
        return self._of(logits).masked_fill(~fine, torch.nan)

    def _of(self, logits: torch.Tensor) -> torch.Tensor:
        if self.tokens is not None:
            # A list as index would be sent to the device, and the host would wait for it.
            return self.of_tokens(torch.stack([logits[:, token] for token in self.tokens], -1))
        logits = at_least_float32(logits)
        if self.other is not None:
            return cosine_similarity(logits, self.other.to(logits)[None], dim=-1)
        name, target = self.info.name, self.target_id
        if self.independent and name != "rank":
            return self._of_independent(logits)
        if name == "prob":
            return logits.softmax(-1)[:, target]
        if name == "logprob":
            return logits.log_softmax(-1)[:, target]
        if name == "kl":
            clean = self.clean_logits.to(logits).log_softmax(-1)
            ratio = clean - logits.log_softmax(-1)
            if self.masked is not None:  # 0 · log(0 / 0) counts nothing
                ratio = ratio.masked_fill(self.masked.to(logits.device), 0)
            return (clean.exp() * ratio).sum(-1)
        if name == "rank":
            return 1 + (logits > logits[:, target, None]).sum(-1).to(logits.dtype)
        raise ValueError(f"no metric {name!r}")

    def _of_independent(self, logits: torch.Tensor) -> torch.Tensor:
        """``prob``, ``logprob`` or ``kl`` [rows] where each label is true or not by itself."""
        if self.info.name == "kl":
            clean = self.clean_logits.to(logits)
            true = clean.sigmoid() * (logsigmoid(clean) - logsigmoid(logits))
            false = (-clean).sigmoid() * (logsigmoid(-clean) - logsigmoid(-logits))
            return (true + false).sum(-1)
        own = logits[:, self.target_id]
        return own.sigmoid() if self.info.name == "prob" else logsigmoid(own)

    def of_tokens(self, logits: torch.Tensor) -> torch.Tensor:
        """The metric [...] of the logits [..., len(tokens)] of ``tokens`` alone; NaN as in ``of``."""
        logits = at_least_float32(logits)
        value = logits[..., 0] if logits.shape[-1] == 1 else logits[..., 0] - logits[..., 1]
        return value.masked_fill(~logits.detach().isfinite().all(-1), torch.nan)


@torch.no_grad()
def resolve_metric(lm: LanguageModel, prompt: PromptInfo, request: MetricRequest) -> Metric:
    """Fix target, foil and position; without a target the model's own top token is taken.

    Position −1 is the last token of the text, in front of what the tokenizer puts behind it; an encoder's is
    by default that of the prompt's only mask token. A foil that the metric does not use is checked, left out
    and warned of. Raises ``BadParameter``, ``BadPosition``, ``BadTarget``, and ``NotFinite`` for a prompt
    that overflows.
    """
    if request.name not in EVERY_METRIC:
        near = get_close_matches(request.name, EVERY_METRIC, n=1)
        remedy = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(EVERY_METRIC)}."
        raise BadParameter(f"There is no metric {request.name!r}.", remedy)
    asked, head = request, label_head(lm)
    if head is not None and is_of_text(head, request):
        return _similarity(lm, prompt, request, head)
    if head is not None:
        request = replace(request, name=check_metric(head, request.name))
        position = label_position(lm, head, prompt, request.position)
    elif request.name in (VALUE, COSINE):
        raise BadParameter(
            f"A language model has no metric {request.name}.", "Use logit, prob or logprob."
        )
    else:
        position = resolve_position(prompt, asked_position(lm, prompt, request.position))
    if position < prompt.border:
        raise BadPosition(
            f"Position {position} is in the source, where the model predicts nothing.",
            f"Use {prompt.border} to {len(prompt.token_ids) - 1}, or -1 for the last.",
        )
    foil = resolve_target(lm, request.foil, "foil") if request.foil is not None else None
    if request.name == "logit_diff" and foil is None:
        example = "' Rome'" if head is None else head.labels[0]
        raise BadTarget("The metric logit_diff needs a foil.", f"Name one, e.g. --foil {example}.")
    target = resolve_target(lm, request.target, "target") if request.target is not None else None
    logits = prompt_logits(lm, prompt, position)
    if target is None:
        top = int(logits.argmax())
        target = TokenRef(top, logit_name(lm, top))
    used = foil if request.name == "logit_diff" else None  # what is not compared with is not named
    refuse_one_for_both(target, used)
    problem = "" if head is None else head.problem
    fills_in = fills_masks(lm)
    over_text = lm.anatomy.reads_all
    info = MetricInfo(request.name, position, target, used, problem, fills_in, over_text)
    notes = unused_foil(request)
    if head is None:
        notes += without_space(lm, request, (target, used), logits)
    return Metric(info, logits, notes, problem == "several", asked=asked)


def _similarity(
    lm: LanguageModel, prompt: PromptInfo, request: MetricRequest, head: LabelHead
) -> Metric:
    """The cosine of the prompt's pooled vector and that of the target, a second text."""
    assert request.target is not None
    position = label_position(lm, head, prompt, request.position)
    other = make_prompt(lm, plain_text(request.target))
    vector = prompt_logits(lm, other, head.position(other.token_ids))
    info = MetricInfo(
        COSINE, position, TokenRef(NO_TOKEN, other.text), None, head.problem,
        over_text=lm.anatomy.reads_all,
    )  # fmt: skip
    own = prompt_logits(lm, prompt, position)
    return Metric(info, own, unused_foil(request), other=at_least_float32(vector))


def metric_for(
    lm: LanguageModel, prompt: PromptInfo, request: MetricRequest, analyses: Collection[str]
) -> Metric:
    """As ``resolve_metric``, for ``analyses``: of those that look up their own target the model's number of
    the prompt, with what was asked. Where none of them looks at a metric, an encoder's prompt
    needs no mask: it is then that of the first token."""
    needless = all(name in ANALYSES and ANALYSES[name].own_measure for name in analyses)
    if needless and fills_masks(lm) and request.position == -1:
        masks = prompt.token_ids.count(lm.tokenizer.mask_token_id)
        request = request if masks == 1 else replace(request, position=0)
    if analyses and all(name in ANALYSES and ANALYSES[name].own_target for name in analyses):
        own = resolve_metric(lm, prompt, MetricRequest(position=request.position))
        return dataclasses.replace(own, asked=request)
    return resolve_metric(lm, prompt, request)


def prompt_and_metric(
    lm: LanguageModel, text: str, request: MetricRequest | None = None
) -> tuple[PromptInfo, Metric]:
    """``text`` as the model's prompt, and the metric on it. Errors as in its two halves."""
    prompt = make_prompt(lm, text)
    return prompt, resolve_metric(lm, prompt, request or MetricRequest())


def unused_foil(request: MetricRequest) -> tuple[str, ...]:
    """A warning if a foil was named for a metric that does not compare with one."""
    if request.foil is None or request.name == "logit_diff":
        return ()
    foil = visible_token(request.foil)
    return (f"The foil {foil} is not used by the metric {request.name}; logit_diff uses it.",)


def reach(lm: LanguageModel, prompt: PromptInfo, metric: Metric) -> int:
    """How many tokens, from the first, can matter for the metric."""
    return len(prompt.token_ids) if lm.verified.whole_prompt else metric.info.position + 1


def fills_masks(lm: LanguageModel) -> bool:
    """Whether its logits are of the token that stands at a position, and not of the next one."""
    return bool(lm.info.mask_token)


def asked_position(lm: LanguageModel, prompt: PromptInfo, position: int) -> int:
    """``position``, or where it is −1 and the model fills masks in, that of the only mask.

    Raises ``BadPosition`` where there is not one mask.
    """
    mask = getattr(lm.tokenizer, "mask_token_id", None)
    if lm.verified.causal or position != -1 or prompt.border:
        return position
    masks = [at for at, token in enumerate(prompt.token_ids) if token == mask]
    if len(masks) != 1:
        raise BadPosition(
            f"An encoder fills a mask in; the prompt has {len(masks)} mask tokens.",
            f"Write one {lm.tokenizer.mask_token or 'mask'}, or name a position.",
        )
    return masks[0]


def at_least_float32(logits: torch.Tensor) -> torch.Tensor:
    """Half precision is widened before exponentials and differences are taken."""
    return logits if logits.dtype == torch.float64 else logits.float()
