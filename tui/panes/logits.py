"""Logits: what each part writes straight into the answer, sorted; beside it the edited run's."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rich.text import Text
from textual.widget import Widget

from interpboard.display import visible
from tui import keys, words
from tui.panes.base import Pane, Select
from tui.state import Selection
from tui.widgets.bars import Bar, Bars

_PART = re.compile(r"L(\d+) (?:H(\d+)|mlp|bias)")


class LogitsPane(Pane):
    """Direct logit attribution by component: exact, they sum to the logit."""

    number, title, slot = 6, "Logits", "logits"
    BINDINGS = keys.bindings("logits")

    def __init__(self, select: Select) -> None:
        super().__init__(select)
        self.list = Bars(self._moved, id="components")
        self.by_size = True
        self._shown: object = None
        self._order: list[int] = []

    def body(self) -> Iterable[Widget]:
        """The list."""
        return (self.list,)

    def fill(self) -> None:
        """One bar a component."""
        result = self.data.result
        shown = (result, self.by_size)
        if shown == self._shown:
            return
        self._shown = shown
        if result is None:
            self.list.show(())
            return
        import numpy as np

        values = result.values
        self._order = [int(i) for i in np.argsort(-np.abs(values), kind="stable")]
        if not self.by_size:
            self._order = list(range(len(values)))
        limit = float(np.abs(values).max()) or 1.0
        names = result.axes[0].labels
        bars = [
            Bar(visible(names[i]), words.signed(float(values[i])), float(values[i]) / limit)
            for i in self._order
        ]
        self.list.show(bars)

    def next_view(self) -> None:
        """By size, or in the order of the model."""
        self.by_size = not self.by_size
        self.fill()
        self.refresh_words()

    def subtitle(self) -> str:
        """What they sum to."""
        result = self.data.result
        return f"into {words.metric_name(result.metric)}" if result is not None else ""

    def readout(self) -> Text:
        """The component under the cursor."""
        result = self.data.result
        if result is None or self.list.cursor >= len(self._order):
            return Text()
        at = self._order[self.list.cursor]
        value = float(result.values[at])
        rank = 1 + int((abs(result.values) > abs(value)).sum())
        text = Text.assemble(
            (f" {visible(result.axes[0].labels[at])}", self.ink("text", bold=True)),
            (f"  {words.signed(value)}", self.ink("accent", bold=True)),
            (f"  rank {rank}/{result.values.size}", self.ink("text")),
        )
        if result.baseline is not None:
            text.append(f"  of {words.plain(result.baseline, 2)}", self.ink("text"))
        return text

    def legend(self) -> Text:
        """What the numbers are."""
        order = "by size" if self.by_size else "in the model's order"
        text = Text(f" logits, {order}; + raises", self.ink("text"))
        text.append("  direct effect only, exact", self.ink("muted"))
        return text

    def meet(self, selection: Selection) -> bool:
        """The selected head, or the MLP of the selected layer."""
        result = self.data.result
        if result is None or selection.layer is None or selection.layer < 0:
            return False
        part = "mlp" if selection.head is None else f"H{selection.head}"
        name = f"L{selection.layer} {part}"
        labels = result.axes[0].labels
        if name not in labels:
            return False
        return self.list.put(self._order.index(labels.index(name)))

    def _moved(self) -> None:
        result = self.data.result
        if result is not None and self.list.cursor < len(self._order):
            part = _PART.fullmatch(result.axes[0].labels[self._order[self.list.cursor]])
            if part is not None:
                head = int(part[2]) if part[2] is not None else None
                self.select(layer=int(part[1]), head=head)
        self.refresh_readout()
