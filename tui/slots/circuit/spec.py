"""Circuit: which edges carry a behaviour, of a name, of a file of prompts, or of the pair of prompts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tui.session.state import Question, Request, State
from tui.slots.circuit.keys import KEYS, OPENER
from tui.slots.spec import Slot, linear, result_params

if TYPE_CHECKING:
    from interpboard.results import Result


def _request(slot: Slot, state: State) -> Request | None:
    parameters = slot.params_in(state)
    if parameters.get("behavior") or parameters.get("dataset"):
        return Request("circuit", Question(), parameters)
    if not state.corrupted:
        return None
    parameters["corrupted"] = state.corrupted
    parameters = {
        name: value for name, value in parameters.items() if name not in ("behavior", "dataset")
    }
    return linear(state, Request("circuit", state.question, parameters))


def _restore(slot: Slot, state: State, result: Result) -> State:
    parameters, params = result_params(result), result.params
    corrupted = str(params["corrupted"]) or state.corrupted
    state = replace(state, corrupted=corrupted, dataset=str(params["dataset"]) or state.dataset)
    parameters.pop("corrupted", None)
    parameters["behavior"] = params["behavior"]
    return slot.decided(state, result, parameters)


CIRCUIT = Slot(
    "circuit",
    "circuit",
    "screen",
    build=_request,
    restore=_restore,
    resumes=False,  # it is of a dataset more often than of a prompt
    opener=OPENER,
    view="tui.slots.circuit.view:CircuitScreen",
    about=(
        "Which edges between heads and MLPs carry a behaviour. Edges are chosen",
        "by estimated scores; faithfulness is measured: with only the circuit",
        "live, how much of clean − corrupted is left. Completeness: how much is",
        "lost without it. {key:circuit_fewer} and {key:circuit_more} show the sizes measured,",
        "computing nothing. {key:circuit_dataset} opens",
        "prompts of your own, one a line: clean => corrupted | target | foil.",
    ),
    keys=KEYS,
)
