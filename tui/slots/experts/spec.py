"""Experts: with what weight each token of the prompt goes to each expert of a mixture."""

from __future__ import annotations

from tui.slots.experts.keys import KEYS, OPENER
from tui.slots.spec import Slot

EXPERTS = Slot(
    "experts",
    "expert_routing",
    "screen",
    opener=OPENER,
    view="tui.slots.experts.view:ExpertsScreen",
    about=(
        "Layers down, experts across: the weight with which the token goes to",
        "each expert, as the block uses it; exact, of the clean run. 0: it does",
        "not go there; · the layer has no such expert. Experts that all tokens",
        "share are not here. Below: how many tokens go there, the expert's",
        "share of all weight in the layer, the entropy of the token's weights.",
        "An expert that is off has weight 0 for every token, in every pane; the",
        "weights of a token's other experts stay as they are.",
    ),
    keys=KEYS,
)
