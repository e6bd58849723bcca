"""Each layer's attention as one matrix: the heads fused, the residual stream beside it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.results import PromptInfo
from interpboard.runs.patterns import each_pattern
from interpboard.runs.prompt import input_ids
from interpboard.runs.watch import Watch

FUSIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "mean": lambda pattern: pattern.mean(0),
    "max": lambda pattern: pattern.amax(0),
    "min": lambda pattern: pattern.amin(0),
}


def fused_attention(
    lm: LanguageModel, prompt: PromptInfo, fusion: str, discard: float, watch: Watch
) -> np.ndarray:
    """[layer, query, key], float64, each row summing to 1 (0 where nothing is left of it).

    ``fusion`` over heads: ``mean``, ``max`` or ``min``. ``discard``: the share of a row's smallest entries
    that is set to zero first, the key at the query itself spared. Raises ``BadParameter``,
    ``Unsupported`` where patterns cannot be read.
    """
    if fusion not in FUSIONS:
        raise BadParameter(f"There is no fusion {fusion!r}.", f"Use {', '.join(FUSIONS)}.")
    if not 0 <= discard < 1:
        raise BadParameter(f"The discarded share is from 0 to below 1, not {discard:g}.")
    layers: list[np.ndarray] = []

    def hear(_layer: int, pattern: torch.Tensor) -> None:
        watch.check()
        fused = FUSIONS[fusion](pattern[0].double().transpose(0, 1))
        layers.append(_without_the_smallest(fused.cpu().numpy(), discard, lm.verified.causal))

    each_pattern(lm, input_ids(lm, prompt), range(lm.anatomy.n_layers), hear)
    return rows_to_one(np.stack(layers))


def with_residual(attention: np.ndarray) -> np.ndarray:
    """½A + ½I: what a position keeps by the residual stream counts as much as what it takes."""
    mixed: np.ndarray = 0.5 * rows_to_one(attention) + 0.5 * np.eye(attention.shape[-1])
    return rows_to_one(mixed)


def rows_to_one(matrices: np.ndarray) -> np.ndarray:
    """Rows [..., key] divided by their sums; rows of zeros stay, and NaN stays NaN."""
    sums = matrices.sum(-1, keepdims=True)
    divided: np.ndarray = np.divide(matrices, sums, out=np.zeros_like(matrices), where=sums != 0)
    return divided


def _without_the_smallest(fused: np.ndarray, discard: float, causal: bool) -> np.ndarray:
    """Row by row, over the keys that the query may see, itself left out of it."""
    kept = fused.copy()
    for query in range(len(kept)):
        others = np.delete(np.arange(len(kept)), np.s_[query:] if causal else query)
        smallest = others[np.argsort(kept[query, others], kind="stable")]
        kept[query, smallest[: int(discard * len(others))]] = 0
    return kept
