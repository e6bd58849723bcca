"""A long job on a text: where the text is, where what is found is kept, and its few parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.widgets import Input

from interpboard.analyses import find_analysis
from interpboard.display import fit, visible
from interpboard.errors import BadParameter
from tui import keys
from tui.jobs import has_lens
from tui.screens.base import Box
from tui.screens.export import short
from tui.screens.parameters import WIDTH, plain, read, written
from tui.state import SLOTS
from tui.theme import inks
from tui.widgets.line import Line
from tui.widgets.text_field import TextField

PATHS = ("corpus", "out")
OF_THE_RESULT = (*PATHS, "neuron")  # not the job's to choose in its third field
LABELS = {"corpus": "text", "out": "save as", "options": "with"}


@dataclass(frozen=True)
class Form:
    """Of which slot the job is, how it is called, and what its text and its result are."""

    slot: str
    title: str
    corpus: str
    out: str


class JobScreen(Box[dict[str, Any]]):
    """Answers with the parameters of the job's analysis, None when left."""

    # Before the field's own keys, or what is typed ahead after a Tab lands in the field before it.
    BINDINGS = [  # noqa: RUF012
        Binding("down,tab", "step(True)", "Next", priority=True),
        Binding("up,shift+tab", "step(False)", "Before", priority=True),
    ]
    DEFAULT_CSS = """
    JobScreen Horizontal { height: 1; }
    JobScreen Horizontal > Line { width: 9; }
    JobScreen Horizontal > Input { width: 1fr; }
    """

    def __init__(self, form: Form, now: Mapping[str, Any]) -> None:
        super().__init__()
        self.form, self.now = form, dict(now)
        analysis = find_analysis(SLOTS[form.slot])
        self.known = [own for own in analysis.parameters if own.name not in OF_THE_RESULT]
        self._known_lens: Path | None = None  # one that is there, and the user knows

    def compose(self) -> ComposeResult:
        """A field for each, what was wrong with one, and what may stand in the third."""
        options = {name: value for name, value in self.now.items() if name not in OF_THE_RESULT}
        values = {
            "corpus": str(self.now.get("corpus", "")),
            "out": short(Path(str(self.now["out"]))),
            "options": written(options),
        }
        with Vertical(classes="box") as box:
            box.border_title = Text(self.form.title)
            for name, value in values.items():
                with Horizontal():
                    yield Line(Text(LABELS[name]), classes="hint")
                    yield TextField(value, id=f"field-{name}")
            yield Line(id="wrong")
            about = f"text: {self.form.corpus}; save as: a {self.form.out}"
            yield Line(Text(about), classes="hint")
            for own in self.known:
                usual = f"{own.name}={plain(own.default)}"
                yield Line(Text(fit(f"with {usual:<14} {own.help}", WIDTH)), classes="hint")
            cancel = keys.command("cancel").shown
            hints = (
                f"Other analyses wait meanwhile. {cancel} stops it, the same again goes on.",
                "Tab ↓ ↑ fields   Enter starts   Esc leaves",
            )
            for hint in hints:
                yield Line(Text(hint), classes="hint")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in any field: what is wrong is said and can be put right."""
        event.stop()
        try:
            self.dismiss(self._answer())
        except BadParameter as error:
            self._say(f"{error.message} {error.remedy or ''}".strip())

    def _answer(self) -> dict[str, Any]:
        corpus, out = (self._path(name) for name in PATHS)
        options = read(self._text("options"), self.known, self.form.title)
        if not corpus.exists():
            raise BadParameter(f"There is no file or folder {corpus}.")
        if self.form.slot == "training" and has_lens(out) and out != self._known_lens:
            self._known_lens = out
            raise BadParameter(f"{out.name} has a lens: Enter again trains it anew.")
        return {"corpus": str(corpus), "out": str(out), **options}

    def _path(self, name: str) -> Path:
        text = self._text(name).strip()
        if not text:
            raise BadParameter(f"{LABELS[name]}: a path is missing.")
        return Path(text).expanduser().absolute()

    def _text(self, name: str) -> str:
        return self.query_one(f"#field-{name}", Input).value

    def _say(self, wrong: str) -> None:
        ink = inks(self.app.current_theme.dark)
        self.query_one("#wrong", Line).set(Text(visible(wrong), ink.warning))

    def on_input_changed(self, event: Input.Changed) -> None:
        """What was wrong is being mended."""
        event.stop()
        self.query_one("#wrong", Line).set(Text())

    def action_step(self, onward: bool) -> None:
        """To the next field, or the one before."""
        if onward:
            self.focus_next()
        else:
            self.focus_previous()
