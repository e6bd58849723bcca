"""Rollout by what heads really move: norms of value-transformed vectors instead of bare attention."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from interpboard.attribution.attention_rollout import Rollout, refuse_rollout
from interpboard.attribution.fused_attention import rows_to_one
from interpboard.errors import Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.models.one_tensor import require_one_tensor
from interpboard.models.proof.rounding import agrees
from interpboard.models.sites import at_site
from interpboard.models.unembedding import run_body
from interpboard.results import PromptInfo
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.metrics import Metric
from interpboard.runs.prompt import input_ids
from interpboard.runs.record import by_blocks
from interpboard.runs.strip_places import positions_at
from interpboard.runs.watch import SILENT, Watch


@analysis("value_weighted_rollout", path="attention", refuses=refuse_rollout)
def value_weighted_rollout(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    watch: Watch = SILENT,
) -> Computed:
    """Share [token] of the metric's position that comes from each token, at least 0, summing to 1.

    Kobayashi et al. 2020, "Attention is Not Only a Weight: Analyzing Transformers with Vector Norms", and
    2021, "Incorporating Residual and Normalization Layers": what a layer brings from key j to query i is
    the vector Σ over heads of pattern[i, j] · value_j through the output projection; for j = i the
    query's own residual stream is part of it. The norms of these vectors, rows made to sum to 1, take
    the place of ½A + ½I, so an attention sink whose value is nearly zero counts for nothing.
    ``extra["rollout"]`` [query, key] has every position. MLPs, the metric and norms behind a sum (BERT) are
    still left out. Of an encoder–decoder E, D and X follow each other over the tokens of both strips, as in
    ``attention_rollout``.

    Raises ``Unsupported`` where patterns and values cannot be looked at.
    """
    for site in ("pattern", "v", "resid_pre"):
        lm.verified.require_site(site)
    rolling = Rollout(len(prompt.token_ids), lm.verified.causal)
    _each_moved(lm, prompt, lambda norms, first: rolling.take(rows_to_one(norms), first), watch)
    return rolling.computed(prompt, metric)


@torch.no_grad()
def _each_moved(
    lm: LanguageModel, prompt: PromptInfo, take: Callable[[np.ndarray, int], None], watch: Watch
) -> None:
    """``take(norms [query, key], first)``: of what each layer brings from key to query, residual included.

    Layer after layer, the rows of each in order, ``first`` the position of the first of them.
    """
    seen: dict[str, torch.Tensor] = {}
    sums: list[torch.Tensor] = []
    proved = "resid_mid" in lm.verified.sites  # else attention and MLP are side by side

    def keep(site: str, value: torch.Tensor) -> None:
        seen[site] = value[0]

    def hear(layer: int, pattern: torch.Tensor, first: int) -> None:
        watch.check()
        there = positions_at(lm, prompt, "q", layer)
        stream = seen["resid_pre"]
        if first == 0:  # what all blocks of queries of the layer share
            sums.clear()
            heads, value = pattern.shape[2], seen["v"]
            seen["value"] = value.repeat_interleave(heads // value.shape[1], dim=1)
            project: Any = lm.anatomy.out_proj[layer]
            seen["bias"] = project(torch.zeros_like(seen["value"][:1].flatten(1)))
        norms, becomes = _vectors(lm, layer, pattern[0], seen["value"], seen["bias"], stream, first)
        sums.append(becomes)
        for row, query in enumerate(range(first, first + len(norms))):
            if query not in there:  # of the other strip: it stays what it is
                norms[row, query] = 1.0
        take(norms, first)

    def prove(layer: int, norm: nn.Module | None, middle: torch.Tensor) -> None:
        there = positions_at(lm, prompt, "q", layer)
        total, middle = (
            torch.cat(sums)[there.start : there.stop],
            middle[:, there.start : there.stop],
        )
        # ``forward``: this is called by a hook of the norm itself.
        if not agrees(total if norm is None else norm.forward(total), middle[0]):
            raise Unsupported(
                f"{type(lm.model).__name__} changes what attention adds before it adds it, so its "
                "heads' vectors do not add up.",
                "Use attention_rollout.",
            )

    with ExitStack() as stack:
        for layer in range(lm.anatomy.n_layers):
            for site in ("resid_pre", "v"):
                stack.enter_context(at_site(lm.anatomy, site, layer, partial(keep, site)))
            blocks = by_blocks(lm, partial(hear, layer))
            stack.enter_context(at_site(lm.anatomy, "pattern", layer, blocks))
            if proved:
                norm = _norm_behind(lm, layer)
                require_one_tensor(norm, lm.anatomy.d_model)
                check = partial(prove, layer, norm)
                mid = positions_at(lm, prompt, "resid_mid", layer)
                behind = "resid_mid" if mid else "resid_post"  # of self-attention alone
                stack.enter_context(at_site(lm.anatomy, behind, layer, check))
        run_body(lm.anatomy, input_ids(lm, prompt))


def _norm_behind(lm: LanguageModel, layer: int) -> nn.Module | None:
    """The norm of the sum of the stream and what attention adds, where there is one."""
    if lm.anatomy.strips is not None:
        return lm.anatomy.strips.sum_norms(layer)[0]
    return lm.anatomy.mid_norm[layer] if lm.anatomy.mid_norm else None


def _vectors(
    lm: LanguageModel,
    layer: int,
    pattern: torch.Tensor,
    value: torch.Tensor,
    bias: torch.Tensor,
    stream: torch.Tensor,
    first: int,
) -> tuple[np.ndarray, torch.Tensor]:
    """Norms [query, key], and what the stream [query, d_model] becomes, the bias included.

    ``pattern`` [query, head, key] of the queries from ``first`` on, ``value`` [key, head, d_head], ``bias``
    [1, d_model], ``stream`` [pos, d_model].
    """
    project: Any = lm.anatomy.out_proj[layer]
    norms = np.zeros((len(pattern), len(stream)))
    becomes = torch.empty_like(stream[: len(pattern)])
    for row, query in enumerate(range(first, first + len(pattern))):
        # One row at a time: all pairs would be [query, key, d_model] at once.
        keys = query + 1 if lm.verified.causal else len(stream)
        weighted = pattern[row, :, :keys].T[:, :, None].to(value.dtype) * value[:keys]
        moved = project(weighted.flatten(1)) - bias
        moved[query] += stream[query]
        norms[row, :keys] = moved.double().norm(dim=-1).cpu().numpy()
        becomes[row] = moved.sum(0) + bias[0]
    return norms, becomes
