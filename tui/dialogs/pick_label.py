"""Choose a label of a classifier: all there are, with the probability of each where it is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.style import Style
from rich.text import Text

from interpboard.display import fit, visible
from tui.dialogs.pick import PickScreen
from tui.theme import Inks

_WIDTH = 44


class PickLabelScreen(PickScreen[str]):
    """Answers with what names the label, its index where two are called alike; empty: what ``empty`` says.

    ``number`` writes what the model gives a label, by index, empty where that is not known. ``texts``: of a
    sentence encoder, whose labels are components: what is typed is a second text unless it begins with #.
    """

    def __init__(
        self,
        title: str,
        labels: Sequence[str],
        value: str,
        empty: str,
        number: Callable[[int], str],
        hints: tuple[str, ...] = (),
        texts: bool = False,
    ) -> None:
        holder = "a part of a label, or #1 for its index"
        super().__init__(title, hints, value, "a text, or #5" if texts else f"type {holder}")
        self.texts = texts
        self.labels, self.empty, self.number = tuple(labels), empty, number

    def narrow(self, typed: str) -> None:
        """Labels in which the text occurs, or the one of that index."""
        wanted = typed.casefold()
        if self.texts and typed:
            self.rows = [at for at in range(len(self.labels)) if typed == f"#{at}"]
            self.at = len(self.rows) - 1
            return
        self.rows = [
            at
            for at, label in enumerate(self.labels)
            if wanted in label.casefold() or typed == f"#{at}"
        ]
        exact = [at for at in self.rows if typed in (self.labels[at], f"#{at}")]
        if not typed:
            self.rows.insert(0, -1)
        self.at = self.rows.index(exact[0]) if exact else min(0, len(self.rows) - 1)

    def draw(self, row: int, here: bool, ink: Inks) -> Text:
        """`` POSITIVE    #1   62.1 %``."""
        style = Style(color=ink.accent if here else ink.text, bold=here)
        if row < 0:
            return Text(self.empty, style)
        text = Text(fit(visible(self.labels[row]), _WIDTH), style)
        return text.append(f" #{row:<4}", ink.muted).append(self.number(row), ink.text)

    def advice(self, typed: str, ink: Inks) -> Text:
        """How many labels there are, or that none has the text in it."""
        if self.texts:
            return Text(
                f"a second text to compare with, or #0 to #{len(self.labels) - 1}", ink.muted
            )
        if not self.rows:
            return Text("no label has this in it", ink.warning)
        count = len(self.labels)
        many = f"{count} label{'s' if count > 1 else ''}"
        found = len([row for row in self.rows if row >= 0])
        return Text(many if not typed else f"{found} of {many}", ink.muted)

    def answer(self, typed: str) -> str | None:
        """The chosen label; None where none has the text in it."""
        if self.chosen is None:
            return typed if self.texts else None
        if self.chosen < 0:
            return ""
        name = self.labels[self.chosen]
        alone = (
            not self.texts
            and self.labels.count(name) == 1
            and name
            and not name.startswith(("#", "\\"))
        )
        return name if alone else f"#{self.chosen}"
