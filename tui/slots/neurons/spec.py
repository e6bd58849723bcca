"""Neurons: which write most into the answer, what the chosen one speaks for, and its examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interpboard.registry.layer_names import layer_names
from tui.session.state import Request, State
from tui.slots.neurons.keys import KEYS
from tui.slots.neurons.selected import selected_neuron, written_neuron
from tui.slots.spec import JobForm, Place, Slot, linear, linear_request, of_job

if TYPE_CHECKING:
    from tui.session.session import Session


def _request_chosen(slot: Slot, state: State) -> Request | None:
    """The chosen neuron, with the one layer that has it."""
    chosen = selected_neuron(state)
    if chosen is None or state.model is None:
        return None
    name = written_neuron(layer_names(state.model.info), chosen)
    params = {"neuron": name, "layers": [chosen[0]]}
    return linear(state, Request("neurons", state.question, params))


def _collected(session: Session, request: Request) -> str:
    """The file is read at once."""
    out = str(request.params["out"])
    session.change("neurons", examples=out)
    return f"Collected: {out}"


NEURONS = Slot(
    "neurons",
    "neurons",
    "pane",
    build=linear_request,
    leads=True,
    place=Place(7, "Neurons", "which neurons speak for it", short="Neur", group="far right"),
    beside=("chosen_neuron",),
    view="tui.slots.neurons.view:NeuronsPane",
    about=(
        "What each neuron writes straight into the logit of the target: its",
        "activation × what a unit of it writes; exact. Below the tokens that a",
        "unit of the chosen one promotes and suppresses most, and texts in which",
        "it is most active, from a file that {key:collect_examples} collects or {key:examples_file} opens.",
    ),
    keys=KEYS,
)
CHOSEN_NEURON = Slot(
    "chosen_neuron",
    "neurons",
    build=_request_chosen,
    formerly=("neuron",),
    follows_cursor=True,
    saved=False,
)
COLLECTING = Slot(
    "collecting",
    "max_activating",
    "job",
    build=of_job,
    saved=False,
    form=JobForm("Collect max-activating examples", "file", "examples-{model}.safetensors"),
    after=_collected,
)
