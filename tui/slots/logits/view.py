"""Logits: what each part writes straight into the answer, sorted; beside it the edited run's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.text import Text
from textual.widget import Widget

from interpboard.display import visible
from interpboard.registry.component_names import MLP, layer_name, shown_component
from interpboard.registry.layer_names import layer_names
from tui import scales, words
from tui.commands.command import bindings
from tui.commands.places import MOVES
from tui.session.selection import Selection
from tui.slots.heads.selected import selected_head
from tui.slots.logits.keys import KEYS
from tui.slots.logits.spec import LOGITS_EDITED
from tui.slots.pane import Pane
from tui.slots.pane_contract import Select
from tui.slots.spec import Slot
from tui.widgets.bars import Bar, Bars
from tui.widgets.line import OPTIONAL

if TYPE_CHECKING:
    import numpy as np

    from interpboard.results import Result

_PART = re.compile(r"L?([EDX]?\d+)(?: (?:H(\d+)|MLP|bias|edit))?")
# What the bars are sorted by; by change only while an intervention is on.
# The last view is of layers: the sum of all parts up to and with each.
ORDERS = {
    "size": "by size",
    "change": "by change",
    "model": "in the model's order",
    "layers": "summed by layer, biases first",
}


class LogitsPane(Pane):
    """Direct logit attribution by component, clean and edited: exact, they sum to the logit."""

    of_heads = True
    noted_kinds = ("head", "mlp")

    BINDINGS = bindings(KEYS, before=MOVES)

    def __init__(self, slot: Slot, select: Select) -> None:
        super().__init__(slot, select)
        self.list = Bars(self._moved, id="components")
        self.by = "size"
        self._shown: object = None
        self._order: list[int] = []
        self._names: tuple[str, ...] = ()
        self.values: np.ndarray | None = (
            None  # [clean and, while an intervention is on, edited; part]
        )
        self._sizes: np.ndarray  # [part], by which they are ranked

    def body(self) -> Iterable[Widget]:
        """The list."""
        return (self.list,)

    @property
    def order(self) -> str:
        """How the parts are sorted: by change where there is one; or that they are summed."""
        return self.by if self.by in self._views() else "size"

    @property
    def by_size(self) -> bool:
        """Does what matters most stand at the top?"""
        return self.order in ("size", "change")

    def _views(self) -> list[str]:
        """The views that there are: older results have no sums."""
        result = self.data.result
        without = {"change"} if self._edited() is None else set()
        if result is None or "accumulated" not in result.extra:
            without.add("layers")
        return [name for name in ORDERS if name not in without]

    def shows_edited(self) -> bool:
        """Once the edited run is there."""
        return self._edited() is not None

    def _edited(self) -> Result | None:
        """The parts of both runs, if they explain the same number as those of the clean one."""
        edited, result = self.state.edited("logits_edited"), self.data.result
        return (
            edited
            if edited is not None
            and result is not None
            and edited.metric == result.metric
            and self.data.question == self.state.question
            else None
        )

    def fill(self) -> None:
        """One bar a component: what it writes, edited where an intervention is on."""
        result, edited = self.data.result, self._edited()
        shown = (result, edited, self.order)
        if shown == self._shown:
            return
        before, self._shown = self._under_cursor(), shown
        if result is None:
            self.values, self._order = None, []
            self.list.show(())
            return
        import numpy as np

        source = edited if edited is not None else result
        self._names, values = _sums(result, edited) if self.order == "layers" else _parts(source)
        self.values = values
        sizes = np.abs(values).max(0)
        self._sizes = np.abs(values[-1] - values[0]) if self.order == "change" else sizes
        as_they_are = self.order in ("model", "layers")
        keys = np.arange(len(self._names)) if as_they_are else -self._sizes
        self._order = [int(i) for i in np.argsort(keys, kind="stable")]
        limit = float(np.abs(values).max()) or 1.0
        self.list.show([self._bar(at, values, limit) for at in self._order])
        at = self._nearest(before)
        if at is not None:  # the cursor stays on its component, wherever that now stands
            self.list.put(at, stays=self.by_size)

    def _bar(self, at: int, values: np.ndarray, limit: float) -> Bar:
        digits = 3 if len(values) == 1 else 2
        numbers = " → ".join(words.signed(float(value), digits) for value in values[:, at])
        name = self._names[at]
        part = _PART.fullmatch(name)
        written = f"{part[1]}.{part[2]}" if part is not None and part[2] else ""
        share = float(values[-1, at]) / limit
        names = (written,) if written else self._in_layer(name)
        return Bar(visible(name), numbers, share, names=names)

    def _in_layer(self, name: str) -> tuple[str, ...]:
        """The heads that are in the sum of a layer, which they are found by."""
        model, layer = self.state.model, name.removeprefix("L")
        if self.order != "layers" or model is None or layer not in layer_names(model.info):
            return ()
        return tuple(f"{layer}.{head}" for head in range(model.info.heads))

    def _nearest(self, before: str) -> int | None:
        """The row of the component ``before``; of its layer, where layers are shown, or the other way."""
        if not before:
            return None
        names = [self._names[at] for at in self._order]
        layer = before.split()[0]
        alike = (before, layer) if self.order == "layers" else (before,)
        found = [at for at, name in enumerate(names) if name in alike or name.split()[0] == before]
        return found[0] if found else None

    def _under_cursor(self) -> str:
        at = self.list.cursor
        return self._names[self._order[at]] if at < len(self._order) else ""

    def next_view(self) -> None:
        """By size, by change, in the order of the model, or summed by layer."""
        names = self._views()
        self.by = names[(names.index(self.order) + 1) % len(names)]
        self.fill()
        self.refresh_words()

    def subtitle(self) -> str:
        """What they sum to."""
        result, more = self.data.result, ""
        if self._edited() is not None:
            more = f"; → edited{' by an older list' if LOGITS_EDITED.stale(self.state) else ''}"
        return f"into {words.metric_name(result.metric)}{more}" if result is not None else ""

    def part(self) -> str:
        """The head or MLP under the cursor."""
        return self._under_cursor()

    def readout(self) -> Text:
        """The component under the cursor."""
        result, values = self.data.result, self.values
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
        if self.order == "layers":
            steps = [float(own[at] - own[at - 1]) if at else float(own[0]) for own in values]
            text.append(f"  this layer {' → '.join(map(words.signed, steps))}", self.ink("text"))
        else:
            text.append(f"  rank {rank}/{values.shape[1]}", self.ink("text") + OPTIONAL)
        text.append("  exact", self.ink("muted"))
        totals = values[:, -1] if self.order == "layers" else values.sum(1)
        sums = [words.unsigned(float(total), 2) for total in totals]
        return text.append(f"  of {' → '.join(sums)}", self.ink("text"))

    def legend(self) -> Text:
        """What the numbers are."""
        text = Text(f" logits, {ORDERS[self.order]}; {scales.sides(self.data)}", self.ink("text"))
        text.append("  direct only, exact", self.ink("muted"))
        for warning in self.data.result.warnings if self.data.result is not None else ():
            text.append(f"  {visible(warning)}", self.ink("muted") + OPTIONAL)
        return text

    def follow(self, selection: Selection) -> bool:
        """The selected head or MLP; of a whole layer the head that is looked at."""
        if self.values is None or selection.layer is None:
            return False
        head = selected_head(replace(self.state, selection=selection))[1]
        part = "" if self.order == "layers" else " MLP" if selection.mlp else f" H{head}"
        layers, at = self._names_of_layers(), selection.layer
        layer = layer_name(layers[at] if 0 <= at < len(layers) else at)
        name = f"{layer}{part}" if at >= 0 else "embed"
        if name not in self._names:
            return False
        return self.list.put(self._order.index(self._names.index(name)), stays=self.by_size)

    def _names_of_layers(self) -> tuple[str, ...]:
        model = self.state.model
        return layer_names(model.info) if model is not None else ()

    def _moved(self) -> None:
        name = self._under_cursor()
        part = _PART.fullmatch(name)
        layers = self._names_of_layers()
        if part is not None and part[1] in layers:
            head = int(part[2]) if part[2] is not None else None
            self.select(layer=layers.index(part[1]), head=head, mlp=name.endswith(MLP))
        elif name == "embed":
            self.select(layer=-1, head=None, mlp=False)
        self.refresh_readout()


def _parts(result: Result) -> tuple[tuple[str, ...], np.ndarray]:
    """Components and what they write [run, component]."""
    names = tuple(map(shown_component, result.axes[0].labels))
    return names, result.values.reshape(len(names), -1).T


def _sums(clean: Result, edited: Result | None) -> tuple[tuple[str, ...], np.ndarray]:
    """Layers and the sums up to them [run, layer]; of the clean run alone where the other has none."""
    both = edited is not None and "accumulated" in edited.extra
    sums = (edited if both and edited is not None else clean).extra["accumulated"]
    labels = sums.axes[0].labels
    names = tuple(label if label == "embed" else layer_name(label) for label in labels)
    return names, sums.values.reshape(len(labels), -1).T
