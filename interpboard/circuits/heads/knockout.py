"""Attention knock-out: what would the answer be if it could not see this sentence?

A unit of the prompt is hidden from chosen queries in every head of chosen layers: its keys' scores are −∞, so
that the queries share their attention among what they still see (Geva, Bastings, Filippova and Globerson
2023, "Dissecting Recall of Factual Associations in Auto-Regressive Language Models"). Nothing is replaced and
no other token moves. What other positions have read of the unit can still reach the answer through them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from msgspec.structs import replace as with_fields

from interpboard.circuits.heads.hidden_units import hidden, hidden_at, seen_from, sees
from interpboard.circuits.selection import chosen
from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.results import Axis, LabelledArray, PromptInfo
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.cells import evaluate_cells
from interpboard.runs.chat import ASSISTANT
from interpboard.runs.edits import Counterfactual
from interpboard.runs.metrics import Metric, reach
from interpboard.runs.patterns import layers_with_pattern
from interpboard.runs.record import record
from interpboard.runs.replay import evaluate
from interpboard.runs.units import units_axis, units_of, unused_spans
from interpboard.runs.watch import SILENT, Watch

__all__ = ["answer_positions", "attention_knockout", "hidden", "knockout_grid"]

BLINDED = ("answer", "later")
_CELLS = 4096


@analysis("attention_knockout")
def attention_knockout(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    unit: str = "sentence",
    spans: str | Sequence[str] = "",
    queries: str = "answer",
    layers: Sequence[int] | None = None,
    watch: Watch = SILENT,
) -> Computed:
    """Effect [unit]: metric(the unit hidden from the queries) − metric(clean).

    ``unit``, ``spans``: see ``units_of``; those up to the metric's position. ``queries``: ``answer``, the
    positions of the answer's turn up to the metric's (of a text, and where the position is in another turn,
    the metric's alone); ``later``, every position behind the unit, so that in all layers nothing of it
    reaches the answer (a unit with nothing behind it is left out). In an encoder all other positions see a
    unit, and ``later`` is all of them. A position always sees itself.
    ``layers``: where it is hidden, None: everywhere.

    Of an encoder–decoder units are of the source or of the prefix. One of the source is hidden in cross
    attention (X) from the queries that stand in the prefix, and with ``later`` in the encoder (E) from the
    rest of the source too; where the whole source is hidden cross attention fetches nothing.

    ``extra["kl"]`` [unit]: KL(clean ‖ hidden) of the next token at the metric's position, in nats;
    ``extra["begin"]`` and ``extra["end"]`` [unit] are the tokens of each.

    Raises ``BadParameter`` for units and layers that are not there, ``Unsupported`` where attention patterns
    cannot be edited (convbert, yoso) or a layer has none, ``OutOfMemory``.
    """
    if queries not in BLINDED:
        raise BadParameter(f"There are no queries {queries!r}.", f"Use {', '.join(BLINDED)}.")
    within = _layers(lm, layers)
    end = reach(lm, prompt, metric)
    units = units_of(prompt, unit, end, spans)
    if queries == "later":
        units = [each for each in units if seen_from(lm, prompt, each, end)]
        if not units:
            raise BadParameter(f"Nothing stands behind the only {unit}.", "Choose a smaller unit.")
    blind = answer_positions(prompt, metric.info.position)
    cells = [
        hidden_at(
            lm,
            prompt,
            within,
            blind if queries == "answer" else seen_from(lm, prompt, each, end),
            each.positions,
        )
        for each in units
    ]
    axis, bounds = units_axis(prompt, units)
    axes = (axis,)
    values, kl = _effects(lm, prompt, metric, cells, axes, watch)
    extra = {"kl": LabelledArray(axes, kl), **bounds}
    return Computed(values, axes, extra, unused=unused_spans(unit))


@analysis("knockout_grid")
def knockout_grid(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    unit: str = "sentence",
    spans: str | Sequence[str] = "",
    layers: Sequence[int] | None = None,
    watch: Watch = SILENT,
) -> Computed:
    """Effect [query_unit, unit]: metric(the unit hidden from every position of the other) − metric(clean).

    Where what is said in one unit is read by another on its way to the answer. NaN where the other does not
    see the unit anyway: it stands behind, or in the prefix of an encoder–decoder and the other in the
    source. ``extra["kl"]``, ``unit``, ``spans`` and ``layers`` as in
    ``attention_knockout``. Raises ``BadParameter`` for more than 4,096 pairs, and as there.
    """
    within = _layers(lm, layers)
    units = units_of(prompt, unit, reach(lm, prompt, metric), spans)
    if len(units) ** 2 > _CELLS:
        raise BadParameter(
            f"The prompt has {len(units)} units, {len(units) ** 2:,} pairs; {_CELLS:,} are the most.",
            "Choose a larger unit, e.g. sentence or turn.",
        )
    cells = [
        hidden_at(lm, prompt, within, by.positions, each.positions)
        if sees(lm, prompt, by, each)
        else None
        for by in units
        for each in units
    ]  # fmt: skip
    axis, bounds = units_axis(prompt, units)
    axes = (Axis("query_unit", axis.labels), axis)
    values, kl = _effects(lm, prompt, metric, cells, axes, watch)
    extra = {"kl": LabelledArray(axes, kl), **bounds}
    return Computed(values, axes, extra, unused=unused_spans(unit))


def answer_positions(prompt: PromptInfo, position: int) -> tuple[int, ...]:
    """From where the answer's turn begins to ``position``; that alone where it is in no answer."""
    for turn in prompt.turns:
        if turn.role == ASSISTANT and turn.begin <= position < turn.end:
            return tuple(range(turn.begin, position + 1))
    return (position,)


def _layers(lm: LanguageModel, layers: Sequence[int] | None) -> tuple[int, ...]:
    """Those in which it is hidden: all that attend, unless chosen."""
    if layers is not None:
        within = chosen(layers, lm.anatomy.n_layers, "layer")
    else:
        within = tuple(layers_with_pattern(lm)) or tuple(range(lm.anatomy.n_layers))
    for layer in within:
        lm.verified.require_site("pattern", layer)
    return within


def _effects(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    cells: Sequence[Counterfactual | None],
    axes: tuple[Axis, ...],
    watch: Watch,
) -> tuple[np.ndarray, np.ndarray]:
    """metric(cell) − metric(clean) and KL(clean ‖ cell), both in the shape of ``axes``."""
    run = record(lm, prompt, behind_attention=False)
    baseline, n_cells = metric.baseline, len(cells)
    is_kl = metric.info.name == "kl"
    kl = replace(metric, info=with_fields(metric.info, name="kl"))
    measured = [(at, cell) for at, cell in enumerate(cells) if cell is not None]
    with watch.independent():
        values = evaluate_cells(
            run, cells, metric, axes, lambda new: new - baseline, unchanged=baseline,
            watch=watch.stage(0, 2 * n_cells),
        )  # fmt: skip
        if is_kl:
            return values - baseline, values
        divergence = np.full(values.shape, np.nan)
        divergence.flat[[at for at, _ in measured]] = evaluate(
            run,
            [cell for _, cell in measured],
            kl,
            watch=watch.stage(n_cells, 2 * n_cells, shown=False),
        )
    return values - baseline, kl.unless_rounding(divergence, 0.0)
