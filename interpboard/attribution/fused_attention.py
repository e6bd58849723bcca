"""Each layer's attention as one matrix: the heads fused, the residual stream beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch

from interpboard.display import spoken_bytes
from interpboard.errors import BadParameter, Unaffordable
from interpboard.models.attention_sites import PATTERN_BLOCK
from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import require_room_for_tokens
from interpboard.results import PromptInfo
from interpboard.runs.patterns import each_pattern_block
from interpboard.runs.prompt import input_ids
from interpboard.runs.steps import bytes_of_a_layer
from interpboard.runs.strip_places import positions_at
from interpboard.runs.watch import Watch

TakesRows = Callable[[int, np.ndarray, int], None]
MOST_AT_ONCE = 512 * 2**20
"""Bytes of all layers' attention that are held at once, where an analysis needs them together."""
FUSIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "mean": lambda pattern: pattern.mean(0),
    "max": lambda pattern: pattern.amax(0),
    "min": lambda pattern: pattern.amin(0),
}


def fused_attention(
    lm: LanguageModel, prompt: PromptInfo, fusion: str, discard: float, watch: Watch
) -> np.ndarray:
    """[layer, query, key] of ``each_fused``, all of it. Raises ``Unaffordable`` beside what that raises."""
    refuse_all_at_once(lm, prompt, {})
    layers, length = lm.anatomy.n_layers, len(prompt.token_ids)
    whole = np.zeros((layers, length, length))

    def take(layer: int, rows: np.ndarray, first: int) -> None:
        whole[layer, first : first + len(rows)] = rows

    each_fused(lm, prompt, fusion, discard, take, watch)
    return whole


def refuse_all_at_once(lm: LanguageModel, prompt: PromptInfo, _params: Mapping[str, Any]) -> None:
    """Raise ``Unaffordable`` where all layers' attention is more than may be held at once."""
    layers, length = lm.anatomy.n_layers, len(prompt.token_ids)
    if layers * length**2 * 8 > MOST_AT_ONCE:
        fits = math.isqrt(MOST_AT_ONCE // (8 * layers))
        size = spoken_bytes(layers * length**2 * 8)
        raise Unaffordable(
            f"Attention of {layers} layers × {length:,}² with its heads fused is {size}, and "
            f"{spoken_bytes(MOST_AT_ONCE)} are the most.",
            f"Shorten the prompt to {fits:,} tokens, or use attention_rollout.",
        )
    require_room_for_tokens(
        torch.device("cpu"), lambda n: (layers + 1) * 8 * n**2 + block_bytes(lm, n), length,
        f"Attention of {layers} layers × {length:,}² with its heads fused",
        beside=partial(bytes_of_a_layer, lm),
    )  # fmt: skip


def block_bytes(lm: LanguageModel, length: int) -> int:
    """Of the patterns of the queries that are looked at together: as computed, and in float64."""
    numbers = lm.anatomy.n_heads * length**2
    weight: torch.Tensor = lm.anatomy.embedding.weight  # type: ignore[assignment]
    if lm.verified.blocks:
        numbers = min(numbers, PATTERN_BLOCK)
    return numbers * (12 + 2 * weight.element_size())  # as measured


def each_fused(
    lm: LanguageModel,
    prompt: PromptInfo,
    fusion: str,
    discard: float,
    take: TakesRows,
    watch: Watch,
) -> None:
    """``take(layer, rows [query, key], first)`` hears the rows from position ``first`` on, in order.

    They are float64, each summing to 1 (0 where nothing is left of it). ``fusion`` over heads: ``mean``,
    ``max`` or ``min``. ``discard``: the share of a row's smallest entries that is set to zero first, the key
    at the query itself spared. Raises ``BadParameter``, ``Unsupported`` where patterns cannot be read.
    """
    if fusion not in FUSIONS:
        raise BadParameter(f"There is no fusion {fusion!r}.", f"Use {', '.join(FUSIONS)}.")
    if not 0 <= discard < 1:
        raise BadParameter(f"The discarded share is from 0 to below 1, not {discard:g}.")

    def hear(layer: int, block: torch.Tensor, first: int) -> None:
        watch.check()
        fused = FUSIONS[fusion](block[0].double().transpose(0, 1)).cpu().numpy()
        if discard:
            others = partial(_seen_beside_itself, lm, prompt, layer)
            fused = _without_the_smallest(fused, first, discard, others)
        take(layer, rows_to_one(fused), first)

    each_pattern_block(lm, input_ids(lm, prompt), range(lm.anatomy.n_layers), hear)


def with_residual(attention: np.ndarray, first: int = 0) -> np.ndarray:
    """½A + ½I: what a position keeps by the residual stream counts as much as what it takes.

    ``attention`` [..., query, key]: rows of the queries from ``first`` on.
    """
    queries, keys = attention.shape[-2:]
    mixed: np.ndarray = 0.5 * rows_to_one(attention) + 0.5 * np.eye(queries, keys, first)
    return rows_to_one(mixed)


def rows_to_one(matrices: np.ndarray) -> np.ndarray:
    """Rows [..., key] divided by their sums; rows of zeros stay, and NaN stays NaN."""
    sums = matrices.sum(-1, keepdims=True)
    divided: np.ndarray = np.divide(matrices, sums, out=np.zeros_like(matrices), where=sums != 0)
    return divided


def _without_the_smallest(
    fused: np.ndarray, first: int, discard: float, others_of: Callable[[int], np.ndarray]
) -> np.ndarray:
    """Row by row, over the keys that the query may see, itself left out of it."""
    kept = fused.copy()
    for row, query in enumerate(range(first, first + len(kept))):
        others = others_of(query)
        smallest = others[np.argsort(kept[row, others], kind="stable")]
        kept[row, smallest[: int(discard * len(others))]] = 0
    return kept


def _seen_beside_itself(
    lm: LanguageModel, prompt: PromptInfo, layer: int, query: int
) -> np.ndarray:
    """The keys that ``query`` may see in ``layer``, but for itself; none where it has no such query."""
    queries, keys = (positions_at(lm, prompt, site, layer) for site in ("q", "k"))
    if query not in queries:
        return np.arange(0)
    seen = np.array(keys)
    if lm.verified.causal or (prompt.border and keys.start == prompt.border):  # a prefix looks back
        return seen[seen < query]
    return seen[seen != query]
