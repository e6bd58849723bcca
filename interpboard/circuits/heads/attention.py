"""What every head looks at: attention patterns, and what sums them up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from interpboard.circuits.heads.strip_attention import strip_extras, without_queries
from interpboard.circuits.selection import chosen
from interpboard.display import spoken_bytes
from interpboard.errors import Unaffordable
from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import require_room_for_tokens
from interpboard.models.proof.verified import in_words
from interpboard.results import Axis, LabelledArray, PromptInfo
from interpboard.results.attention_pairs import looks_ahead, top_pairs
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.metrics import Metric, at_least_float32
from interpboard.runs.patterns import each_pattern, layers_with_pattern
from interpboard.runs.prompt import input_ids
from interpboard.runs.watch import SILENT, Watch

_MOST_VALUES = 1 << 22  # of a result: 17 MB
_STREAMS = 8  # that a layer has beside its attention


def _refuse_too_large(lm: LanguageModel, prompt: PromptInfo, params: Mapping[str, Any]) -> None:
    layers = chosen(params.get("layers"), lm.anatomy.n_layers, "layer")
    heads = chosen(params.get("heads"), lm.anatomy.n_heads, "head")
    n_layers, n_heads, n_pos = len(layers), len(heads), len(prompt.token_ids)
    values = n_layers * n_heads * n_pos * n_pos
    if values > _MOST_VALUES:
        size, most = spoken_bytes(4 * values), spoken_bytes(4 * _MOST_VALUES)
        raise Unaffordable(
            f"Attention of {n_layers} layers × {n_heads} heads × {n_pos:,}² is {size}, and {most} are the "
            f"most in one result.",
            _what_would_fit(n_heads, n_pos),
        )
    weight: torch.Tensor = lm.anatomy.embedding.weight  # type: ignore[assignment]
    # Scores, what softmax makes of them, and once more as they are reported; beside the result.
    a_pair = (3 * lm.anatomy.n_heads + n_layers * n_heads) * weight.element_size()
    a_token = _STREAMS * lm.anatomy.d_model * weight.element_size()
    require_room_for_tokens(
        lm.device, lambda n: a_pair * n**2 + a_token * n, n_pos,
        f"Attention of one layer's {lm.anatomy.n_heads} heads × {n_pos:,}²",
    )  # fmt: skip


@analysis("attention", path="forward", refuses=_refuse_too_large)
def attention(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
    top_k: int = 5,
    watch: Watch = SILENT,
) -> Computed:
    """Probability [layer, head, query, key] with which the head's query attends to the key.

    ``layers`` and ``heads``: those reported, None: all. Key and query are positions of the prompt; in a
    decoder keys behind the query have 0. Where a model has sinks (gpt_oss) a row sums to less than 1.

    ``extra``, each of [layer, head] a mean over all queries, but of decoders the first, which has only itself
    to attend to (NaN if there is no other): ``entropy`` of the row in nats; ``distance`` from query to key
    in tokens, weighted by the row; ``first``, the probability of the first token; ``sink``, what goes to
    no token. Entropy and distance are of the row brought to sum 1. ``top_pairs`` [layer, head, pair, end]
    are the ``top_k`` (query, key) of highest probability, among the same queries (−1: there are
    fewer), ``top_probs`` [layer, head, pair] their probabilities.

    Families in which a pattern cannot be edited may report one; a warning says so. Layers without attention
    (linear attention, state spaces) are NaN, and named in a warning. Raises ``Unsupported`` where no
    pattern of ``layers`` can be read, ``BadParameter`` for layers or heads that are not there,
    ``Unaffordable`` for more than 4 million values.
    """
    chosen_layers = chosen(layers, lm.anatomy.n_layers, "layer")
    chosen_heads = chosen(heads, lm.anatomy.n_heads, "head")
    _refuse_too_large(lm, prompt, {"layers": layers, "heads": heads})
    there = layers_with_pattern(lm)
    read = [layer for layer in chosen_layers if layer in there] or chosen_layers
    patterns, proved = _patterns(lm, prompt, chosen_layers, read, chosen_heads, watch)
    warnings: list[str] = []
    if not proved:
        warnings.append("Patterns as the model reports them, not proved by editing.")
    if len(read) < len(chosen_layers):
        without = sorted(set(chosen_layers) - set(read))
        warnings.append(f"No attention pattern in {in_words(without)}: NaN.")
    axes = (
        Axis("layer", tuple(lm.anatomy.layer_names[i] for i in chosen_layers)),
        Axis("head", tuple(str(i) for i in chosen_heads)),
        Axis("query", prompt.tokens),
        Axis("key", prompt.tokens),
    )
    if lm.anatomy.strips is None:
        extra = _extra(patterns, axes, top_k)
    else:
        extra = strip_extras(lm, prompt, chosen_layers, patterns, axes, top_k)
        patterns = without_queries(lm, prompt, chosen_layers, patterns)
    return Computed(
        values=patterns,
        axes=axes,
        extra=extra,
        warnings=tuple(warnings),
    )


@dataclass(frozen=True)
class Summary:
    """Means [layer, head] over the queries of patterns; see ``attention``."""

    entropy: np.ndarray
    distance: np.ndarray
    first: np.ndarray
    sink: np.ndarray


def summarise(patterns: np.ndarray) -> Summary:
    """What ``patterns`` [layer, head, query, key] come to."""
    first = 0 if looks_ahead(patterns) else 1
    n_pos = patterns.shape[-1]
    found = np.full((4, *patterns.shape[:2]), np.nan)
    if n_pos > 1:
        back = np.abs(np.arange(first, n_pos)[:, None] - np.arange(n_pos))
        for layer, head in np.ndindex(patterns.shape[:2]):  # all at once would be there eight times
            found[:, layer, head] = _of_head(patterns[layer, head, first:].astype(np.float64), back)
    return Summary(*found)


def _of_head(rows: np.ndarray, back: np.ndarray) -> tuple[float, float, float, float]:
    """Entropy, distance, first and sink of ``rows`` [query, key], which look so far ``back``."""
    total = rows.sum(-1, keepdims=True)
    on_first, sink = rows[:, 0].mean(), np.maximum(1 - total[:, 0], 0).mean()
    if not np.isfinite(total).all():
        return np.nan, np.nan, on_first, sink
    shares = np.divide(rows, total, out=np.zeros_like(rows), where=total != 0)
    distance = (shares * back).sum(-1).mean()
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return -(shares * logs).sum(-1).mean(), distance, on_first, sink


def _extra(patterns: np.ndarray, axes: tuple[Axis, ...], top_k: int) -> dict[str, LabelledArray]:
    summary = summarise(patterns)
    pairs, probabilities = top_pairs(patterns, top_k)
    by_pair = (*axes[:2], Axis("pair", tuple(str(i + 1) for i in range(pairs.shape[2]))))
    return {
        "entropy": LabelledArray(axes[:2], summary.entropy),
        "distance": LabelledArray(axes[:2], summary.distance),
        "first": LabelledArray(axes[:2], summary.first),
        "sink": LabelledArray(axes[:2], summary.sink),
        "top_pairs": LabelledArray((*by_pair, Axis("end", ("query", "key"))), pairs),
        "top_probs": LabelledArray(by_pair, probabilities),
    }


def _patterns(
    lm: LanguageModel,
    prompt: PromptInfo,
    layers: Sequence[int],
    read: Sequence[int],
    heads: Sequence[int],
    watch: Watch,
) -> tuple[np.ndarray, bool]:
    """[layer, head, query, key], NaN but in the layers ``read``, and whether they were proved."""
    n_pos = len(prompt.token_ids)
    weight: torch.Tensor = lm.anatomy.embedding.weight  # type: ignore[assignment]
    dtype = np.float64 if weight.dtype == torch.float64 else np.float32
    patterns = np.full((len(layers), len(heads), n_pos, n_pos), np.nan, dtype=dtype)

    def keep(layer: int, pattern: torch.Tensor) -> None:
        row = layers.index(layer)
        watch.step(row, len(layers))
        chosen = at_least_float32(pattern[0][:, list(heads)])
        patterns[row] = chosen.transpose(0, 1).cpu().numpy()

    proved = each_pattern(lm, input_ids(lm, prompt), sorted(read), keep)
    watch.step(len(layers), len(layers))
    return patterns, proved


def _what_would_fit(n_heads: int, n_pos: int) -> str:
    if n_heads * n_pos * n_pos <= _MOST_VALUES:
        return "Choose layers, e.g. --param layers=0."
    if n_pos * n_pos <= _MOST_VALUES:
        return "Look at one head, e.g. --param layers=0 --param heads=0."
    return f"Shorten the prompt to {int(_MOST_VALUES**0.5):,} tokens and look at one head."
