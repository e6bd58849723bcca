"""At which layer the answer appears: every layer's residual stream read as if the model ended there."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch

from interpboard.models.language_model import LanguageModel
from interpboard.models.tail import residual_to_logits
from interpboard.results import (
    Axis,
    LabelledArray,
    PromptInfo,
    Result,
    layer_axis,
    text_array,
    token_axis,
)
from interpboard.runs.metrics import Metric, at_least_float32
from interpboard.runs.prompt import token_text
from interpboard.runs.provenance import made_by
from interpboard.runs.record import record
from interpboard.runs.watch import SILENT, Watch

LOGITS_A_STEP = 1 << 24  # values of the vocabulary held at a time: memory stays flat


@dataclass(frozen=True)
class _Read:
    """What is kept of the logits [layer, token, d_vocab] of some tokens; the last layer is final."""

    prob: torch.Tensor
    rank: torch.Tensor
    entropy: torch.Tensor
    kl: torch.Tensor
    top_probs: torch.Tensor
    top_ids: torch.Tensor


@torch.no_grad()
def logit_lens(
    lm: LanguageModel, prompt: PromptInfo, metric: Metric, *, top_k: int = 10, watch: Watch = SILENT
) -> Result:
    """Probability [layer, token] of the target under each layer's residual stream.

    Row ``embed`` is the input of layer 0, row k the output of layer k, each through the final norm and
    the unembedding (nostalgebraist 2020, "interpreting GPT: the logit lens"); the last row is the
    model's own output. ``extra``: ``top_ids``, ``top_tokens``, ``top_probs`` [layer, token, top];
    ``entropy`` and ``kl`` (KL(final ‖ layer)) in nats; ``rank`` of the target, 1 = first.

    Raises ``Unsupported`` if the model's head could not be verified.
    """
    started = time.perf_counter()
    lm.verified.require_lens()
    read = read_lens(lm, record(lm, prompt).residuals(), metric.target_id, top_k, watch)
    axes = (layer_axis(lm.anatomy.n_layers, embed=True), token_axis(prompt.tokens))
    top = Axis("top", tuple(str(i + 1) for i in range(read["top_ids"].shape[-1])))
    return Result(
        analysis="logit_lens",
        params={"top_k": top_k},
        metric=metric.info,
        baseline=metric.baseline,
        axes=axes,
        values=read.pop("prob"),
        extra={
            name: LabelledArray((*axes, top) if name.startswith("top_") else axes, values)
            for name, values in read.items()
        },
        elapsed_s=time.perf_counter() - started,
        made_by=made_by("forward"),
    )


def read_lens(
    lm: LanguageModel, residuals: torch.Tensor, target: int, top_k: int, watch: Watch
) -> dict[str, np.ndarray]:
    """What the lens reads in ``residuals`` [layer, token, d_model]; the last layer is the final one.

    ``prob``, ``rank``, ``entropy``, ``kl`` [layer, token]; ``top_ids``, ``top_tokens``, ``top_probs``
    [layer, token, top], as in ``logit_lens``.
    """
    n_rows, n_pos, _ = residuals.shape
    reads: list[_Read] = []
    a_step = max(1, LOGITS_A_STEP // (lm.anatomy.d_vocab * n_rows))
    for start in range(0, n_pos, a_step):
        watch.step(start, n_pos)
        column = residuals[:, start : start + a_step]
        logits = residual_to_logits(lm.anatomy, column.flatten(0, 1))
        logits = logits.unflatten(0, column.shape[:2])
        reads.append(_read(logits, target, min(top_k, lm.anatomy.d_vocab)))
    watch.step(n_pos, n_pos)
    names = ("prob", "top_ids", "top_probs", "entropy", "kl", "rank")
    found = {name: _joined(reads, name) for name in names}
    ids = found["top_ids"]
    texts = {int(i): token_text(lm.tokenizer, int(i)) for i in np.unique(ids)}
    found["top_tokens"] = text_array([texts[int(i)] for i in ids.flat]).reshape(ids.shape)
    return found


def _read(logits: torch.Tensor, target: int, top_k: int) -> _Read:
    logits = at_least_float32(logits)
    logprobs = logits.log_softmax(-1)
    probs = logprobs.exp()
    top = probs.topk(top_k)
    return _Read(
        prob=probs[..., target],
        rank=1 + (logits > logits[..., target, None]).sum(-1),
        entropy=-(probs * logprobs).sum(-1),
        kl=(probs[-1] * (logprobs[-1] - logprobs)).sum(-1),
        top_probs=top.values,
        top_ids=top.indices,
    )


def _joined(reads: list[_Read], name: str) -> np.ndarray:
    joined: np.ndarray = torch.cat([getattr(read, name) for read in reads], dim=1).cpu().numpy()
    return joined
