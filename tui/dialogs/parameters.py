"""The parameters of one analysis, on one line: ``n_steps=64 baseline=mean``; all it takes is shown below."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input

from interpboard.display import fit
from interpboard.errors import BadParameter
from interpboard.registry.parameter import Parameter
from tui.dialogs.fields import FieldsScreen
from tui.dialogs.plan_line import AsksPlan
from tui.widgets.line import Line

FORM_WIDTH = 72
_NAME = 24


def written_params(params: Mapping[str, Any]) -> str:
    """Parameters as they are typed."""
    return " ".join(shlex.quote(f"{name}={param_words(value)}") for name, value in params.items())


def read_params(text: str, known: Sequence[Parameter], analysis: str) -> dict[str, Any]:
    """What ``text`` says, each value checked. Raises ``BadParameter``."""
    by_name = {parameter.name: parameter for parameter in known}
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise BadParameter(f"Cannot read the parameters: {str(error).lower()}.") from None
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise BadParameter(f"{word} is no parameter.", "Write name=value.")
        if name not in by_name:
            raise BadParameter(f"{analysis} has no {name}.", f"It has: {', '.join(by_name)}.")
        found[name] = by_name[name].parse(value)
    return found


class ParametersScreen(FieldsScreen):
    """Answers with the parameters that were written, None when left."""

    def __init__(
        self,
        analysis: str,
        known: Sequence[Parameter],
        now: Mapping[str, Any],
        plan: AsksPlan | None = None,
    ) -> None:
        super().__init__(plan)
        self.analysis, self.known, self.now = analysis, tuple(known), dict(now)

    def compose(self) -> ComposeResult:
        """The field, what may stand in it, and what was wrong with it."""
        with Vertical(classes="box") as box:
            box.border_title = Text(f"Parameters of {self.analysis}")
            field = Input(written_params(self.now), id="field-options", compact=True)
            field.cursor_blink = False
            yield field
            yield Line(id="wrong")
            yield from self.plan_line()
            for parameter in self.known:
                usual = f"{parameter.name}={param_words(parameter.default)}"
                choices = f"{', '.join(parameter.choices)}: " if parameter.choices else ""
                row = f"{fit(usual, _NAME)} {choices}{parameter.help}"
                yield Line(Text(fit(row, FORM_WIDTH)), classes="hint")
            yield Line(Text("name=value, with spaces between; empty: as above"), classes="hint")
            yield Line(Text("Enter runs it, Esc leaves"), classes="hint")

    def answer(self) -> dict[str, Any]:
        """What is written, each value checked. Raises ``BadParameter``."""
        return read_params(self.text_of("options"), self.known, self.analysis)


def param_words(value: Any) -> str:
    """A value as it is typed."""
    if value is None:
        return "all"
    if isinstance(value, tuple | list):
        return ",".join(map(param_words, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
