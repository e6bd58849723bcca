"""What a steering vector points to, or which file has it, where it is added, and how strongly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from interpboard.errors import BadParameter
from interpboard.registry.parameter import Parameter
from tui.commands.command import bindings, keyed
from tui.commands.places import NEWLINE_KEY
from tui.dialogs.fields import FieldsScreen
from tui.dialogs.parameters import param_words
from tui.dialogs.plan_line import AsksPlan
from tui.slots.steering.vectors import SIDES, prompts_of_side
from tui.widgets.line import Line
from tui.widgets.text_field import TextField

_LABELS = {
    "positive": "toward",
    "negative": "away from",
    "vector": "or a file",
    "layer": "layer",
    "scales": "scales",
    "new_tokens": "tokens",
}
_HINTS = (
    "The vector: mean stream at the last token of the prompts toward − that",
    "of the others, read and added behind the layer; or that of a file:",
    "without a layer it is added behind the one that the file names.",
    "{key:newline} another prompt (⏎)   Tab ↓ ↑ fields   Enter runs   Esc leaves",
)


class DirectionScreen(FieldsScreen):
    """Answers with the parameters of ``steering``, None when left."""

    BINDINGS = bindings(NEWLINE_KEY)
    DEFAULT_CSS = "DirectionScreen Horizontal > Line { width: 11; }"

    def __init__(
        self, known: Sequence[Parameter], now: Mapping[str, Any], plan: AsksPlan | None = None
    ) -> None:
        super().__init__(plan)
        self.known = {own.name: own for own in known if own.name in _LABELS}
        self.now = dict(now)

    def compose(self) -> ComposeResult:
        """A field for each, and what was wrong with one."""
        with Vertical(classes="box") as box:
            box.border_title = Text("Steering")
            for name, own in self.known.items():
                value = self.now.get(name, own.default)
                with Horizontal():
                    yield Line(Text(_LABELS[name]), classes="hint")
                    yield TextField(_written(name, value), id=f"field-{name}")
            yield Line(id="wrong")
            yield from self.plan_line()
            for hint in _HINTS:
                yield Line(Text(keyed(hint)), classes="hint")

    def answer(self) -> dict[str, Any]:
        """Both sides of a difference, or a file. Raises ``BadParameter``."""
        found = {}
        for name, own in self.known.items():
            text = self.text_of(name)
            text = text if name in SIDES else text.strip()
            if text:
                found[name] = own.parse(text)
        if bool(found.get("vector")) == any(found.get(side) for side in SIDES):
            raise BadParameter("Write prompts on both sides, or name a file: one of the two.")
        if not found.get("vector") and not all(found.get(side) for side in SIDES):
            raise BadParameter("A difference needs prompts on both sides.")
        return found

    def action_newline(self) -> None:
        """Another prompt in the same field."""
        if isinstance(self.focused, TextField):
            self.focused.insert_text_at_cursor("\n")


def _written(name: str, value: Any) -> str:
    if name in SIDES:
        return "\n".join(prompts_of_side(value))
    return "" if value is None else param_words(value)
