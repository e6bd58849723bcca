"""Keys of Logits."""

from __future__ import annotations

from tui.slots.shared_keys import VIEW

KEYS = (
    VIEW,
)  # fmt: skip
