"""Which token of one text goes with which of another: a similarity of two texts, shared out to their pairs.

The cosine is a product of two vectors, so what each text's tokens add to their own vector multiplies out to
pairs without a rest. What a token adds is its Shapley value, a vector of as many components.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch

from interpboard.attribution.baselines import baseline_embeddings
from interpboard.config.settings import batch_limit
from interpboard.errors import BadParameter, Unsupported
from interpboard.models.calls import embeddings_of
from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import require_room_for_tokens, surely_free
from interpboard.models.sites import at_site
from interpboard.models.unembedding import forward_logits
from interpboard.registry.metric_names import COSINE
from interpboard.results import Axis, LabelledArray, PromptInfo, token_axis
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.finite import require_finite
from interpboard.runs.labels import label_head
from interpboard.runs.metrics import Metric, at_least_float32
from interpboard.runs.prompt import input_ids, make_prompt
from interpboard.runs.steps import bytes_of_a_layer
from interpboard.runs.watch import SILENT, Watch

_TOKENS_A_BATCH = 4096
_BYTES_IN_A_SET = 32
"""Of a set of tokens, for each token of the prompt: half are in it, and Python's sets are half full."""


def _refuse_without_room(lm: LanguageModel, prompt: PromptInfo, params: Mapping[str, Any]) -> None:
    """Raise ``Unaffordable`` where the vectors of all sets of tokens, and the sets, have no room."""
    samples, width, length = (
        int(params.get("samples", 16)),
        lm.anatomy.d_model,
        len(prompt.token_ids),
    )

    def needed(n: int) -> int:
        return samples * n * (8 * width + _BYTES_IN_A_SET * n)

    a_sample = needed(length) // max(1, samples)
    fewer = max(0, surely_free(lm.device) - bytes_of_a_layer(lm, length)) // a_sample
    require_room_for_tokens(
        lm.device, needed, length, f"What {samples} orders of {length:,} tokens give",
        f"choose {fewer} sample{'s' * (fewer > 1)}" if fewer else "",
        beside=partial(bytes_of_a_layer, lm),
    )  # fmt: skip


@analysis("similarity_pairs", path="forward", refuses=_refuse_without_room)
def similarity_pairs(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    baseline: str = "zero",
    baseline_text: str = "",
    samples: int = 16,
    seed: int = 0,
    watch: Watch = SILENT,
) -> Computed:
    """Share [token, other token] of the cosine between the prompt and the target, a second text.

    With u the vector of a text brought to length 1, and φ_i what token i adds to it as it joins the others (a
    Shapley value with a component a dimension, over ``samples`` orders drawn by ``seed``), the share of a
    pair is φ_i · φ'_j. Σ_i φ_i is u(text) − u(baseline) in every sample, so the shares sum to

    (u(a) − u(a₀)) · (u(b) − u(b₀)) = cosine − ``extra["reference"]``,

    where the reference is u(a) · u(b₀) + u(a₀) · u(b) − u(a₀) · u(b₀), what the baselines a₀ and b₀ have
    in common with the texts. ``extra["token"]`` [token] and ``extra["other"]`` [other token] are the sums of
    rows and of columns. ``baseline``, ``baseline_text``: see ``baseline_embeddings``.

    Raises ``Unsupported`` for a metric that is not of two texts, ``BadParameter``, ``NotFinite``. After
    Moeller, Nikolaev and Padó 2023, "An Attribution Method for Siamese Encoders", with Shapley values in the
    place of integrated Jacobians.
    """
    lm.verified.require_site("embed")
    if label_head(lm) is None or metric.info.name != COSINE:
        raise Unsupported(
            "Pairs of tokens share out the similarity of two texts, and there is no second one.",
            "Open a sentence encoder, and name a text as the target.",
        )
    if samples < 1:
        raise BadParameter("Shapley values need at least one sample.", "Raise samples.")
    assert metric.info.target is not None
    second = make_prompt(lm, metric.info.target.token)
    shares, bare = [], []
    for number, text in enumerate((prompt, second)):
        instead = baseline_embeddings(lm, text, baseline, baseline_text)
        vectors = watch.once(f"vectors of text {number}", list[np.ndarray])
        added, without = _added(lm, text, metric, instead, samples, seed, vectors, watch)
        shares.append(added)
        bare.append(without)
        watch.step(number + 1, 2)
    values = shares[0] @ shares[1].T
    whole = [own.sum(0) + none for own, none in zip(shares, bare, strict=True)]
    reference = whole[0] @ bare[1] + bare[0] @ whole[1] - bare[0] @ bare[1]
    axes = (token_axis(prompt.tokens), Axis("other", second.tokens))
    return Computed(
        values=values,
        axes=axes,
        extra={
            "token": LabelledArray(axes[:1], values.sum(1)),
            "other": LabelledArray(axes[1:], values.sum(0)),
            "reference": LabelledArray((), np.array(float(reference))),
        },
    )


def _added(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    instead: torch.Tensor,
    samples: int,
    seed: int,
    vectors: list[np.ndarray],
    watch: Watch,
) -> tuple[np.ndarray, np.ndarray]:
    """What each token adds to the text's unit vector [token, component]; and that of the baseline.

    ``vectors``: those of the first sets of tokens, as far as there are any; the others are put there.
    """
    generator = np.random.default_rng(seed)
    length = len(prompt.token_ids)
    orders = [generator.permutation(length) for _ in range(samples)]
    sets = list(
        dict.fromkeys(
            frozenset(map(int, order[:count])) for order in orders for count in range(length + 1)
        )
    )
    _fill(vectors, lm, prompt, metric, instead, sets, watch)
    worth = dict(zip(sets, vectors, strict=True))
    added = np.zeros((length, len(worth[frozenset()])))
    for order in orders:
        reached = np.stack([worth[frozenset(map(int, order[:n]))] for n in range(length + 1)])
        added[order] += np.diff(reached, axis=0) / samples
    return added, worth[frozenset()]


@torch.no_grad()
def _fill(
    found: list[np.ndarray],
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    instead: torch.Tensor,
    sets: list[frozenset[int]],
    watch: Watch,
) -> None:
    """Add to ``found`` the unit vectors of ``prompt`` with only the tokens of each of ``sets`` there."""
    head = label_head(lm)
    assert head is not None
    ids = input_ids(lm, prompt)
    own = embeddings_of(lm.anatomy, ids)[0]
    position, length = head.position(prompt.token_ids), len(prompt.token_ids)
    a_token = bytes_of_a_layer(lm, length) / length
    most = min(_TOKENS_A_BATCH, int(surely_free(lm.device) / 2 / a_token))
    size = 1 if lm.verified.alone else max(1, (batch_limit() or most) // length)
    for start in range(len(found), len(sets), size):
        watch.pause()
        some = sets[start : start + size]
        there = torch.tensor([[at in present for at in range(length)] for present in some])
        rows = torch.where(there[..., None].to(own.device), own, instead.to(own))
        with at_site(lm.anatomy, "embed", None, partial(_put, rows)):
            logits = forward_logits(lm.anatomy, ids.expand(len(some), -1), position)
        unit = torch.nn.functional.normalize(at_least_float32(logits), dim=-1).double()
        require_finite(lm, "A run of the text with tokens taken away", unit)
        found.extend(unit.cpu().numpy())


def _put(rows: torch.Tensor, _own: torch.Tensor) -> torch.Tensor:
    return rows
