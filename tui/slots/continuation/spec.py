"""Continuation: what the model writes next, and why each token of it."""

from __future__ import annotations

from tui.slots.continuation.keys import KEYS, OPENER
from tui.slots.spec import Slot

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
    ),
    keys=KEYS,
)
