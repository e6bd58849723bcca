"""Export: format, scope, and the file's name, all shown before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input

from interpboard.display import visible
from interpboard.files.places import expanded
from tui.dialogs.box import Box
from tui.files.export import DIAGRAM_FORMATS, FORMATS, REPORTS, SESSION, propose
from tui.theme import inks
from tui.widgets.line import Line


@dataclass(frozen=True)
class Choice:
    """What to write, of what, and where."""

    kind: str
    scope: str
    path: Path


def short(path: Path) -> str:
    """The path as people write it, ``~`` for their own folder."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


class ExportScreen(Box[Choice]):
    """Up and down choose the format, Tab the scope; the name can be edited; Enter writes."""

    BINDINGS = [  # noqa: RUF012
        ("up", "format(-1)", "Format"),
        ("down", "format(1)", "Format"),
        ("tab", "scope", "Scope"),
        ("shift+tab", "scope", "Scope"),
    ]

    def __init__(
        self,
        model: str,
        pane: str,
        folder: str = "",
        formats: Mapping[str, str] = FORMATS,
        *,
        everything: bool = True,
    ) -> None:
        super().__init__()
        self.formats = formats
        self.everything = everything  # is there more than the pane?
        self.model, self.pane = model, pane
        self.folder = expanded(folder) if folder else None
        self.kind, self.scope = "md", pane
        self._proposed = ""
        self._known: Path | None = None  # a file that was there, and the user knows

    def compose(self) -> ComposeResult:
        """Formats, scope, name."""
        with Vertical(classes="box") as box:
            box.border_title = Text("Export")
            for kind in self.formats:
                yield Line(id=f"format-{kind}")
            yield Line(id="scope")
            yield Line()
            field = Input(compact=True, select_on_focus=False)
            field.cursor_blink = False
            yield field
            yield Line()
            more = "   Tab pane, everything, session" if self.everything else ""
            hint = f"↑ ↓ format{more}   Enter writes   Esc leaves"
            yield Line(Text(hint), id="export-hint", classes="hint")

    def on_mount(self) -> None:
        """Propose a name."""
        self._show()

    def action_format(self, by: int) -> None:
        """The next format."""
        kinds = list(self.formats)
        self.kind = kinds[(kinds.index(self.kind) + by) % len(kinds)]
        self._show()

    def action_scope(self) -> None:
        """This pane, everything, or the whole session with its notes."""
        if self.everything:
            scopes = (self.pane, "all", SESSION)
            self.scope = scopes[(scopes.index(self.scope) + 1) % len(scopes)]
            self._show()

    @property
    def _scope(self) -> str:
        """A diagram is of the circuit, whatever else is there."""
        return self.pane if self.kind in DIAGRAM_FORMATS else self.scope

    def _show(self) -> None:
        ink = inks(self.app.current_theme.dark)
        for kind, about in self.formats.items():
            here = kind == self.kind
            style = Style(color=ink.accent if here else ink.muted, bold=here)
            mark = "▸" if here else " "
            self.query_one(f"#format-{kind}", Line).set(Text(f"{mark} {kind:<5} {about}", style))
        everything = "the whole screen" if self.kind == "svg" else "everything"
        one = f"this pane ({self.pane})" if self.everything else f"this run ({self.pane})"
        what = one if self._scope == self.pane else everything
        if self._scope == SESSION:
            what = "the session, its notes as the text"
        if self.kind in DIAGRAM_FORMATS:
            what = "the circuit"
        self.query_one("#scope", Line).set(
            Text.assemble(("\u2002of    ", ink.muted), (what, ink.text))
        )
        field = self.query_one(Input)
        if field.value == self._proposed:
            path = propose(self.model, self._scope, self.kind, self.folder)
            self._proposed = visible(short(path))
            field.value = self._proposed
            field.cursor_position = len(field.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter."""
        event.stop()
        if event.value.strip():
            path = expanded(event.value.strip())
            if self._scope == SESSION and self.kind not in REPORTS:
                self._hint(f"A session is written as {', '.join(REPORTS)}: ↑ ↓ choose")
                return
            if path.is_file() and path != self._known:
                self._known = path  # never over a file unasked
                self._hint(f"{path.name} exists: Enter again writes over it")
                return
            self.dismiss(Choice(self.kind, self._scope, path))

    def _hint(self, text: str) -> None:
        self.query_one("#export-hint", Line).set(Text(visible(text)))
