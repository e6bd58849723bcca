"""Logits: what each part writes straight into the answer, sorted; beside it the edited run's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.text import Text
from textual.widget import Widget

from interpboard.display import visible
from tui import keys, words
from tui.panes.base import Pane, Select
from tui.questions import looked_at
from tui.state import Selection
from tui.widgets.bars import Bar, Bars

if TYPE_CHECKING:
    import numpy as np

    from interpboard.results import Result

_PART = re.compile(r"L(\d+) (?:H(\d+)|mlp|bias|edit)")
# What the bars are sorted by; by change only while something is held.
ORDERS = {"size": "by size", "change": "by change", "model": "in the model's order"}


class LogitsPane(Pane):
    """Direct logit attribution by component, clean and edited: exact, they sum to the logit."""

    number, title, slot = 6, "Logits", "logits"
    leans_on = ("logits_edited",)
    BINDINGS = keys.bindings("logits")

    def __init__(self, select: Select) -> None:
        super().__init__(select)
        self.list = Bars(self._moved, id="components")
        self.by = "size"
        self._shown: object = None
        self._order: list[int] = []
        self._names: tuple[str, ...] = ()
        self._values: np.ndarray | None = None  # [clean and, while something is held, edited; part]
        self._sizes: np.ndarray  # [part], by which they are ranked

    def body(self) -> Iterable[Widget]:
        """The list."""
        return (self.list,)

    @property
    def order(self) -> str:
        """How the parts are sorted: by change where there is one."""
        return "size" if self.by == "change" and self._edited() is None else self.by

    def _edited(self) -> Result | None:
        """The parts of both runs, if they explain the same number as those of the clean one."""
        edited, result = self.state.edited("logits_edited"), self.data.result
        return (
            edited
            if edited is not None and result is not None and (edited.metric == result.metric)
            else None
        )

    def fill(self) -> None:
        """One bar a component: what it writes, edited where something is held."""
        result, edited = self.data.result, self._edited()
        shown = (result, edited, self.order)
        if shown == self._shown:
            return
        before, self._shown = self._under_cursor(), shown
        if result is None:
            self._values, self._order = None, []
            self.list.show(())
            return
        import numpy as np

        source = edited if edited is not None else result
        self._names = source.axes[0].labels
        self._values = values = source.values.reshape(len(self._names), -1).T
        sizes = np.abs(values).max(0)
        self._sizes = np.abs(values[-1] - values[0]) if self.order == "change" else sizes
        keys = np.arange(len(self._names)) if self.order == "model" else -self._sizes
        self._order = [int(i) for i in np.argsort(keys, kind="stable")]
        limit = float(np.abs(values).max()) or 1.0
        self.list.show([self._bar(at, values, limit) for at in self._order])
        if before in self._names:  # the cursor stays on its component, wherever that now stands
            self.list.put(self._order.index(self._names.index(before)))

    def _bar(self, at: int, values: np.ndarray, limit: float) -> Bar:
        digits = 3 if len(values) == 1 else 2
        numbers = " → ".join(words.signed(float(value), digits) for value in values[:, at])
        return Bar(visible(self._names[at]), numbers, float(values[-1, at]) / limit)

    def _under_cursor(self) -> str:
        at = self.list.cursor
        return self._names[self._order[at]] if at < len(self._order) else ""

    def next_view(self) -> None:
        """By size, by change, or in the order of the model."""
        names = [name for name in ORDERS if name != "change" or self._edited() is not None]
        self.by = names[(names.index(self.order) + 1) % len(names)]
        self.fill()
        self.refresh_words()

    def subtitle(self) -> str:
        """What they sum to."""
        result, more = self.data.result, ""
        if self._edited() is not None:
            more = f"; → edited{' of before' if self.state.stale('logits_edited') else ''}"
        return f"into {words.metric_name(result.metric)}{more}" if result is not None else ""

    def readout(self) -> Text:
        """The component under the cursor."""
        result, values = self.data.result, self._values
        if result is None or values is None or self.list.cursor >= len(self._order):
            return Text()
        at = self._order[self.list.cursor]
        value = float(values[0, at])
        rank = 1 + int((self._sizes > self._sizes[at]).sum())
        text = Text.assemble(
            (f" {visible(self._names[at])}", self.ink("text", bold=True)),
            (f"  {words.signed(value)}", self.ink("accent", bold=True)),
        )
        if len(values) > 1:
            after = float(values[1, at])
            text.append(f" → {words.signed(after)}", self.ink("accent", bold=True))
            text.append(f" ({words.signed(after - value)})", self.ink("text"))
        text.append(f"  rank {rank}/{values.shape[1]}", self.ink("text"))
        text.append("  exact", self.ink("muted"))
        sums = [words.plain(float(total), 2) for total in values.sum(1)]
        return text.append(f"  of {' → '.join(sums)}", self.ink("text"))

    def legend(self) -> Text:
        """What the numbers are."""
        text = Text(f" logits, {ORDERS[self.order]}; + raises", self.ink("text"))
        text.append("  direct effect only, exact", self.ink("muted"))
        return text

    def meet(self, selection: Selection) -> bool:
        """The selected head or MLP; of a whole layer the head that is looked at."""
        if self._values is None or selection.layer is None:
            return False
        head = looked_at(replace(self.state, selection=selection))[1]
        part = "mlp" if selection.mlp else f"H{head}"
        name = f"L{selection.layer} {part}" if selection.layer >= 0 else "embed"
        if name not in self._names:
            return False
        return self.list.put(self._order.index(self._names.index(name)))

    def _moved(self) -> None:
        name = self._under_cursor()
        part = _PART.fullmatch(name)
        if part is not None:
            head = int(part[2]) if part[2] is not None else None
            self.select(layer=int(part[1]), head=head, mlp=name.endswith("mlp"))
        elif name == "embed":
            self.select(layer=-1, head=None, mlp=False)
        self.refresh_readout()
