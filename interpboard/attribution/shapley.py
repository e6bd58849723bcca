"""Which tokens mattered, however they work together: Shapley values by sampling orders."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from interpboard.attribution.baselines import baseline_embeddings
from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.results import LabelledArray, PromptInfo, token_axis
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.edits import Counterfactual, Edit
from interpboard.runs.metrics import Metric, reach
from interpboard.runs.record import Run, record
from interpboard.runs.replay import evaluate
from interpboard.runs.watch import SILENT, Watch

Present = frozenset[int]


@analysis("shapley")
def shapley(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    samples: int = 16,
    baseline: str = "zero",
    baseline_text: str = "",
    seed: int = 0,
    watch: Watch = SILENT,
) -> Computed:
    """Signed attribution [token]: the mean of what the token adds to the metric as it joins the others.

    Shapley values by sampling permutations (Castro, Gómez and Tejada 2009, "Polynomial calculation of
    the Shapley value based on sampling"): ``samples`` orders drawn by ``seed``, in each of which the tokens
    take the place of the baseline one after the other. The scores sum to metric(prompt) − metric(baseline),
    ``extra["baseline_metric"]``, whatever the number of samples; ``extra["standard_error"]`` [token] says how
    far sampling may have moved each. Tokens behind the metric's position have 0 in a causal model.
    ``baseline``, ``baseline_text``: see ``baseline_embeddings``.

    Raises ``BadParameter``, ``Unsupported``, ``OutOfMemory``.
    """
    lm.verified.require_site("embed")
    if samples < 1:
        raise BadParameter("Shapley values need at least one sample.", "Raise samples.")
    instead = baseline_embeddings(lm, prompt, baseline, baseline_text)
    players = reach(lm, prompt, metric)
    reached, bare = sampled(
        record(lm, prompt, behind_attention=False),
        metric,
        [(at,) for at in range(players)],
        instead,
        samples,
        seed,
        watch,
    )
    added = np.zeros((samples, len(prompt.token_ids)))
    added[:, :players] = reached
    axis = token_axis(prompt.tokens)
    return Computed(
        values=added.mean(0),
        axes=(axis,),
        extra={
            "standard_error": LabelledArray((axis,), standard_error(added)),
            "baseline_metric": LabelledArray((), np.array(bare)),
        },
    )


def sampled(
    run: Run,
    metric: Metric,
    players: Sequence[tuple[int, ...]],
    instead: torch.Tensor,
    samples: int,
    seed: int,
    watch: Watch,
) -> tuple[np.ndarray, float]:
    """What each of ``players`` adds [order, player] in ``samples`` orders; and the metric with none there.

    A player is the positions that it stands for; ``instead`` [pos, d_model] stands there while it is absent.
    """
    generator = np.random.default_rng(seed)
    orders = [generator.permutation(len(players)) for _ in range(samples)]
    # Orders share their beginnings and ends: each set of players is computed once.
    sets = list(dict.fromkeys(present for order in orders for present in _growing(order)))
    asked = [present for present in sets if len(present) < len(players)]

    def without(present: Present) -> Counterfactual:
        absent = tuple(
            at
            for player, positions in enumerate(players)
            if player not in present
            for at in positions
        )
        return (Edit("embed", 0, "patch", positions=absent, value=instead[list(absent)]),)

    values = evaluate(run, [without(present) for present in asked], metric, watch=watch)
    worth = dict(zip(asked, values, strict=True))
    worth[frozenset(range(len(players)))] = metric.baseline
    added = np.zeros((samples, len(players)))
    for row, order in zip(added, orders, strict=True):
        row[order] = np.diff([worth[present] for present in _growing(order)])
    return added, worth[frozenset()]


def standard_error(added: np.ndarray) -> np.ndarray:
    """Of the mean over the orders of ``added`` [order, player]; NaN for one order."""
    orders = len(added)
    spread = added.std(0, ddof=1) if orders > 1 else np.full(added.shape[1], np.nan)
    return np.asarray(spread / np.sqrt(orders))


def _growing(order: np.ndarray) -> list[Present]:
    """The sets that are present as they join in ``order``, from none to all."""
    return [frozenset(map(int, order[:count])) for count in range(len(order) + 1)]
