"""Which tokens mattered, however they work together: Shapley values by sampling orders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from interpboard.attribution.baselines import baseline_embeddings, taken_away
from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.results import LabelledArray, PromptInfo, token_axis
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.edits import Counterfactual
from interpboard.runs.metrics import Metric, reach
from interpboard.runs.portions import evaluate_in_portions
from interpboard.runs.record import Run, record
from interpboard.runs.watch import SILENT, Watch

_POSITIONS = 1 << 20
"""How many positions are named at once: in orders of a long prompt there are hundreds of millions."""


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
    sets: dict[bytes, int] = {}
    numbers = np.array(
        [[sets.setdefault(present, len(sets)) for present in _growing(order)] for order in orders]
    )
    whole = numbers[0, -1]
    asked = [present for present, number in sets.items() if number != whole]

    def without(number: int) -> Counterfactual:
        there = np.unpackbits(np.frombuffer(asked[number], np.uint8), count=len(players))
        return taken_away(
            [at for player in np.flatnonzero(there == 0) for at in players[int(player)]], instead
        )

    size = max(1, _POSITIONS // len(run.prompt.token_ids))
    values = evaluate_in_portions(run, metric, len(asked), without, size, watch)
    worth = np.insert(values, whole, metric.baseline)
    added = np.zeros((samples, len(players)))
    for row, order, joined in zip(added, orders, numbers, strict=True):
        row[order] = np.diff(worth[joined])
    return added, float(worth[numbers[0, 0]])


def standard_error(added: np.ndarray) -> np.ndarray:
    """Of the mean over the orders of ``added`` [order, player]; NaN for one order."""
    orders = len(added)
    spread = added.std(0, ddof=1) if orders > 1 else np.full(added.shape[1], np.nan)
    return np.asarray(spread / np.sqrt(orders))


def _growing(order: np.ndarray) -> Iterator[bytes]:
    """The sets that are present as they join in ``order``, from none to all; each a bit a player."""
    there = np.zeros(len(order), bool)
    yield np.packbits(there).tobytes()
    for player in order:
        there[player] = True
        yield np.packbits(there).tobytes()
