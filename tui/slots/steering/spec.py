"""Steering: a vector added to the stream over a range of scales."""

from __future__ import annotations

from tui.session.state import Request, State
from tui.slots.spec import Slot
from tui.slots.steering.keys import KEYS, OPENER
from tui.slots.steering.vectors import vector_file


def _request(slot: Slot, state: State) -> Request | None:
    """Once somebody said what the vector is; it is kept, so that an intervention can name it."""
    chosen = slot.params_in(state)
    if not chosen:
        return None
    if not chosen.get("vector"):
        chosen["save"] = str(vector_file(state, chosen))
    return Request("steering", state.question, chosen)


STEERING = Slot(
    "steering",
    "steering",
    "screen",
    build=_request,
    opener=OPENER,
    view="tui.slots.steering.view:SteeringScreen",
    about=(
        "A vector added to the residual stream at every position, in several",
        "strengths; exact. effect = metric(steered) − metric(clean). The texts are",
        "greedy; scale 0 is the model as it is. A vector that is on acts in every pane.",
    ),
    keys=KEYS,
)
