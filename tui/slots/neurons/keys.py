"""Keys of Neurons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.commands.command import Command
from tui.commands.reasons import not_ready
from tui.slots.neurons.examples import ONE_TEXT, making
from tui.slots.shared_keys import VIEW

if TYPE_CHECKING:
    from tui.controllers.controllers import Controllers


def choose_examples_file(controllers: Controllers) -> None:
    """Ask for the file with max-activating examples."""
    hints = ("What this wrote:", making(controllers.models.name), "Empty: none.")

    def answered(text: str) -> None:
        controllers.session.change("neurons", examples=text.strip())

    title = "File of max-activating examples"
    controllers.screens.input_line(title, hints, controllers.state.examples, answered)


def no_examples_here(controllers: Controllers, place: str) -> str:
    """Does the model read two texts, or is none there?"""
    model = controllers.state.model
    return ONE_TEXT if model is not None and model.info.layer_names else ""


def cannot_collect(controllers: Controllers, place: str) -> str:
    """Can no job begin, or is there nothing that it could go over?"""
    return not_ready(controllers, place) or no_examples_here(controllers, place)


KEYS = (
    VIEW,
    Command("examples_file", "E", "E", "Examples",
            "Open a file of max-activating examples", choose_examples_file,
            why_not=no_examples_here),
    Command("collect_examples", "F", "F", "Collect",
            "Find max-activating examples in a text", lambda c: c.jobs.set_up("collecting"),
            why_not=cannot_collect),
)  # fmt: skip
