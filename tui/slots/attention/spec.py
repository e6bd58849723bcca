"""Attention: where one head looks; only the slice that is shown is ever asked."""

from __future__ import annotations

from tui.session.state import Request, State
from tui.slots.attention.keys import KEYS
from tui.slots.heads.selected import selected_head
from tui.slots.spec import Place, Slot


def _request(slot: Slot, state: State) -> Request | None:
    """The one slice that is shown."""
    if state.model is None:
        return None
    info, (layer, head) = state.model.info, selected_head(state)
    params = {"layers": [min(layer, info.layers - 1)], "heads": [min(head, info.heads - 1)]}
    return Request("attention", state.question, params)


ATTENTION = Slot(
    "attention",
    "attention",
    "pane",
    build=_request,
    follows_cursor=True,
    saved=False,
    place=Place(5, "Attention", "where a head looks", short="Attn", group="right"),
    view="tui.slots.attention.view:AttentionPane",
    about=(
        "Where the selected head looks: probability [query, key]; exact.",
        "{key:open} on a head in Heads opens it here. The arrows move through heads and",
        "layers, {key:left} {key:down} {key:up} {key:right} move the cursor. "
        "{key:view} paints the prompt itself: where the",
        "cursor's token looks, or who looks at it; then lists the strongest pairs.",
        "Means over the positions: entropy, how many tokens back the head looks,",
        "and how much of it goes to the first token.",
    ),
    keys=KEYS,
)
