"""Which tokens mattered: what the metric loses when a token, or a window of them, is taken away."""

from __future__ import annotations

import numpy as np

from interpboard.attribution.baselines import baseline_embeddings, taken_away
from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.results import Axis, LabelledArray, PromptInfo, token_axis
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.cells import evaluate_cells
from interpboard.runs.metrics import Metric, reach
from interpboard.runs.record import record
from interpboard.runs.watch import SILENT, Watch


@analysis("occlusion")
def occlusion(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    window: int = 1,
    baseline: str = "zero",
    baseline_text: str = "",
    watch: Watch = SILENT,
) -> Computed:
    """Signed attribution [token] = metric(clean) − metric(token taken away).

    Zeiler and Fergus 2014, "Visualizing and Understanding Convolutional Networks"; Li, Monroe and
    Jurafsky 2016, "Understanding Neural Networks through Representation Erasure".
    Its embedding is replaced (``baseline``, ``baseline_text``: see
    ``baseline_embeddings``), its place stays. ``window``: that many tokens in a row are taken away
    together; ``extra["window"]`` [window] is the loss of each, and a token's score the mean over the
    windows that it lies in. Exact, through the counterfactual evaluator.

    Raises ``BadParameter``, ``Unsupported``, ``OutOfMemory``.
    """
    lm.verified.require_site("embed")
    length = len(prompt.token_ids)
    if not 1 <= window <= length:
        raise BadParameter(f"A window is 1 to {length} tokens of this prompt, not {window}.")
    instead = baseline_embeddings(lm, prompt, baseline, baseline_text)
    windows = [tuple(range(at, at + window)) for at in range(length - window + 1)]
    cells = [taken_away(places, instead) for places in windows[: reach(lm, prompt, metric)]]
    labels = tuple("".join(prompt.tokens[place] for place in places) for places in windows)
    axis = Axis("window", labels) if window > 1 else token_axis(prompt.tokens)
    clean = metric.baseline
    later = np.zeros(len(windows) - len(cells))

    def lost(edited: np.ndarray) -> np.ndarray:
        return np.concatenate([clean - edited, later])

    run, shape = record(lm, prompt, behind_attention=False), (len(cells),)
    edited = evaluate_cells(
        run, cells, metric, (axis,), lost, unchanged=clean, shape=shape, watch=watch
    )
    losses = lost(edited)
    covered = [[i for i, places in enumerate(windows) if at in places] for at in range(length)]
    scores = np.array([losses[those].mean() for those in covered])
    return Computed(
        values=scores,
        axes=(token_axis(prompt.tokens),),
        extra={"window": LabelledArray((axis,), losses)} if window > 1 else {},
    )
