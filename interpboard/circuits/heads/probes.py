"""Measurements of what heads look at and copy, each beside the same measurement on shuffled data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from interpboard.circuits.heads.ov_circuit import TOP, moved_alone, promotion
from interpboard.errors import BadParameter, Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.runs.metrics import at_least_float32
from interpboard.runs.patterns import each_pattern
from interpboard.runs.prompt import text_prefix
from interpboard.runs.watch import Watch

USUAL_LENGTH = 32  # of a segment that is repeated
COPIED_TOKENS = 32  # of each sample


@dataclass(frozen=True)
class Probe:
    """A score and the same on shuffled data, [sample, layer, head] each."""

    values: np.ndarray
    null: np.ndarray


@dataclass(frozen=True)
class Repeats:
    """Random tokens: ``ids`` [sample, 2, pos], row 0 a segment twice, row 1 the same shuffled the
    second time. The first segment begins at ``offset``."""

    ids: torch.Tensor
    offset: int
    length: int


def longest_repeat(lm: LanguageModel) -> int:
    """``USUAL_LENGTH``, or what the context and the vocabulary have room for; at least 2."""
    room = [USUAL_LENGTH, len(_ordinary_tokens(lm))]
    if lm.anatomy.context is not None:
        room.append((lm.anatomy.context - len(text_prefix(lm))) // 2)
    return max(2, min(room))


def random_repeats(lm: LanguageModel, samples: int, length: int, seed: int) -> Repeats:
    """``samples`` sequences of a segment of ``length`` different tokens, twice, behind what the
    tokenizer puts in front of any text. Raises ``BadParameter`` where that does not fit the model."""
    prefix = text_prefix(lm)
    context = lm.anatomy.context
    tokens = _ordinary_tokens(lm)
    if context is not None and len(prefix) + 2 * length > context:
        raise BadParameter(
            f"Twice {length} tokens exceed the model's context of {context}.",
            f"Use length={(context - len(prefix)) // 2} or less.",
        )
    if length < 2 or length > len(tokens):
        raise BadParameter(
            f"A segment of {length} different tokens cannot be drawn.",
            f"The model has {len(tokens)} ordinary tokens; use at least 2.",
        )
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for _ in range(samples):
        segment = tokens[torch.randperm(len(tokens), generator=generator)[:length]]
        order = torch.randperm(length, generator=generator)
        shuffled = torch.empty_like(segment)
        shuffled[order] = segment[order.roll(1)]  # a cycle: no token stays where it was
        ahead = torch.tensor(prefix, dtype=torch.long)
        rows.append(
            torch.stack(
                [torch.cat([ahead, segment, again]) for again in (segment, shuffled)],
            )
        )
    return Repeats(torch.stack(rows).to(lm.device), len(prefix), length)


def attention_probes(
    lm: LanguageModel, repeats: Repeats, seed: int, watch: Watch
) -> dict[str, Probe]:
    """``previous_token``, ``duplicate_token``, ``induction``: mean probability of the key that such a
    head attends to.

    Null of the first: a key drawn at random among those that the query sees. Of the others: the same
    key where the segment came shuffled the second time.
    """
    shape = (len(repeats.ids), lm.anatomy.n_layers, lm.anatomy.n_heads)
    names = ("previous_token", "duplicate_token", "induction")
    probes = {name: Probe(np.zeros(shape), np.zeros(shape)) for name in names}
    generator = torch.Generator().manual_seed(seed)
    length, offset = repeats.length, repeats.offset
    later = torch.arange(length, 2 * length) + offset
    after_first = torch.arange(offset + 1, 2 * length + offset)
    for sample, ids in enumerate(repeats.ids):
        anywhere = (torch.rand(len(after_first), generator=generator) * (after_first + 1)).long()

        def hear(
            layer: int,
            pattern: torch.Tensor,
            sample: int = sample,
            anywhere: torch.Tensor = anywhere,
        ) -> None:
            watch.check()
            repeated, shuffled = at_least_float32(pattern).cpu()

            def put(name: str, queries: torch.Tensor, keys: torch.Tensor, null: Any) -> None:
                probe = probes[name]
                probe.values[sample, layer] = repeated[queries, :, keys].mean(0)
                probe.null[sample, layer] = null.mean(0)

            put("previous_token", after_first, after_first - 1, repeated[after_first, :, anywhere])
            for name, ahead in (("duplicate_token", 0), ("induction", 1)):
                keys = later - length + ahead
                put(name, later, keys, shuffled[later, :, keys])

        each_pattern(lm, ids, range(lm.anatomy.n_layers), hear)
    return probes


def copying_probe(
    lm: LanguageModel, samples: int, seed: int, watch: Watch
) -> tuple[Probe, np.ndarray]:
    """Share of random tokens that a head which sees them promotes among its ``TOP``; null: another one.

    Candidates are all tokens drawn. Besides it the eigenvalue score [layer, head]: Σ Re λ / Σ |λ| of the
    map from tokens seen to tokens promoted, 1 if every head direction copies, −1 if it suppresses
    (Elhage et al. 2021). What the head writes whatever token it sees is taken off first; a head that writes
    nothing besides, or nothing that tells tokens apart, has no score (NaN). A vocabulary of a few tokens
    makes fewer samples than asked for, of two tokens at least. Raises ``Unsupported`` for less than two.
    """
    tokens = _ordinary_tokens(lm)
    samples = min(samples, len(tokens) // 2)
    if samples < 1:
        raise Unsupported("Of one token there is nothing to tell whether it is copied.")
    generator = torch.Generator().manual_seed(seed)
    count = min(samples * COPIED_TOKENS, len(tokens) // samples * samples)
    drawn = tokens[torch.randperm(len(tokens), generator=generator)[:count]].to(lm.device)
    shape = (samples, lm.anatomy.n_layers, lm.anatomy.n_heads)
    probe = Probe(np.zeros(shape), np.zeros(shape))
    eigen = np.zeros(shape[1:])
    indices = torch.arange(count, device=lm.device)
    for layer, moved in enumerate(moved_alone(lm, text_prefix(lm), drawn, watch)):
        watch.check()
        moved = moved - moved.mean(0)
        promotes = promotion(lm, layer, drawn)
        for sample, rows in enumerate(indices.view(samples, -1)):
            copied = among_top(moved[rows], promotes)
            silent = copied.isnan().all(-1).all(0)
            copied = copied.nan_to_num(nan=0.0).masked_fill(silent[:, None], float("nan"))
            every = torch.arange(len(rows))
            probe.values[sample, layer] = copied[every, :, rows].mean(0).cpu()
            probe.null[sample, layer] = copied[every, :, rows.roll(1)].mean(0).cpu()
        eigen[layer] = _eigenvalue_scores(moved, promotes)
    return probe, eigen


def among_top(moved: torch.Tensor, promotes: torch.Tensor) -> torch.Tensor:
    """Which candidates [row, head, candidate] are among the ``TOP`` of what ``moved`` promotes: 1 or 0.

    Of fewer than twice ``TOP`` candidates, among the better half. Those that share the last place are not:
    a tie says of none that it is ahead. NaN where all candidates are promoted alike.
    """
    logits = torch.einsum("rhd,hdc->rhc", moved, promotes.to(moved))
    count = logits.shape[-1]
    first = min(TOP, max(1, count // 2))
    best = logits.topk(min(first + 1, count)).values
    found = (logits > best[..., -1:]).double()
    return found.masked_fill(best[..., :1] == logits.amin(-1, keepdim=True), float("nan"))


def _ordinary_tokens(lm: LanguageModel) -> torch.Tensor:
    count = min(lm.anatomy.d_vocab, len(lm.tokenizer))
    special = set(lm.tokenizer.all_special_ids)
    return torch.tensor([i for i in range(count) if i not in special])


def _eigenvalue_scores(moved: torch.Tensor, promotes: torch.Tensor) -> np.ndarray:
    """[head]. The map from token to token has the eigenvalues of the small matrix within the head."""
    within = torch.einsum("hdc,che->hde", promotes.double(), moved.double())
    eigenvalues = torch.linalg.eigvals(within.cpu())
    scores: np.ndarray = (eigenvalues.real.sum(-1) / eigenvalues.abs().sum(-1)).numpy()
    return scores
