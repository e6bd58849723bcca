"""What the model says next: asked first with every question, because what is wrong with it is wrong here."""

from __future__ import annotations

from tui.slots.spec import Slot, restore_nothing

PREDICTIONS = Slot(
    "predictions", "predictions", restore=restore_nothing, always=True, checks_question=True
)
