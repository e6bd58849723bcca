"""The box that begins a sweep: which analyses, which groups, where it is kept, and what it will take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from interpboard.errors import BadParameter
from interpboard.files.places import expanded
from interpboard.results import MetricRequest
from tui.commands.command import shown_keys
from tui.dialogs.export import short
from tui.dialogs.fields import FieldsScreen
from tui.dialogs.plan_line import AsksPlan
from tui.widgets.line import Line
from tui.widgets.text_field import TextField

_LABELS = {"analyses": "run", "group": "groups", "out": "save as"}


class SweepScreen(FieldsScreen):
    """Answers with the ``request`` and the folder ``out``, None when left."""

    DEFAULT_CSS = "SweepScreen Horizontal > Line { width: 9; }"

    def __init__(
        self,
        names: Sequence[str],
        params: Mapping[str, Mapping[str, Any]],
        metric: str,
        out: Path,
        columns: Sequence[str],
        plan: AsksPlan,
    ) -> None:
        super().__init__(plan)
        self.names, self.params, self.metric = names, params, metric
        self.out, self.columns = out, columns

    def compose(self) -> ComposeResult:
        """A field for each, what was wrong with one, and the plan."""
        values = {"analyses": ",".join(self.names), "group": "", "out": short(self.out)}
        with Vertical(classes="box") as box:
            box.border_title = Text(f"Sweep these rows by {self.metric}")
            for name, value in values.items():
                with Horizontal():
                    yield Line(Text(_LABELS[name]), classes="hint")
                    yield TextField(value, id=f"field-{name}")
            yield Line(id="wrong")
            yield from self.plan_line()
            hints = (
                "run: analyses, with commas between; those of the panes in sight.",
                "groups: a column whose values are compared, or nothing.",
                f"A process of its own; {shown_keys('dataset_stop')} stops it, what is done is kept.",
                "Tab ↓ ↑ fields   Enter starts   Esc leaves",
            )
            for hint in hints:
                yield Line(Text(hint), classes="hint")

    def answer(self) -> dict[str, Any]:
        """What is asked of every row, and where it goes. Raises ``BadParameter``."""
        from interpboard.sweeps.request import sweep_request

        names = [name.strip() for name in self.text_of("analyses").split(",") if name.strip()]
        group = self.text_of("group").strip()
        if group and group not in self.columns:
            raise BadParameter(f"No row has a column {group[:40]!r}.", ", ".join(self.columns))
        params = {name: self.params.get(name, {}) for name in names}
        request = sweep_request(names, params, MetricRequest(self.metric), group=group)
        text = self.text_of("out").strip()
        if not text:
            raise BadParameter("A sweep needs a folder.", "Name one that is new.")
        out = expanded(text)
        sweep = (out / "manifest.json").is_file()
        if out.exists() and not sweep and (not out.is_dir() or any(out.iterdir())):
            raise BadParameter(f"{out} is there and holds no sweep.", "Name a new folder.")
        return {"request": request, "out": out}
