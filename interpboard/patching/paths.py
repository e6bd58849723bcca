"""Which paths carry the difference between two prompts: one sender's change, seen by chosen receivers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.patching.activation import DIRECTIONS
from interpboard.patching.carried_paths import (
    carried_edits,
    carries,
    sent_in_streams,
)
from interpboard.patching.pair import make_pair
from interpboard.patching.receivers import MODEL_OUTPUT, Receiver, receiver_edits, resolve_receivers
from interpboard.patching.senders import SenderChanges, only_written, record_senders, sent
from interpboard.patching.whole_runs import record_whole
from interpboard.registry.component_names import MLP
from interpboard.results import Axis, LabelledArray, PromptInfo
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.metrics import Metric
from interpboard.runs.record import Run
from interpboard.runs.replay import evaluate
from interpboard.runs.steps import spares_few
from interpboard.runs.watch import SILENT, Watch


@analysis("path_patching")
def path_patching(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    corrupted: str,
    receiver: str | Sequence[str] = "output",
    direction: str = "noising",
    watch: Watch = SILENT,
) -> Computed:
    """Effect [layer, component] of one sender's change along its direct paths to the receivers.

    Goldowsky-Dill et al. 2023, "Localizing Model Behavior with Path Patching". Senders are the heads and
    the MLP of every layer, and the embedding (in the first row). What a sender writes to the residual
    stream is exchanged for what it writes on the other prompt, but only ``receiver`` sees that: all
    heads and MLPs between are held at what they were. Behind the receivers the model runs on. Several
    receivers (with commas; see ``receivers`` for their names) see it together, each also what those
    before it then do differently. So all receivers together are the sender itself patched.

    effect = metric(path patched) − metric(the run patched into). ``direction``: ``noising`` puts changes of
    the corrupted prompt into the clean run (is the path necessary?), ``denoising`` the other way round (is it
    sufficient?). NaN: no such path. ``extra``: ``share`` (of the whole difference between the two runs),
    ``metric`` (same axes), ``clean`` and ``corrupted``.

    Raises ``BadPrompt`` for prompts of unequal length, ``BadParameter`` for receivers that are not
    there, ``Unsupported`` where the model cannot be taken apart in this way.
    """
    if direction not in DIRECTIONS:
        raise BadParameter(
            f"There is no direction {direction!r}.", f"Use {' or '.join(DIRECTIONS)}."
        )
    receivers = resolve_receivers(lm, receiver)
    pair = make_pair(lm, prompt, corrupted, metric)
    noising = direction == "noising"
    into, other = (pair.clean, pair.corrupted) if noising else (pair.corrupted, pair.clean)
    at_base = pair.on_clean if noising else pair.on_corrupted
    axes = _axes(lm)
    changing = _changing(lm, prompt, receivers, metric, pair.first_difference)
    if carries(lm):
        base, source = record_whole(lm, into), record_whole(lm, other)
    else:
        source = only_written(record_senders(lm, other, *changing))
        base = record_senders(lm, into, *changing)
    values = _evaluated(base, source, receivers, metric, axes, changing, at_base, watch)
    effects = values - at_base
    warnings = pair.nothing_to_recover(metric)
    span = pair.span(metric) * (-1 if noising else 1)
    return Computed(
        values=effects,
        axes=axes,
        extra={
            "share": LabelledArray(axes, effects / span),
            "metric": LabelledArray(axes, values),
            "clean": LabelledArray((), np.array(pair.on_clean)),
            "corrupted": LabelledArray((), np.array(pair.on_corrupted)),
        },
        warnings=warnings,
        params={"receiver": [one.name for one in receivers]},
        baseline=pair.on_clean,
    )


def _axes(lm: LanguageModel) -> tuple[Axis, ...]:
    heads = tuple(f"H{head}" for head in range(lm.anatomy.n_heads))
    return Axis("layer", lm.anatomy.layer_names), Axis("component", (*heads, MLP, "embed"))


def _changing(
    lm: LanguageModel,
    prompt: PromptInfo,
    receivers: tuple[Receiver, ...],
    metric: Metric,
    first_difference: int,
) -> tuple[int, int]:
    """The positions [first, stop) at which what senders write, and receivers read, may be another."""
    if lm.verified.whole_prompt:  # of an encoder all positions change each other
        return 0, len(prompt.token_ids)
    last = metric.info.position
    if all(receiver.site == MODEL_OUTPUT for receiver in receivers):
        return last, last + 1  # a sender writes position by position
    first = min(first_difference, last)
    return 0 if spares_few(lm, first, last) else first, last + 1


def _evaluated(
    base: Run,
    source: Run,
    receivers: tuple[Receiver, ...],
    metric: Metric,
    axes: tuple[Axis, ...],
    changing: tuple[int, int],
    at_base: float,
    watch: Watch,
) -> np.ndarray:
    """The metric [layer, component] with each sender's change seen by the receivers; else NaN."""
    values = np.full(tuple(len(axis.labels) for axis in axes), np.nan)
    last, (first, stop) = metric.info.position, changing
    before = receivers[-1].reads
    total = 1 + (base.lm.anatomy.n_heads + 1) * ((before + 1) // 2)
    carried = carries(base.lm)
    known = 0
    watch.step(0, total)
    portions = (
        sent_in_streams(base, source, receivers, watch)
        if carried
        else sent(base, source, before, first, stop, watch)
    )
    with watch.independent():
        for portion in portions:
            if carried:
                rows = carried_edits(base, receivers, portion, last, watch)
            else:
                rows = receiver_edits(
                    base, receivers, portion.changes, portion.written, first, stop, last, watch
                )
            seen = [row for row, edits in enumerate(rows) if edits]
            known += len(rows) - len(seen)

            def take(
                indices: list[int],
                new: np.ndarray,
                portion: SenderChanges = portion,
                seen: list[int] = seen,
            ) -> None:
                nonlocal known
                new = metric.unless_rounding(new, at_base)
                for index, value in zip(indices, new, strict=True):
                    values[portion.cells[seen[index]]] = value
                known += len(indices)
                watch.step(known, total, LabelledArray(axes, values - at_base))

            evaluate(
                base,
                [rows[row] for row in seen],
                metric,
                watch=watch.silent,
                on_values=take,
            )
    return values
