"""Keys of Attention."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.commands.command import Command
from tui.commands.reasons import no_model
from tui.slots.heads.selected import selected_head
from tui.slots.shared_keys import VIEW

if TYPE_CHECKING:
    from tui.controllers.controllers import Controllers


def step_head(controllers: Controllers, by: int) -> None:
    """The next head, on into the next layer."""
    model = controllers.state.model
    if model is not None:
        heads, (layer, head) = model.info.heads, selected_head(controllers.state)
        at = max(0, min(model.info.layers * heads - 1, layer * heads + head + by))
        controllers.panes.select(layer=at // heads, head=at % heads, mlp=False)


def step_layer(controllers: Controllers, by: int) -> None:
    """The same head of the next layer."""
    model = controllers.state.model
    if model is not None:
        layer, head = selected_head(controllers.state)
        layer = max(0, min(model.info.layers - 1, layer + by))
        controllers.panes.select(layer=layer, head=head, mlp=False)


KEYS = (
    VIEW,
    Command("next_head", "right_square_bracket,right", "] →", "Next head",
            "The next head, through the layers", lambda c: step_head(c, 1),
            why_not=no_model),
    Command("previous_head", "left_square_bracket,left", "[ ←", "Head before",
            "The head before", lambda c: step_head(c, -1),
            why_not=no_model),
    Command("next_layer", "right_curly_bracket,down", "} ↓", "Next layer",
            "The same head one layer on", lambda c: step_layer(c, 1),
            why_not=no_model),
    Command("previous_layer", "left_curly_bracket,up", "{ ↑", "Layer before",
            "The same head one layer back", lambda c: step_layer(c, -1),
            why_not=no_model),
)  # fmt: skip
