"""A vector added to the stream over a range of scales: the metric, and what the model then says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.style import Style
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from interpboard.display import visible
from interpboard.errors import BadParameter
from interpboard.registry.layer_names import layer_names
from tui import words
from tui.commands.command import bindings, keyed
from tui.dialogs.plot import Plotted
from tui.session.state import Request, State
from tui.slots.screen import SlotScreen
from tui.slots.spec import Slot
from tui.slots.steering.keys import KEYS
from tui.slots.steering.vectors import FILES_OWN, SIDES, intervention, prompts_of_side
from tui.widgets.bars import Bar, Bars
from tui.widgets.line import Line
from tui.widgets.message import MessageLine

if TYPE_CHECKING:
    from interpboard.results import Result
    from tui.controllers.controllers import Controllers

NOTHING_YET = "\n{key:steering_direction} says what the vector points to, or which file has it."


class SteeringScreen(SlotScreen):
    """Scales with the effect of each above, the text that each continues with below."""

    heading = "{key:steering} Steering"
    BINDINGS = bindings(KEYS)
    DEFAULT_CSS = """
    SteeringScreen { background: $background; layout: vertical; }
    #scales { height: auto; max-height: 40%; }
    #steered { height: 1fr; background: $background; padding: 1 1 0 1; scrollbar-size: 1 1; }
    """

    def __init__(self, slot: Slot, host: Controllers) -> None:
        super().__init__(slot, host)
        self.scales = Bars(self._moved, id="scales")
        self.of: Result | None = None

    def compose(self) -> ComposeResult:
        """Title, the vector, its scales, the texts, the scale under the cursor, footer."""
        yield Line(id="steering-title")
        yield Line(id="steering-vector")
        yield self.scales
        with VerticalScroll(id="steered", can_focus=False):
            yield Static()
        yield Line(id="steering-readout")
        yield MessageLine()
        yield Line(id="steering-footer")

    def on_mount(self) -> None:
        """What is known already; a vector that was chosen before is tried on the current prompt."""
        self.scales.focus()
        self.host.session.ensure(self.place)
        self._texts()
        self.show(self.host.state)

    def show(self, state: State) -> None:
        """Show a snapshot."""
        if not self.composed:
            return
        result = state.slots[self.place].result
        if result is not self.of:
            first, self.of = self.of is None, result
            self._bars(state)
            if first and result is not None:
                self.scales.put(result.values.size - 1)
            self._texts()
        else:
            self._bars(state)
        self._title(state)
        self.query_one("#steering-readout", Line).set(self.readout())

    @property
    def searched(self) -> Bars:
        """The scales, by what the model says at each."""
        return self.scales

    def _title(self, state: State) -> None:
        self.query_one("#steering-title", Line).set(self.title_line(state, self.of))
        self.query_one("#steering-vector", Line).set(self._vector())
        first, hidden = "steering_direction", "steering_cancel"
        if state.busy:
            first, hidden = hidden, first
        self.query_one("#steering-footer", Line).set(self.hints(hidden, first))

    def _vector(self) -> Text:
        if self.of is None:
            return Text()
        params, ink = self.of.params, self.ink
        text = Text(f" added behind layer {self._layer_name(int(params['layer']))}", ink.text)
        length = words.scalar(self.of.extra["norm"])
        if length is not None:
            text.append(f", length {words.unsigned(length, 2)}", ink.text)
        if params["vector"]:
            return text.append(f"  {visible(str(params['vector']))}", ink.muted)
        for side, sign in zip(SIDES, "+−", strict=True):
            prompts = prompts_of_side(params[side])
            more = f" and {len(prompts) - 1} more" if len(prompts) > 1 else ""
            text.append(f"  {sign} ", ink.accent).append(
                f"“{words.shorten(visible(prompts[0]))}”{more}", ink.muted
            )
        return text

    def _bars(self, state: State) -> None:
        if self.of is None:
            self.scales.show(())
            return
        on = {item.text for item in state.interventions.on}
        largest = float(abs(self.of.values).max()) or 1.0
        labels, texts = self.of.axes[0].labels, self.of.extra["text"].values
        bars = [
            Bar(f"{_minus(label):>6}{' on  ' if self._item(at) in on else '     '}",
                words.signed(float(value)), float(value) / largest, strong=float(label) == 0.0,
                names=(label, str(texts[at])))
            for at, (label, value) in enumerate(zip(labels, self.of.values, strict=True))
        ]  # fmt: skip
        self.scales.show(bars, " scale      effect")

    def _texts(self) -> None:
        view = self.query_one(Static)
        if self.of is None:
            view.update(Text(keyed(NOTHING_YET)))
            return
        ink, grid = self.ink, Table.grid(padding=(0, 1), expand=True)
        grid.add_column(width=6, justify="right")
        grid.add_column(ratio=1, overflow="fold")
        texts = self.of.extra["text"].values
        for at, (label, text) in enumerate(zip(self.of.axes[0].labels, texts, strict=True)):
            here = at == self.scales.cursor
            grid.add_row(
                Text(_minus(label), Style(color=ink.accent if here else ink.muted, bold=here)),
                Text(visible(str(text)), Style(color=ink.text if here else ink.muted, bold=here)),
            )
        view.update(grid)

    @property
    def scale(self) -> float:
        """The scale under the cursor."""
        return float(self.of.axes[0].labels[self.scales.cursor]) if self.of is not None else 0.0

    def readout(self) -> Text:
        """The scale under the cursor: the metric with and without it."""
        if self.of is None:
            return Text()
        at, ink = self.scales.cursor, self.ink
        return Text.assemble(
            (f" scale {_minus(self.of.axes[0].labels[at])}", Style(color=ink.text, bold=True)),
            (f"  {words.signed(float(self.of.values[at]))}", Style(color=ink.accent, bold=True)),
            (f"  {words.unsigned(float(self.of.extra['metric'].values[at]))}", ink.text),
            (f" (clean {words.unsigned(float(self.of.baseline or 0.0))})  exact", ink.muted),
        )

    # -- what keys do -----------------------------------------------------------------------------

    def _moved(self) -> None:
        self._texts()
        self.query_one("#steering-readout", Line).set(self.readout())

    def choose(self, params: dict[str, Any]) -> None:
        """Steer with these parameters from now on."""
        self.host.session.change(self.place, params={**self.host.state.params, self.place: params})
        self.host.session.ensure(self.place)

    def action_direction(self) -> None:
        """Say what the vector is."""
        from interpboard.registry import find_analysis
        from tui.slots.steering.direction import DirectionScreen

        state = self.host.state
        layers = state.model.info.layers if state.model is not None else 1
        chosen = state.selection.layer
        layer = self._numbered(-1) if chosen is None else max(0, min(layers - 1, chosen))
        first = {
            "positive": state.corrupted or "",
            "negative": state.rendered or "",
            "layer": layer,
        }
        now = state.params.get(self.place) or {**first, "scales": (-2.0, -1.0, 0.0, 1.0, 2.0)}

        of_file = now["layer"] == FILES_OWN and now.get("vector")
        shown = "" if of_file else self._layer_name(self._numbered(now["layer"]))
        now = {**now, "layer": shown}

        def answered(params: dict[str, Any] | None) -> None:
            if params is not None:
                from_file = bool(params.get("vector"))
                added = params.get("layer", FILES_OWN if from_file else layer)
                if not (from_file and added == FILES_OWN):
                    added = self._numbered(added)
                self.choose({**params, "layer": added})

        known, plans = find_analysis(self.slot.analysis).parameters, self.host.plans
        self.host.screens.push(
            DirectionScreen(known, now, plans.with_params(self.slot)), plans.left(answered)
        )

    def action_step_layer(self, by: int) -> None:
        """The same vector read and added a layer further."""
        params, model = self.host.state.params.get(self.place), self.host.state.model
        if params and model is not None and self.of is not None:
            of_file = params["layer"] == FILES_OWN and params.get("vector")
            now = self._numbered((self.of.params if of_file else params)["layer"])
            if isinstance(now, str):  # there is no such layer, which the engine says
                return
            layer = max(0, min(model.info.layers - 1, now + by))
            self.choose({**params, "layer": layer})

    def _item(self, at: int) -> str | None:
        """The intervention that adds the vector at the scale ``at``."""
        request: Request | None = self.host.state.slots[self.place].request
        if self.of is None or request is None:
            return None
        name = self._layer_name(int(self.of.params["layer"]))
        return intervention(request, name, float(self.of.axes[0].labels[at]))

    def _numbered(self, layer: int | str) -> int | str:
        """The number of a layer that goes by its name; −1 is the middle one, of a decoder where there are two
        stacks. A name that no layer has stays, for the engine to refuse."""
        names = self._layer_names()
        if isinstance(layer, str):
            return names.index(layer) if layer in names else layer
        behind = sum(name.startswith("E") for name in names)
        return (behind + len(names)) // 2 if layer < 0 else layer

    def _layer_name(self, layer: int | str) -> str:
        names = self._layer_names()
        return names[layer] if isinstance(layer, int) and layer < len(names) else str(layer)

    def _layer_names(self) -> tuple[str, ...]:
        model = self.host.state.model
        return layer_names(model.info) if model is not None else ("0",)

    def action_toggle_vector(self) -> None:
        """Add the vector at this scale to the interventions, or take it off."""
        item, stack = self._item(self.scales.cursor), self.host.state.interventions
        if item is None:
            return
        if self.scale == 0.0:
            self.host.tell("Scale 0 is the model as it is: choose another to switch on.")
            return
        texts = [each.text for each in stack.items]
        self.host.session.intervene(
            stack.without(texts.index(item)) if item in texts else stack.put(item)
        )
        self.show(self.host.state)

    def action_plot(self) -> None:
        """The effect of every scale, on the whole screen."""
        self.host.plots.open(self._plotted)

    def _plotted(self) -> Plotted:
        state = self.host.state
        result = state.slots[self.place].result
        if result is None:
            raise BadParameter(
                "Nothing is steered yet.",
                keyed("{key:steering_direction} says where the vector points."),
            )
        older = "of an older question" if self.slot.stale(state) else ""
        return Plotted(result, None, "Steering", older)

    def action_scroll_view(self, by: int) -> None:
        """Scroll the texts."""
        self.query_one("#steered", VerticalScroll).scroll_relative(y=by, animate=False)


def _minus(label: str) -> str:
    return label.replace("-", "−")
