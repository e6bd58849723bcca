"""What each part writes into the answer, clean and with interventions made: where a change comes from."""

from __future__ import annotations

import numpy as np
import torch

from interpboard.circuits.direct.attribution import (
    direct_terms,
    direct_warnings,
    record_writing,
    unexplained_by,
)
from interpboard.circuits.direct.terms import accumulated, components
from interpboard.interventions.grammar import parse_interventions
from interpboard.interventions.resolve import edits_of, warnings_of
from interpboard.interventions.what_if import RUN_AXIS
from interpboard.models.language_model import LanguageModel
from interpboard.results import Axis, LabelledArray, PromptInfo
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.metrics import Metric
from interpboard.runs.record import CLEAN
from interpboard.runs.rounding import unless_rounding
from interpboard.runs.watch import SILENT, Watch


@analysis("edited_direct_attribution", path="hooks")
def edited_direct_attribution(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    interventions: str,
    source: str = "",
    watch: Watch = SILENT,
) -> Computed:
    """Contribution [component, run] to the logit (or logit difference) of the clean and the edited run.

    ``interventions`` and ``source`` as in ``what_if``, all made at once; components as in
    ``direct_logit_attribution``, each run read at the scale that its own final norm has. Both columns sum to
    the metric of their run. A component that was not edited changes by what it does on what the edits
    left it, and by the norm's scale; where its two values differ by no more than rounding they are the same.
    An edit of a stream, or of attention's output as a whole, is no
    head's: ``L3 edit`` is what it puts in beside the layer's parts, 0 in the clean run.

    ``extra``: ``effect`` [component], edited − clean, which sums to the effect on the metric;
    ``accumulated`` [layer, run], as in ``direct_logit_attribution``; ``unexplained`` [run]. Raises what
    ``what_if`` and ``direct_logit_attribution`` raise.
    """
    with torch.no_grad():
        stack = parse_interventions(interventions)
        edits = edits_of(lm, prompt, stack, source)
    apart = ((), edits) if lm.anatomy.alone else ()  # where rows change each other
    runs = [record_writing(lm, prompt, metric, edits=(each,)) for each in apart] or [
        record_writing(lm, prompt, metric, edits=(*CLEAN, edits))
    ]
    rows = [(run, row) for run in runs for row in range(run.batch)]
    layers = lm.anatomy.n_layers
    parts = [
        direct_terms(run, row, metric, False, watch.stage(done * layers, 2 * layers))
        for done, (run, row) in enumerate(rows)
    ]
    named = components(parts)
    values = np.array(list(named.values()))
    largest = 1 + float(np.nanmax(np.abs(values)))
    values[:, 1] = unless_rounding(values[:, 1], values[:, 0], metric.clean_logits.dtype, largest)
    unexplained = [
        unexplained_by(own, each.tolist(), run)
        for own, each, (run, _) in zip(parts, values.T, rows, strict=True)
    ]
    axis = Axis("component", tuple(named))
    return Computed(
        values=values,
        axes=(axis, RUN_AXIS),
        extra={
            "effect": LabelledArray((axis,), values[:, 1] - values[:, 0]),
            "accumulated": LabelledArray(
                (Axis("layer", ("embed", *(each.name for each in parts[0].layers))), RUN_AXIS),
                np.stack([accumulated(each) for each in parts], axis=-1),
            ),
            "unexplained": LabelledArray((RUN_AXIS,), np.array(unexplained)),
        },
        warnings=(*warnings_of(lm, stack), *direct_warnings(lm, metric, parts[0].path)),
    )
