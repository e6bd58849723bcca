"""Rows of a residual stream read as predictions, and what is kept of each: the part all lenses share."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import torch
from torch.nn.functional import logsigmoid

from interpboard.errors import Unsupported
from interpboard.models.crossing import back, to_device
from interpboard.models.faster_parts import faster_head
from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import most_numbers
from interpboard.models.unembedding import residual_to_logits
from interpboard.runs.finite import require_logits, surely_finite
from interpboard.runs.labels import label_head, logit_names
from interpboard.runs.metrics import at_least_float32
from interpboard.runs.watch import Watch

# Logits held at a time: memory stays flat, and a step stays short.
_LOGITS_A_STEP = {"cpu": 1 << 22, "cuda": 1 << 24, "mps": 1 << 24}
# Of targets alone, on a CPU: a block that the heap keeps, and no new pages.
_TARGETS_A_STEP = 1 << 20
_BLOCK = 256
_ABOUT = "What the lens reads"
_NAMES = ("prob", "rank", "entropy", "kl", "top_probs", "top_ids")


def _most(device: torch.device) -> int:
    return most_numbers(_LOGITS_A_STEP.get(device.type, _LOGITS_A_STEP["cpu"]), device, 8)


def read_lens(
    lm: LanguageModel, rows: torch.Tensor, target: int, top_k: int, watch: Watch
) -> dict[str, np.ndarray]:
    """What final norm and unembedding read in ``rows`` [row, token, d_model]; the last is the final one.

    ``prob`` of the target, its ``rank`` (1 = first), ``entropy`` and ``kl`` (KL(last row ‖ row)) in nats,
    each [row, token]; ``top_ids``, ``top_tokens``, ``top_probs`` [row, token, top].

    A few positions at a time, so that memory does not grow with the prompt. On a CPU each position is then
    gone over by itself, since what fits a processor's cache is read four times as fast; on a GPU all of
    them at once, since there a launch costs more than the reading. Raises ``NotFinite``, and ``Unsupported``
    for a model that gives values.
    """
    head = label_head(lm)
    if head is not None and not head.has_probabilities:
        raise Unsupported(
            "A lens reads probabilities, and this model gives none.", "Use activation_patching."
        )
    n_rows, n_pos, _ = rows.shape
    top_k = min(top_k, lm.anatomy.n_logits)
    # Written in place: small tensors between the large ones would keep the heap from shrinking.
    kept: list[torch.Tensor] = []
    looks = _Looks(lm)
    most = _most(rows.device)
    a_step = max(1, most // (lm.anatomy.n_logits * n_rows))
    one_by_one = rows.device.type == "cpu"
    read = _read_independent if head is not None and head.problem == "several" else _read
    for start in range(0, n_pos, a_step):
        watch.step(start, n_pos)
        chunk = rows[:, start : start + a_step].transpose(0, 1)
        logits = _logits(lm, chunk)
        looks.hear(logits)
        at = start
        for columns in logits.unflatten(0, chunk.shape[:2]).split(1 if one_by_one else a_step):
            parts = read(at_least_float32(columns), target, top_k)
            if not kept:
                kept = [part.new_empty((n_rows, n_pos, *part.shape[2:])) for part in parts]
            for whole, part in zip(kept, parts, strict=True):
                whole[:, at : at + len(columns)] = part.transpose(0, 1)
            at += len(columns)
            watch.check()
    *read_back, fine = back(*kept, looks.fine(rows.device))
    if not bool(fine):
        looks.refuse_or_masked(rows.transpose(0, 1), a_step)
    watch.step(n_pos, n_pos)
    found = dict(zip(_NAMES, (whole.numpy() for whole in read_back), strict=True))
    found["top_tokens"] = logit_names(lm, found["top_ids"])
    return found


def read_targets(
    lm: LanguageModel, rows: torch.Tensor, targets: torch.Tensor, watch: Watch
) -> torch.Tensor:
    """The probability [token, row, target] of each of ``targets`` in ``rows`` [token, row, d_model]: of what
    ``read_lens`` finds ``prob`` alone, of several targets. Raises ``NotFinite``."""
    most = _most(rows.device)
    if rows.device.type == "cpu":
        most = min(most, _TARGETS_A_STEP)
    a_step = max(1, most // (lm.anatomy.n_logits * rows.shape[1]))
    found, looks = [], _Looks(lm)
    targets = to_device(targets, rows.device)
    for chunk in rows.split(a_step):
        watch.check()
        logits = _logits(lm, chunk)
        looks.hear(logits)
        logits = at_least_float32(logits)
        logits -= logits.amax(-1, keepdim=True)  # nobody else has them
        weights = logits[:, targets.to(logits.device)].exp()
        total = logits.exp_().sum(-1, keepdim=True)
        found.append((weights / total).unflatten(0, chunk.shape[:2]))
    if not bool(looks.fine(rows.device)):
        looks.refuse_or_masked(rows, a_step)
    return torch.cat(found)


class _Looks:
    """Whether the logits that a lens reads are finite. On a CPU they are looked at as they come; elsewhere
    behind the last step, since a look makes the host wait for the device."""

    def __init__(self, lm: LanguageModel) -> None:
        self.lm = lm
        self._waiting: list[torch.Tensor] = []

    def hear(self, logits: torch.Tensor) -> None:
        """``logits`` [row, d_vocab] of a step. Raises ``NotFinite`` on a CPU."""
        if logits.device.type == "cpu":
            require_logits(self.lm, _ABOUT, logits)
        else:
            self._waiting.append(surely_finite(logits))

    def fine(self, device: torch.device) -> torch.Tensor:
        """[]: false where a number was not finite, which may be what the model masks."""
        if not self._waiting:
            return torch.ones((), dtype=torch.bool)
        return torch.stack(self._waiting).all().to(device)

    def refuse_or_masked(self, streams: torch.Tensor, a_step: int) -> None:
        """Look again, at ``streams`` [token, row, d_model], with what the model masks left out."""
        for chunk in streams.split(a_step):
            require_logits(self.lm, _ABOUT, _logits(self.lm, chunk))


def _logits(lm: LanguageModel, chunk: torch.Tensor) -> torch.Tensor:
    """[token · row, d_vocab] of streams [token, row, d_model]."""
    with faster_head(lm.anatomy) if lm.verified.faster_head else nullcontext():
        return residual_to_logits(lm.anatomy, chunk.flatten(0, 1))


def _read(logits: torch.Tensor, target: int, top_k: int) -> tuple[torch.Tensor, ...]:
    """What is kept of ``logits`` [pos, row, d_vocab], each [pos, row, …], in the order of ``_NAMES``."""
    best, ids = largest(logits, top_k)
    rank = 1 + (logits > logits[..., target, None]).sum(-1)
    logits = logits - best[..., :1]
    probs = logits.softmax(-1)
    # The likeliest has the logit 0 now, so its probability is 1 over the sum of all.
    log_total = -probs.gather(-1, ids[..., :1])[..., 0].log()
    # KL = Σ final (log final − log row): of the row only its mean under the final row is needed.
    expected = (logits @ probs[:, -1, :, None])[..., 0] - log_total
    return (
        probs[..., target],
        rank,
        log_total - torch.linalg.vecdot(probs, logits),
        (expected[:, -1:] - expected).clamp(min=0),
        probs.gather(-1, ids),
        ids,
    )


def largest(values: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The ``count`` largest of ``values`` [..., n], the largest first, and where they are.

    On a CPU by blocks: those with the ``count`` largest maxima hold them, and only those are sorted.
    """
    blocks = values.shape[-1] // _BLOCK
    if values.device.type != "cpu" or blocks < 4 * count:
        top = values.topk(count)
        return top.values, top.indices
    even = blocks * _BLOCK
    inside = values[..., :even].unflatten(-1, (blocks, _BLOCK))
    which = inside.amax(-1).topk(count).indices[..., None]
    left = torch.arange(even, values.shape[-1]).expand(*values.shape[:-1], -1)
    places = torch.cat([(which * _BLOCK + torch.arange(_BLOCK)).flatten(-2), left], dim=-1)
    top = values.gather(-1, places).topk(count)
    return top.values, places.gather(-1, top.indices)


def _read_independent(logits: torch.Tensor, target: int, top_k: int) -> tuple[torch.Tensor, ...]:
    """The same of labels [pos, row, label] each of which may be true; entropy and KL are sums over them."""
    top = logits.topk(top_k)
    rank = 1 + (logits > logits[..., target, None]).sum(-1)
    true, false = logits.sigmoid(), (-logits).sigmoid()
    log_true, log_false = logsigmoid(logits), logsigmoid(-logits)
    entropy = -(true * log_true + false * log_false).sum(-1)
    last = slice(-1, None)
    kl = true[:, last] * (log_true[:, last] - log_true) + false[:, last] * (
        log_false[:, last] - log_false
    )
    return (
        true[..., target],
        rank,
        entropy,
        kl.sum(-1).clamp(min=0),
        top.values.sigmoid(),
        top.indices,
    )
