"""Logits: what each component writes straight into the answer, clean and edited."""

from __future__ import annotations

from tui.session.state import Request, State
from tui.slots.logits.keys import KEYS
from tui.slots.spec import Place, Slot, linear, linear_request
from tui.slots.what_if.spec import edited_request, restore_edits


def _request_edited(slot: Slot, state: State) -> Request | None:
    request = edited_request(state, slot.analysis)
    return linear(state, request) if request is not None else None


LOGITS = Slot(
    "logits",
    "direct_logit_attribution",
    "pane",
    build=linear_request,
    place=Place(6, "Logits", "who writes the answer", group="far right"),
    beside=("logits_edited",),
    view="tui.slots.logits.view:LogitsPane",
    about=(
        "What each part writes straight into the logit of the target; exact.",
        "The parts sum to the logit; effects through later layers are not in it.",
        "While an intervention is on, clean → edited: the parts of both runs, each read",
        "at its own final norm's scale; {key:view} sorts by size, by change, or by place, and",
        "sums up to each layer.",
    ),
    keys=KEYS,
)
LOGITS_EDITED = Slot(
    "logits_edited",
    "edited_direct_attribution",
    build=_request_edited,
    restore=restore_edits,
    of_edits=True,
    shown=lambda state: state.edited("logits_edited") is not None,
)
