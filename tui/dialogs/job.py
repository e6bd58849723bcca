"""A long job on a text: where the text is, where what is found is kept, and its few parameters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from interpboard.display import fit
from interpboard.errors import BadParameter
from interpboard.files.places import expanded
from interpboard.registry import find_analysis
from tui.commands.command import shown_keys
from tui.dialogs.export import short
from tui.dialogs.fields import FieldsScreen
from tui.dialogs.parameters import FORM_WIDTH, param_words, read_params, written_params
from tui.dialogs.plan_line import AsksPlan
from tui.widgets.line import Line
from tui.widgets.text_field import TextField

if TYPE_CHECKING:
    from tui.slots.spec import JobForm

PATHS = ("corpus", "out")
OF_THE_RESULT = (*PATHS, "neuron")  # not the job's to choose in its third field
_LABELS = {"corpus": "text", "out": "save as", "options": "with"}


class JobScreen(FieldsScreen):
    """Answers with the parameters of the job's analysis, None when left."""

    DEFAULT_CSS = "JobScreen Horizontal > Line { width: 9; }"

    def __init__(
        self,
        form: JobForm,
        analysis: str,
        now: Mapping[str, Any],
        plan: AsksPlan | None = None,
    ) -> None:
        super().__init__(plan)
        self.form, self.now = form, dict(now)
        known = find_analysis(analysis).parameters
        self.known = [own for own in known if own.name not in OF_THE_RESULT]
        self._warned: Path | None = None  # what would be written over, and the user knows

    def compose(self) -> ComposeResult:
        """A field for each, what was wrong with one, and what may stand in the third."""
        options = {name: value for name, value in self.now.items() if name not in OF_THE_RESULT}
        values = {
            "corpus": str(self.now.get("corpus", "")),
            "out": short(Path(str(self.now["out"]))),
            "options": written_params(options),
        }
        with Vertical(classes="box") as box:
            box.border_title = Text(self.form.title)
            for name, value in values.items():
                with Horizontal():
                    yield Line(Text(_LABELS[name]), classes="hint")
                    yield TextField(value, id=f"field-{name}")
            yield Line(id="wrong")
            yield from self.plan_line()
            about = f"text: a text file, or a folder of them; save as: a {self.form.out}"
            yield Line(Text(about), classes="hint")
            for own in self.known:
                usual = f"{own.name}={param_words(own.default)}"
                yield Line(Text(fit(f"with {usual:<14} {own.help}", FORM_WIDTH)), classes="hint")
            cancel = shown_keys("cancel")
            hints = (
                f"Other analyses go first. {cancel} stops it, the same again goes on.",
                "Tab ↓ ↑ fields   Enter starts   Esc leaves",
            )
            for hint in hints:
                yield Line(Text(hint), classes="hint")

    def answer(self) -> dict[str, Any]:
        """Where the text is, where the result goes, and the options. Raises ``BadParameter``."""
        found = self._written()
        out = Path(found["out"])
        warning = self.form.warning(out)
        if warning and out != self._warned:
            self._warned = out
            raise BadParameter(warning)
        return found

    def to_plan(self) -> dict[str, Any] | None:
        """What would run, whatever it writes over."""
        try:
            return self._written()
        except BadParameter:
            return None

    def _written(self) -> dict[str, Any]:
        corpus, out = (self._path(name) for name in PATHS)
        options = read_params(self.text_of("options"), self.known, self.form.title)
        if not corpus.exists():
            raise BadParameter(f"There is no file or folder {corpus}.")
        return {"corpus": str(corpus), "out": str(out), **options}

    def _path(self, name: str) -> Path:
        text = self.text_of(name).strip()
        if not text:
            raise BadParameter(f"{_LABELS[name]}: a path is missing.")
        return expanded(text).absolute()
