"""At which layer a row joins a replay, and with what of that layer."""

from __future__ import annotations

from dataclasses import replace

from interpboard.models.strips import stands_in_source
from interpboard.runs.edits import Counterfactual, Edit, start_of
from interpboard.runs.record import Run

BEHIND_ATTENTION = ("z", "attn_out", "resid_mid", "neuron", "router", "mlp_out", "resid_post")


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


def keeps_attention(run: Run, row: Counterfactual, base: int) -> bool:
    """Whether of the first layer that ``row`` edits nothing is edited but behind attention, neither by it nor
    by what the recorded row ``base`` was made with."""
    start = start_of(row)
    behind = start >= 0 and all(e.site in BEHIND_ATTENTION for e in row if e.start == start)
    return behind and not any(e.start == start for e in run.edits[base])


def started_late(run: Run, counterfactual: Counterfactual, base: int) -> Counterfactual:
    """The same counterfactual, with what is edited at a layer's output edited where it goes.

    ``resid_post`` of a layer is ``resid_pre`` of the next, and behind the last layer nothing runs.
    Left as it is where another edit at that place would come in between.
    """
    end, ends = (
        run.lm.anatomy.n_layers,
        first_of_decoder(run) - 1,
    )  # the encoder's last goes elsewhere
    taken = {e.layer for e in (*run.edits[base], *counterfactual) if e.site == "resid_pre"}

    def moved(edit: Edit) -> Edit:
        if edit.site != "resid_post" or edit.layer + 1 in taken or edit.layer == ends:
            return edit
        if edit.layer + 1 == end:
            return replace(edit, site=END, layer=end) if alone else edit
        return replace(edit, site="resid_pre", layer=edit.layer + 1)

    alone = all(e.site == "resid_post" and e.layer == end - 1 for e in counterfactual)
    return tuple(moved(edit) for edit in counterfactual)


END = "end"
"""The stream behind the last layer, where nothing but the head is left to run."""
