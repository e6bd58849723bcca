"""A box of fields: Enter answers with what they say, and what is wrong is said and can be put right."""

from __future__ import annotations

from typing import Any

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Input

from interpboard.display import visible
from interpboard.errors import BadParameter
from tui.dialogs.box import Box
from tui.dialogs.plan_line import AsksPlan, PlanLine
from tui.theme import inks
from tui.widgets.line import Line


class FieldsScreen(Box[dict[str, Any]]):
    """Answers with parameters, None when left. Fields are ``field-NAME``; the line ``wrong`` is theirs."""

    # Before the field's own keys, or what is typed ahead after a Tab lands in the field before it.
    BINDINGS = [  # noqa: RUF012
        Binding("down,tab", "step(True)", "Next", priority=True),
        Binding("up,shift+tab", "step(False)", "Before", priority=True),
    ]
    DEFAULT_CSS = """
    FieldsScreen Horizontal { height: 1; }
    FieldsScreen Horizontal > Input { width: 1fr; }
    """

    def __init__(self, plan: AsksPlan | None = None) -> None:
        """``plan``: asks what the analysis would take with the parameters that are written."""
        super().__init__()
        self._plan = plan

    def plan_line(self) -> ComposeResult:
        """The line that says it, where it can be asked."""
        if self._plan is not None:
            yield PlanLine(self._plan)

    def to_plan(self) -> dict[str, Any] | None:
        """What would run if Enter were pressed; None: it would be refused."""
        try:
            return self.answer()
        except BadParameter:
            return None

    def on_mount(self) -> None:
        """The plan of what is written from the start."""
        self._plan_again()

    def _plan_again(self) -> None:
        for line in self.query(PlanLine):
            line.plan(self.to_plan())

    async def settled(self) -> None:
        """Wait until the plan of what is written is shown."""
        for line in self.query(PlanLine):
            await line.settled()

    def answer(self) -> dict[str, Any]:
        """What the fields say. Raises ``BadParameter``."""
        raise NotImplementedError

    def text_of(self, name: str) -> str:
        """What stands in a field."""
        return self.query_one(f"#field-{name}", Input).value

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in any field."""
        event.stop()
        try:
            self.dismiss(self.answer())
        except BadParameter as error:
            wrong = visible(f"{error.message} {error.remedy or ''}".strip())
            ink = inks(self.app.current_theme.dark)
            self.query_one("#wrong", Line).set(Text(wrong, ink.warning))

    def on_input_changed(self, event: Input.Changed) -> None:
        """What was wrong is being mended."""
        event.stop()
        self.query_one("#wrong", Line).set(Text())
        self._plan_again()

    def action_step(self, onward: bool) -> None:
        """To the next field, or the one before."""
        if onward:
            self.focus_next()
        else:
            self.focus_previous()
