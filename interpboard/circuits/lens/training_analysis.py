"""Training a tuned lens, as an analysis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from interpboard.circuits.lens.logit import lens_axis
from interpboard.circuits.lens.training import (
    TrainingSettings,
    require_room_for_training,
    tune_lens,
)
from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.results import Axis, LabelledArray, PromptInfo
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.metrics import Metric
from interpboard.runs.watch import SILENT, Watch


def _refuse_without_room(lm: LanguageModel, _prompt: PromptInfo, params: Mapping[str, Any]) -> None:
    require_room_for_training(lm, params["batch"] * params["length"])


@analysis("tune_lens", path="autograd", refuses=_refuse_without_room)
def lens_training(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    corpus: str = "",
    out: str = "",
    steps: int = 250,
    batch: int = 8,
    length: int = 64,
    rate: float = 1e-3,
    watch: Watch = SILENT,
) -> Computed:
    """KL(final ‖ layer) [layer] in nats a token on the last step's batch of text, lower is better.

    The prompt and its metric are not looked at. The translators are trained on the text of ``corpus``:
    ``steps`` steps of ``batch`` windows of ``length`` tokens, at the learning rate ``rate``. They are written
    into the folder ``out``, where ``tuned_lens`` finds them and a stopped training goes on; options and
    errors as in ``tune_lens``. Belrose et al. 2023. NaN where nothing was left to do.
    """
    if not corpus or not out:
        raise BadParameter(
            "tune_lens needs a corpus and a folder to keep the lens in.",
            "E.g. --param corpus=texts --param out=lens.",
        )
    labels = lens_axis(lm, "resid_post").labels[:-1]  # the last row is the output
    nothing = LabelledArray((Axis("layer", labels),), np.full(len(labels), np.nan))
    # Of this job, put off and gone on with or not.
    heard = watch.once("steps", lambda: [nothing])

    def hear(done: int, total: int, partial: LabelledArray | None) -> None:
        if partial is not None:
            heard[0] = partial
        watch.on_progress(done, total, partial)

    settings = TrainingSettings(steps, batch, length, rate)
    trained = tune_lens(lm, corpus, out, settings, replace(watch, on_progress=hear))
    return Computed(
        values=heard[0].values,
        axes=heard[0].axes,
        warnings=trained.warnings,
        baseline=None,
    )
