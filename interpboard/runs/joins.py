"""At which layer a row joins a replay."""

from __future__ import annotations

from interpboard.models.strips import stands_in_source
from interpboard.runs.edits import Counterfactual, Edit, start_of
from interpboard.runs.record import Run


def joins_at(run: Run, counterfactual: Counterfactual) -> int:
    """The first layer that must run again for ``counterfactual``; −1 where the embedding must. In an
    encoder–decoder what changes the prefix's embedding alone leaves the encoder as it was."""
    if run.lm.anatomy.strips is None:
        return start_of(counterfactual)
    return min(_start(run, edit) for edit in counterfactual)


def first_of_decoder(run: Run) -> int:
    """The first layer of an encoder–decoder's decoder; 0 of a model with one stack."""
    if run.lm.anatomy.strips is None:
        return 0
    return sum(map(stands_in_source, run.lm.anatomy.layer_names))


def _start(run: Run, edit: Edit) -> int:
    of_prefix = edit.positions is not None and min(edit.positions) >= run.prompt.border
    return first_of_decoder(run) if edit.site == "embed" and of_prefix else edit.start
