"""Keys of Trace."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tui.commands.command import Command, keyed
from tui.commands.reasons import no_corrupted, no_result, no_subject
from tui.slots.shared_keys import METHOD, PARAMETERS, VIEW

if TYPE_CHECKING:
    from tui.controllers.controllers import Controllers

RESTORED_STATES = ("resid", "mlp", "attn")


def next_restored_state(controllers: Controllers) -> None:
    """The next of the states that are put back."""
    now = controllers.state.params.get("trace", {}).get("site", RESTORED_STATES[0])
    controllers.session.set_param(
        "trace", "site", RESTORED_STATES[(RESTORED_STATES.index(now) + 1) % len(RESTORED_STATES)]
    )


def cannot_patch(controllers: Controllers, place: str) -> str:
    """Is no state of a corrupted prompt shown that could be put in?"""
    refusal = no_corrupted(controllers, place)
    if refusal or controllers.state.analyses.get(place) == "activation_patching":
        return refusal or no_result(controllers, place)
    only = "Only states of a corrupted prompt can be put in: {key:method} changes the method."
    return keyed(only)


def tracing() -> list[Command]:
    """A command of the palette for each method, by its name."""
    return [
        Command(
            "trace_causal", "", "", "Causal trace", "Noise on the subject, clean states put back",
            partial(trace_by, method="causal_trace"), why_not=no_subject,
        ),
        Command(
            "trace_patching", "", "", "Act. patching", "Patch in the corrupted prompt's states",
            partial(trace_by, method="activation_patching"), why_not=no_corrupted,
        ),
    ]  # fmt: skip


def trace_by(controllers: Controllers, method: str) -> None:
    """Trace by ``method``, and go there."""
    controllers.panes.go("trace")
    controllers.session.set_analysis("trace", method)


KEYS = (
    Command("patch_cell", "space", "Space", "Patch",
            "Patch in the corrupted prompt's state at the cursor, or take it off",
            lambda c: c.interventions.toggle(c.panes.view.intervention()),
            why_not=cannot_patch),
    METHOD,
    VIEW,
    PARAMETERS,
    Command("corrupted", "d", "d", "Corrupted",
            "Write the corrupted prompt to compare with", lambda c: c.explained.write_corrupted()),
)  # fmt: skip
