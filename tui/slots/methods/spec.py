"""Methods: every attribution of the prompt, row by row."""

from __future__ import annotations

from tui.slots.methods.keys import KEYS, OPENER
from tui.slots.spec import Slot

METHODS = Slot(
    "methods",
    "compare_attributions",
    "screen",
    opener=OPENER,
    view="tui.slots.methods.view:MethodsScreen",
    keys=KEYS,
)
