"""Keys of Heads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.commands.command import Command
from tui.commands.reasons import no_result

if TYPE_CHECKING:
    from tui.controllers.controllers import Controllers


_ABLATIONS = ("zero", "mean", "resample")


def next_ablation(controllers: Controllers) -> None:
    """Zero, mean, or resampled from the corrupted prompt where there is one."""
    parameters = controllers.state.params.get("heads", {})
    following = _ABLATIONS[
        (_ABLATIONS.index(parameters.get("ablation", "zero")) + 1) % len(_ABLATIONS)
    ]
    if following == "resample" and not controllers.state.corrupted:
        following = "zero"
    controllers.session.set_param("heads", "ablation", following, "mlp_ablation")


KEYS = (
    Command("toggle", "space", "Space", "Off/on",
            "Switch the head or MLP under the cursor off, or on again",
            lambda c: c.interventions.toggle(c.panes.view.intervention()),
            why_not=no_result),
    Command("ablation", "a", "a", "Zero/mean",
            "What replaces an output: zeros, its mean, or its outputs on the corrupted prompt",
            next_ablation),
)  # fmt: skip
