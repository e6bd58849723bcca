"""What the model says next: asked first with every question, because what is wrong with it is wrong here.

The tokens behind the ten likeliest are asked for once somebody searches for one.
"""

from __future__ import annotations

from tui.session.state import Request, State
from tui.slots.spec import Slot, restore_nothing

MOST_LIKELY = (
    20_000  # of the next tokens: nobody asks by name for one less likely than all of these
)

PREDICTIONS = Slot(
    "predictions", "predictions", restore=restore_nothing, always=True, checks_question=True
)


def _request(slot: Slot, state: State) -> Request | None:
    """Once somebody has begun to search, of this question."""
    if state.selection.searched != state.question:
        return None
    return Request(slot.analysis, state.question, {"top_k": MOST_LIKELY})


LIKELY_TOKENS = Slot(
    "likely_tokens",
    "predictions",
    build=_request,
    restore=restore_nothing,
    saved=False,
    shown=lambda _state: False,
    title="less likely tokens",
)
