"""Continuation: what the model writes next, and why each token of it."""

from __future__ import annotations

from dataclasses import replace

from tui.session.state import Request, State
from tui.slots.continuation.keys import KEYS, OPENER
from tui.slots.spec import Slot, restore_nothing
from tui.slots.what_if.spec import edited_request

WRITTEN = 8  # tokens, where nobody said how many


CONTINUATION = Slot(
    "continuation",
    "continuation_attribution",
    "screen",
    opener=OPENER,
    view="tui.slots.continuation.view:ContinuationScreen",
    about=(
        "What the model writes next, greedily, and why: each row explains one written",
        "token to all that stood before it, the written ones too. Each row's metric is",
        "that of its own token at its own place; a foil stays the foil.",
        "While interventions are on, what it writes with them stands beside, where it parts in",
        "another colour; {key:continuation_what_if} lists them. {key:continuation_take} puts what is",
        "written up to the row behind the prompt: of an encoder–decoder into its prefix.",
    ),
    keys=KEYS,
    beside=("continuation_edited",),
)


def _edited(slot: Slot, state: State) -> Request | None:
    """As long as the clean one."""
    asked = edited_request(state, slot.analysis)
    if asked is None:
        return None
    own = {"new_tokens": state.params.get(CONTINUATION.name, {}).get("new_tokens", WRITTEN)}
    return replace(asked, params={**asked.params, **own})


CONTINUATION_EDITED = Slot(
    "continuation_edited",
    "edited_continuation",
    build=_edited,
    restore=restore_nothing,
    of_edits=True,
    shown=lambda state: state.edited("continuation_edited") is not None,
)
