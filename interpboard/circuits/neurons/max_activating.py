"""Where in a text neurons are most active, as an analysis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interpboard.circuits.neurons.collect import Collection, collect_examples
from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.results import Axis, LabelledArray, PromptInfo, text_array
from interpboard.results.examples import ExamplesFile, NeuronExamples, neuron_named
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.metrics import Metric
from interpboard.runs.watch import SILENT, Watch


@analysis("max_activating", path="forward")
def max_activating(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    corpus: str = "",
    out: str = "",
    neuron: str = "",
    top_k: int = 16,
    layers: Sequence[int] | None = None,
    length: int = 128,
    batch: int = 16,
    before: int = 15,
    after: int = 5,
    watch: Watch = SILENT,
) -> Computed:
    """Highest activation [layer, neuron] of every neuron over the text file or folder ``corpus``.

    The prompt and its metric are not looked at. What was found is kept in the file ``out``, from which a
    stopped collection goes on and a finished one is read; options and errors as in ``collect_examples``:
    ``top_k`` examples kept a neuron of ``layers`` (None: all), in windows of ``length`` tokens, ``batch``
    windows a step, with the tokens ``before`` and ``after`` each peak.

    ``extra``: ``positive`` [layer, neuron], at what share of the tokens the activation was above 0. With
    ``neuron`` (``"2.117"``) also its examples, highest first: ``activation`` [rank] and ``peak_token``,
    ``text_before``, ``text_after``, ``file`` and ``position`` of the peak, in tokens of the file.
    """
    if not corpus or not out:
        raise BadParameter(
            "max_activating needs a corpus and a file to keep the examples in.",
            "E.g. --param corpus=texts --param out=examples.safetensors.",
        )
    chosen = neuron_named(neuron) if neuron else None
    settings = Collection(top_k, layers, length, batch, before, after)
    found = collect_examples(lm, corpus, out, settings, watch)
    axes, peaks, positive = _grids(found)
    extra = {"positive": LabelledArray(axes, positive)}
    if chosen is not None:
        extra |= examples_arrays(found.neuron(*chosen))
    return Computed(
        values=peaks,
        axes=axes,
        extra=extra,
        warnings=found.warnings,
        baseline=None,
    )


def examples_arrays(found: NeuronExamples) -> dict[str, LabelledArray]:
    """The examples of one neuron as columns over [rank]."""
    axis = (Axis("rank", tuple(str(i + 1) for i in range(len(found.examples)))),)
    columns = {
        "peak_token": [e.tokens[e.peak] for e in found.examples],
        "text_before": ["".join(e.tokens[: e.peak]) for e in found.examples],
        "text_after": ["".join(e.tokens[e.peak + 1 :]) for e in found.examples],
        "file": [e.file for e in found.examples],
    }
    return {
        "activation": LabelledArray(axis, np.array([e.activation for e in found.examples])),
        **{name: LabelledArray(axis, text_array(column)) for name, column in columns.items()},
        "position": LabelledArray(axis, np.array([e.position for e in found.examples])),
    }


def _grids(found: ExamplesFile) -> tuple[tuple[Axis, Axis], np.ndarray, np.ndarray]:
    peaks = [found.peaks(layer) for layer in found.info.layers]
    width = max(map(len, peaks))
    grids = np.full((2, len(peaks), width), np.nan)
    for row, layer in enumerate(found.info.layers):
        grids[0, row, : len(peaks[row])] = peaks[row]
        grids[1, row, : len(peaks[row])] = found.positive(layer)
    axes = (
        Axis("layer", tuple(map(str, found.info.layers))),
        Axis("neuron", tuple(map(str, range(width)))),
    )
    return axes, grids[0], grids[1]
