"""Do the methods agree? Several attributions of one prompt, row by row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from interpboard.attribution.attention_flow import attention_flow
from interpboard.attribution.attention_rollout import attention_rollout
from interpboard.attribution.grad_x_input import grad_x_input
from interpboard.attribution.integrated_gradients import integrated_gradients
from interpboard.attribution.lrp import lrp
from interpboard.attribution.noise_tunnel import noise_tunnel
from interpboard.attribution.occlusion import occlusion
from interpboard.attribution.saliency import saliency
from interpboard.attribution.shapley import shapley
from interpboard.attribution.smoothgrad import smoothgrad
from interpboard.attribution.value_weighted_rollout import value_weighted_rollout
from interpboard.errors import BadParameter, Unaffordable, Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.registry import find_analysis
from interpboard.results import Axis, LabelledArray, PromptInfo, Result, token_axis
from interpboard.runs.agreement import rank_agreement
from interpboard.runs.analysis import Computed, analysis, refuse_without_room
from interpboard.runs.metrics import Metric
from interpboard.runs.watch import SILENT, Watch

COMPARED_METHODS: dict[str, Callable[..., Result]] = {
    "integrated_gradients": integrated_gradients,
    "grad_x_input": grad_x_input,
    "lrp": lrp,
    "occlusion": occlusion,
    "shapley": shapley,
    "saliency": saliency,
    "smoothgrad": smoothgrad,
    "attention_rollout": attention_rollout,
    "value_weighted_rollout": value_weighted_rollout,
    "attention_flow": attention_flow,
    "noise_tunnel": noise_tunnel,  # last: it takes longer than all others together
}


def _refuse_what_has_no_room(
    lm: LanguageModel, prompt: PromptInfo, params: Mapping[str, Any]
) -> None:
    for name in params.get("methods") or COMPARED_METHODS:
        if name in COMPARED_METHODS:
            try:
                refuse_without_room(name, lm, prompt, find_analysis(name).parse({}))
            except Unaffordable as error:
                remedy = f"{error.remedy.removesuffix('.')}, or leave {name} out (methods)."
                raise Unaffordable(f"{name}: {error.message}", remedy) from error


@analysis("compare_attributions", refuses=_refuse_what_has_no_room)
def compare_attributions(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    methods: Sequence[str] | None = None,
    watch: Watch = SILENT,
) -> Computed:
    """Scores [method, token], each row divided by its largest magnitude, since units differ.

    Signs as in the method's own docstring; those without a sign are at least 0. Each runs with its
    defaults. ``methods`` None: all that this model and metric allow; the others are named in a warning.
    ``extra``: ``scores`` [method, token] undivided, and ``rank_agreement`` [method, method], Spearman's
    rank correlation over the tokens (NaN if a method's scores are all equal).

    Raises ``BadParameter`` for unknown methods, ``Unsupported`` for one that was named and cannot be.
    """
    wanted = tuple(COMPARED_METHODS if methods is None else dict.fromkeys(methods))
    unknown = [name for name in wanted if name not in COMPARED_METHODS]
    if unknown or not wanted:
        raise BadParameter(
            f"There is no method {', '.join(unknown) or 'to compare'}.",
            f"There are: {', '.join(COMPARED_METHODS)}.",
        )
    axis = token_axis(prompt.tokens)
    names: list[str] = []
    rows: list[np.ndarray] = []
    warnings: list[str] = []
    for number, name in enumerate(wanted):
        watch.step(number, len(wanted), _partial(names, axis, rows))
        try:
            found = _run(name, lm, prompt, metric, watch)
        except Unsupported as missing:
            if methods is not None:
                raise
            warnings.append(f"Left out {name}: {missing}")
            continue
        names.append(name)
        rows.append(found.values.astype(np.float64))
        unknown_scores = int((~np.isfinite(rows[-1])).sum())
        if unknown_scores:
            warnings.append(f"{name}: {unknown_scores} of {len(rows[-1])} scores are not numbers.")
        warnings += [f"{name}: {words}" for words in found.warnings]
    watch.step(len(wanted), len(wanted))
    scores, method = np.stack(rows), Axis("method", tuple(names))
    return Computed(
        values=_shares(scores),
        axes=(method, axis),
        extra={
            "scores": LabelledArray((method, axis), scores),
            "rank_agreement": LabelledArray((method, method), rank_agreement(scores.T)),
        },
        warnings=tuple(warnings),
        params={"methods": None if methods is None else list(wanted)},
    )


def _run(name: str, lm: LanguageModel, prompt: PromptInfo, metric: Metric, watch: Watch) -> Result:
    """The method's own result, computed once also where the comparison gives way midway."""
    return watch.once(
        f"result of {name}",
        lambda: COMPARED_METHODS[name](lm, prompt, metric, watch=watch.part(name)),
    )


def _shares(scores: np.ndarray) -> np.ndarray:
    """NaN for a method with any score that is NaN: its largest is not known."""
    largest = np.abs(scores).max(-1, keepdims=True)
    divided: np.ndarray = np.divide(scores, largest, out=np.zeros_like(scores), where=largest != 0)
    return divided


def _partial(names: list[str], axis: Axis, rows: list[np.ndarray]) -> LabelledArray | None:
    if not rows:
        return None
    return LabelledArray((Axis("method", tuple(names)), axis), _shares(np.stack(rows)))
