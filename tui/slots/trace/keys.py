"""Keys of Trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.commands.command import Command
from tui.slots.shared_keys import METHOD, PARAMETERS, VIEW

if TYPE_CHECKING:
    from tui.controllers.controllers import Controllers

SITES = ("resid", "mlp", "attn")


def next_restored_state(app: Controllers) -> None:
    """The next of the states that are put back."""
    now = app.state.params.get("trace", {}).get("site", SITES[0])
    app.session.set_param("trace", "site", SITES[(SITES.index(now) + 1) % len(SITES)])


KEYS = (
    Command("patch_cell", "space", "Space", "Patch",
            "Patch in the corrupted prompt's state at the cursor, or take it off",
            lambda app: app.interventions.toggle(app.panes.view.intervention())),
    METHOD,
    VIEW,
    PARAMETERS,
    Command("corrupted", "d", "d", "Corrupted",
            "Write the corrupted prompt to compare with", lambda app: app.explained.write_corrupted()),
)  # fmt: skip
