"""Neurons: which write most into the answer, what the chosen one speaks for, and where it is most active."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from rich.text import Text
from textual.containers import Container, Horizontal
from textual.widget import Widget

from interpboard.display import visible
from tui import scales, words
from tui.commands.command import bindings
from tui.commands.command import shown_keys as shown_key
from tui.commands.places import MOVES
from tui.session.selection import Selection
from tui.slots.neurons import examples
from tui.slots.neurons.finding import NeuronSearch
from tui.slots.neurons.keys import KEYS
from tui.slots.neurons.listing import (
    example_rows,
    listed_with_all,
    most_active_at,
    neuron_bar,
    neuron_name,
    strongest_neurons,
    token_bars,
)
from tui.slots.neurons.selected import selected_neuron, written_neuron
from tui.slots.neurons.unwritten import LEGEND, peak_words, shown_values, unwritten
from tui.slots.pane import Pane
from tui.slots.pane_contract import Select
from tui.slots.spec import Slot
from tui.widgets.bars import Bars
from tui.widgets.cells import Several
from tui.widgets.line import OPTIONAL
from tui.widgets.rows import Row, Rows

if TYPE_CHECKING:
    import numpy as np
    from textual.timer import Timer

    from interpboard.results import Result


class NeuronsPane(Pane):
    """Neurons by contribution at the explained position; the tokens and examples of the chosen one."""

    noted_kinds = ("neuron",)

    detailed = True
    BINDINGS = bindings(KEYS, before=MOVES)

    def __init__(self, slot: Slot, select: Select) -> None:
        super().__init__(slot, select)
        self.list = Bars(self._moved, id="neuron-list")
        self.promoted = Bars(id="promoted")
        self.suppressed = Bars(id="suppressed")
        self.examples = Rows(id="neuron-examples")
        finding = NeuronSearch(
            lambda: self.listed_neurons,
            lambda: self.chosen,
            self._contributions,
            self._show_neuron,
            lambda: self.names_of_layers,
        )
        self._searched = Several(finding, self.promoted, self.suppressed)
        self.of_layer: int | None = None  # list this layer only
        self.listed_neurons: list[tuple[int, int]] = []
        self._listed: object = None
        self._exemplified: object = None
        self._awaited: Timer | None = None

    def body(self) -> Iterable[Widget]:
        """The list and the tokens of the chosen neuron, and below them its examples."""
        tokens = Container(self.promoted, self.suppressed, id="neuron-tokens")
        return (Horizontal(self.list, tokens, id="neuron-parts"), self.examples)

    @property
    def view(self) -> Widget:
        """The list takes the focus."""
        return self.list

    @property
    def searched(self) -> Several:
        """The list, and the tokens of the chosen neuron."""
        return self._searched

    @property
    def chosen(self) -> tuple[int, int] | None:
        """(layer, neuron) under the cursor."""
        at = self.list.cursor
        return self.listed_neurons[at] if at < len(self.listed_neurons) else None

    @property
    def names_of_layers(self) -> tuple[str, ...]:
        """The names of the layers that were looked into."""
        return self.data.result.axes[0].labels if self.data.result is not None else ()

    @property
    def looked_at(self) -> Result | None:
        """What is known of the neuron under the cursor."""
        result, chosen = self.state.slots["chosen_neuron"].result, self.chosen
        if result is None or chosen is None:
            return None
        if self.state.slots["chosen_neuron"].question != self.data.question:
            return None
        return (
            result
            if result.params["neuron"] == written_neuron(self.names_of_layers, chosen)
            else None
        )

    def fill(self) -> None:
        """The list, with the cursor on the neuron that is selected, and what is known of that one."""
        self._list(selected_neuron(self.state))
        self._show_tokens()
        self.cursor_rested()

    def _list(self, selected: tuple[int, int] | None, stays: bool = True) -> None:
        """List the strongest, and ``selected`` wherever it stands; see ``Bars.put``."""
        result = self.data.result
        if result is None:
            self.listed_neurons, self._listed = [], None
            self.list.show(())
            return
        if selected is not None and (self.of_layer is not None or unwritten(result, selected[0])):
            self.of_layer = selected[0]
        listed = (result, self.of_layer)
        if listed != self._listed or (selected and selected not in self.listed_neurons):
            self._listed = listed
            values = shown_values(result, self.of_layer)
            self.listed_neurons = strongest_neurons(values, self.of_layer, selected)
            sizes = (abs(float(values[at])) for at in self.listed_neurons)
            limit = max(sizes, default=0.0) or 1.0
            bar = partial(neuron_bar, self.names_of_layers)
            self.list.show([bar(at, float(values[at]), limit) for at in self.listed_neurons])
        if selected in self.listed_neurons:
            self.list.put(self.listed_neurons.index(selected), stays)

    def _contributions(self, layer: int | None = None) -> np.ndarray | None:
        """By which the list goes; ``layer``: where that one is listed."""
        result = self.data.result
        layer = self.of_layer if layer is None else layer
        return shown_values(result, layer) if result is not None else None

    def _show_neuron(self, neuron: tuple[int, int]) -> None:
        """List ``neuron`` too, instead of one that was found before, with the cursor on it."""
        self._listed = None
        self._list(neuron, stays=False)
        self._moved()

    def next_view(self) -> None:
        """The neurons of all layers, or of the cursor's layer only."""
        chosen = before = self.chosen
        self.of_layer = None if self.of_layer is not None or chosen is None else chosen[0]
        if self.of_layer is None and chosen is not None:
            chosen = listed_with_all(self.data.result, chosen)
        self._list(chosen)
        if chosen != before:
            self._moved()
        self.refresh_words()

    @property
    def _comes_soon(self) -> bool:
        """Is more of the chosen neuron asked, while what is shown is of the same prompt and model?"""
        answer = self.state.slots["chosen_neuron"]
        same = answer.question == self.data.question and not self.state.previous("chosen_neuron")
        return same and answer.job is not None

    def _show_tokens(self, wait: bool = True) -> None:
        """What a unit of the chosen neuron does to the logits, ends of the vocabulary only.

        While the answer comes those of the neuron before may stay for a moment: taking them away and
        putting others there is two repaints. ``wait``: not if it does not come soon.
        """
        found = self.looked_at
        both = ((self.promoted, "promoted"), (self.suppressed, "suppressed"))
        if self._awaited is not None and (found is not None or not wait):
            self._awaited.stop()
            self._awaited = None
        if found is None or "promoted" not in found.extra:
            if found is None and wait and self._comes_soon:
                from tui.terminal import timers

                late = partial(self._show_tokens, wait=False)
                self._awaited = self._awaited or self.app.set_timer(timers.SOON_S, late)
                return
            none = found is not None or unwritten(self.data.result, self.of_layer)
            for bars, name in both:  # what writes into no vocabulary has no list to head
                bars.show((), "" if none else name)
            return
        for bars, name in both:
            rows, factor = token_bars(found, name)
            bars.show(rows, name, factor)

    # -- words ------------------------------------------------------------------------------------

    def subtitle(self) -> str:
        """What they write into, and from where."""
        result, prompt = self.data.result, self.data.prompt
        if result is None or prompt is None:
            return ""
        if unwritten(result, self.of_layer):
            return "in the source"
        at = result.metric.position
        where = f"{at} {words.token(prompt.tokens[at])}"
        return f"into {words.metric_name(result.metric)} at {where}"

    def part(self) -> str:
        """The neuron under the cursor."""
        return neuron_name(self.names_of_layers, self.chosen) if self.chosen is not None else ""

    def readout(self) -> Text:
        """The neuron under the cursor."""
        result, chosen = self.data.result, self.chosen
        if result is None or chosen is None:
            return Text()
        if unwritten(result, chosen[0]):
            name = (f" {neuron_name(self.names_of_layers, chosen)}", self.ink("text", bold=True))
            return Text.assemble(name, f"  {peak_words(result, self.data.prompt, chosen)}")
        value = float(result.values[chosen])
        known = abs(result.values[result.values == result.values])
        active = float(result.extra["activation"].values[chosen])
        text = Text.assemble(
            (f" {neuron_name(self.names_of_layers, chosen)}", self.ink("text", bold=True)),
            (f"  {words.signed(value)}", self.ink("accent", bold=True)),
        )
        said = scales.side(self.data, value)
        text.append(f" {said}" if said else "", self.ink("muted"))
        rank = 1 + int((known > abs(value)).sum())
        text.append(f"  rank {rank}/{known.size}", self.ink("text") + OPTIONAL)
        text.append("  exact", self.ink("muted"))
        return text.append(f"  activation {words.unsigned(active, 2)}", self.ink("text") + OPTIONAL)

    def details(self) -> Text:
        """Where in this prompt the neuron is most active, or why more is not known of it."""
        found, prompt, slot = self.looked_at, self.data.prompt, self.state.slots["chosen_neuron"]
        if found is None or prompt is None:
            return Text(f" {visible(slot.failure) or '…'}", self.ink("muted"))
        place, value = most_active_at(found, prompt)
        text = Text(" in this prompt most active at ", self.ink("muted"))
        text.append(place, self.ink("text"))
        return text.append(f": {value}", self.ink("text"))

    def legend(self) -> Text:
        """What the numbers are."""
        which = (
            "all layers"
            if self.of_layer is None
            else f"layer {self.names_of_layers[self.of_layer]}"
        )
        result = self.data.result
        if unwritten(result, self.of_layer):
            return Text(f" {which}: {LEGEND}", self.ink("text"))
        text = Text(f" logits, {which}; {scales.sides(self.data)}", self.ink("text"))
        text.append("  direct, exact", self.ink("muted"))
        for warning in result.warnings if result is not None else ():
            text.append(f"  {visible(warning)}", self.ink("warning"))
        return text

    def lines_in_full(self) -> list[str]:
        """And the sentences that stand where the examples would."""
        sentences = [row.lead for row in self.examples.rows if not row.token]
        return [*super().lines_in_full(), *sentences]

    # -- examples ---------------------------------------------------------------------------------

    def cursor_rested(self) -> None:
        """Read the examples of the neuron where the cursor rests."""
        model, chosen = self.state.model, self.chosen
        asked = (self.state.examples, model, chosen, self.state.slots["collecting"].result)
        if asked == self._exemplified:
            return
        self._exemplified = asked
        self._show_tokens()
        if model is None or chosen is None:
            self.examples.set(())
            return
        path = self.state.examples
        if not path or model.info.layer_names:
            keys = (shown_key("collect_examples"), shown_key("examples_file"))
            self.examples.set([Row(line) for line in examples.how_to_have(model.info, *keys)])
            return
        found = examples.found(path, model.info, chosen)
        if isinstance(found, str):
            self.examples.set((Row(visible(found)),))
            return
        rows = example_rows(neuron_name(self.names_of_layers, chosen), found)
        self.examples.set(rows)

    # -- the cursor -------------------------------------------------------------------------------

    def follow(self, selection: Selection) -> bool:
        """The strongest neuron of the selected MLP, unless the cursor is in its layer; a head has none."""
        result, layer, before = self.data.result, selection.layer, self.chosen
        if result is None or layer is None or not 0 <= layer < len(result.values):
            return False
        if not selection.mlp:
            return False
        if before is not None and before[0] == layer:
            return False
        of_layer = strongest_neurons(shown_values(result, layer)[layer : layer + 1], None, None)
        if not of_layer:  # it has no neurons that can be told apart
            return False
        if self.of_layer is not None and unwritten(result, self.of_layer):
            self.of_layer = None
        self._list((layer, of_layer[0][1]))
        return self.chosen != before

    def _moved(self) -> None:
        self._searched.leave()
        chosen = self.chosen
        if chosen is not None:
            self.select(layer=chosen[0], head=None, mlp=True, neuron=chosen)
        self.refresh_readout()
