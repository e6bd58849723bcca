"""Heads that attend to where the answer stands in the prompt and copy it from there."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import torch

from interpboard.circuits.heads.ov_circuit import promotion
from interpboard.circuits.heads.probes import Probe, among_top
from interpboard.models.language_model import LanguageModel
from interpboard.models.sites import at_site
from interpboard.models.unembedding import run_body
from interpboard.results import PromptInfo
from interpboard.runs.labels import require_tokens
from interpboard.runs.metrics import Metric
from interpboard.runs.prompt import input_ids
from interpboard.runs.watch import Watch

OTHER_CANDIDATES = 64


@torch.no_grad()
def name_mover_probe(
    lm: LanguageModel, prompt: PromptInfo, metric: Metric, seed: int, watch: Watch
) -> Probe | None:
    """Attention from the metric's position to the target in the prompt, where the head copies it.

    Counted are those places of the target from which what the head moves (its value there, less its mean
    over the prompt) promotes the target among the first few of the prompt's tokens and some random ones.
    Null: the same for every other token of the prompt. None if the target does not stand in the prompt
    up to that position. Raises ``Unsupported`` where patterns or values cannot be read.
    """
    require_tokens(lm, "Moving a name to the answer")
    for site in ("pattern", "v"):
        lm.verified.require_site(site)
    ids = prompt.token_ids[: metric.info.position + 1]
    if metric.target_id not in ids:
        return None
    distinct = list(dict.fromkeys(ids))
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(lm.anatomy.d_vocab, (OTHER_CANDIDATES,), generator=generator).tolist()
    candidates = torch.tensor(list(dict.fromkeys([*distinct, *drawn])), device=lm.device)
    scores = np.zeros((len(distinct), lm.anatomy.n_layers, lm.anatomy.n_heads))
    patterns, values = _row_and_values(lm, prompt, metric.info.position, watch)
    for layer, (pattern, value) in enumerate(zip(patterns, values, strict=True)):
        watch.check()
        moved = (value - value.mean(0))[: len(ids)]
        copied = among_top(moved, promotion(lm, layer, candidates)).nan_to_num(nan=0.0)
        for number, token in enumerate(distinct):
            places = [i for i, other in enumerate(ids) if other == token]
            scores[number, layer] = (
                (pattern[:, places].T * copied[places, :, number]).double().sum(0).cpu().numpy()
            )
    target = distinct.index(metric.target_id)
    return Probe(scores[target : target + 1], np.delete(scores, target, axis=0))


def _row_and_values(
    lm: LanguageModel, prompt: PromptInfo, position: int, watch: Watch
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """By layer: the pattern of one query [head, key], and the values [pos, head, d_head]."""
    patterns: list[torch.Tensor] = []
    values: list[torch.Tensor] = []

    def keep_row(pattern: torch.Tensor) -> None:
        watch.check()
        patterns.append(pattern[0, position].clone())

    def keep_values(value: torch.Tensor) -> None:
        groups = lm.anatomy.n_heads // value.shape[2]
        values.append(value[0].repeat_interleave(groups, dim=1))

    with ExitStack() as stack:
        for layer in range(lm.anatomy.n_layers):
            stack.enter_context(at_site(lm.anatomy, "pattern", layer, keep_row))
            stack.enter_context(at_site(lm.anatomy, "v", layer, keep_values))
        run_body(lm.anatomy, input_ids(lm, prompt))
    return patterns, values
