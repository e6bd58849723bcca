"""The circuit of a behaviour: its diagram at each size of the series, and what that was measured to keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from interpboard.display import visible
from interpboard.errors import BadParameter, InterpBoardError
from interpboard.files.places import expanded
from tui import words
from tui.commands.command import bindings, keyed
from tui.dialogs.plot import Plotted
from tui.session.state import State
from tui.slots.circuit.diagram import heads_of_line, size_diagram
from tui.slots.circuit.keys import KEYS
from tui.slots.circuit.readout import shares_line, size_readout
from tui.slots.circuit.series import (
    OF_THE_SCREEN,
    best_edges,
    chosen_size,
    file_name,
    search_options,
    subject,
)
from tui.slots.screen import SlotScreen
from tui.slots.spec import Slot
from tui.widgets import lines
from tui.widgets.bars import Bar, Bars
from tui.widgets.cells import Several
from tui.widgets.line import Line
from tui.widgets.message import MessageLine
from tui.widgets.plot import Plot, Series
from tui.widgets.text_page import TextPage

if TYPE_CHECKING:
    from interpboard.results import Result
    from tui.controllers.controllers import Controllers

# Of the demo model; they do not look at the prompt.
SHOWN_BEHAVIOURS = ("ioi", "induction", "facts", "agreement", "greater_than")
FILE, PAIR = "own prompts", "the pair"
FILE_NAME = 9  # columns of the file's name in the list


class CircuitScreen(SlotScreen):
    """Behaviours and sizes on the left, the diagram of the chosen size on the right."""

    heading = "{key:circuit} Circuit"
    BINDINGS = bindings(KEYS)
    DEFAULT_CSS = """
    CircuitScreen { background: $background; layout: vertical; }
    #circuit-body { height: 1fr; }
    #circuit-side { width: 26; height: 100%; border-right: solid $frame; }
    CircuitScreen.-medium #circuit-side { width: 36; }
    CircuitScreen.-wide #circuit-side { width: 56; }
    #behaviours { height: 7; }
    #sizes { height: 13; }
    #circuit-plot { height: 1fr; max-height: 18; }
    #circuit-view { width: 1fr; height: 100%; background: $background; padding: 0 1; scrollbar-size: 1 1; }
    CircuitScreen.-whole #circuit-side { display: none; }
    """

    def __init__(self, slot: Slot, host: Controllers) -> None:
        super().__init__(slot, host)
        self.behaviours = Bars(self._moved, id="behaviours")
        self.sizes = Bars(id="sizes")
        self.plot = Plot(id="circuit-plot")
        self.page = TextPage(id="circuit-view", names=heads_of_line)
        self._searched = Several(self.behaviours, self.sizes, self.page)
        self.at = 0  # which of the series is drawn
        self.of: Result | None = None
        self._drawn: object = None

    def compose(self) -> ComposeResult:
        """Title, lists, diagram, what is known of it, footer."""
        yield Line(id="circuit-title")
        with Horizontal(id="circuit-body"):
            with Vertical(id="circuit-side"):
                yield self.behaviours
                yield self.sizes
                yield self.plot
            yield self.page
        yield Line(id="circuit-readout")
        yield Line(id="circuit-details")
        yield MessageLine()
        yield Line(id="circuit-footer")

    def on_mount(self) -> None:
        """The list, with the cursor on what was chosen before."""
        self._list()
        chosen = self.host.state.params.get(self.place, {})
        before = FILE if chosen.get("dataset") else chosen.get("behavior")
        if before is None and not self.host.state.corrupted:
            before = self.rows[0]
        self.behaviours.put(self.rows.index(before if before in self.rows else PAIR))
        self.behaviours.focus()
        self.show(self.host.state)

    def on_resize(self) -> None:
        """The diagram is drawn for its width, known after the layout."""
        self.call_after_refresh(self._draw)

    def _list(self) -> None:
        """What a circuit can be of, with the name of the file where one is chosen."""
        file = words.shorten(file_name(self.host.state.dataset), FILE_NAME)
        bars = [Bar(row.replace("_", " "), file if row == FILE else "", 0.0) for row in self.rows]
        self.behaviours.show(bars)  # without a title: 24 rows have none to spare

    @property
    def chosen(self) -> str:
        """The row under the cursor."""
        return self.rows[self.behaviours.cursor]

    @property
    def rows(self) -> tuple[str, ...]:
        """What a circuit can be of; behaviours are texts that go on, for a model that tells what follows."""
        model = self.host.state.model
        info = None if model is None else model.info
        told = info is None or not (info.mask_token or info.problem or info.layer_names)
        return (*(SHOWN_BEHAVIOURS if told else ()), FILE, PAIR)

    # -- what there is to see ---------------------------------------------------------------------

    def show(self, state: State) -> None:
        """Show a snapshot."""
        if not self.composed:
            return
        result = state.slots[self.place].result
        if result is not self.of:
            self.of = result
            self.at = chosen_size(result) if result is not None else 0
        self._title(state)
        self._series()
        self._draw()

    def _title(self, state: State) -> None:
        ink, slot = self.ink, state.slots[self.place]
        text = Text.assemble((f" {self.shown_heading}", Style(color=ink.accent, bold=True)))
        if self.of is not None:
            text.append(f"  {subject(self.of)}", ink.text)
        text.append(" │ ", ink.frame)
        if slot.job is None and slot.failure:
            text.append(visible(slot.failure), ink.warning)
        elif slot.job is None and self.of is not None and self.slot.stale(state):
            text.append(keyed("an older question: {key:circuit_find} runs this one"), ink.warning)
        else:
            text.append_text(lines.now(state, ink))
        self.query_one("#circuit-title", Line).set(text)
        first, hidden = "circuit_find", "circuit_cancel"
        if state.busy:
            first, hidden = hidden, first
        self.query_one("#circuit-footer", Line).set(self.hints(hidden, first))

    def _series(self) -> None:
        """The faithfulness of each size, as a list and as a curve."""
        if self.of is None:
            self.sizes.show(())
            self.plot.show("", (), ())
            return
        sizes, shares = self.of.extra["size"].values, self.of.extra["faithfulness"].values
        bars = [
            Bar(f"{'▸' if at == self.at else ' '}{size:>5}", words.fraction(float(share)), float(share),
                strong=at == self.at)
            for at, (size, share) in enumerate(zip(sizes, shares, strict=True))
        ]  # fmt: skip
        self.sizes.show(bars, "edges  faithfulness")
        complete = tuple(map(float, self.of.extra["completeness"].values))
        curves = (
            Series("faithfulness", tuple(map(float, shares)), 214),
            Series("blue: completeness", complete, 110),
        )
        self.plot.show("faithfulness", [str(size) for size in sizes], curves)

    def _draw(self) -> None:
        """The diagram at the chosen size; the result has them all."""
        width = max(24, self.page.scrollable_content_region.width - 2)
        drawn = (self.of, self.at, width, self.ink.dark)
        if drawn == self._drawn:
            return
        self._drawn = drawn
        self.page.set(size_diagram(self.of, self.at, width, self.ink))
        self.page.scroll_home(animate=False)
        self.query_one("#circuit-readout", Line).set(self.readout())
        self.query_one("#circuit-details", Line).set(self.details())

    @property
    def searched(self) -> Several:
        """The lists, and the nodes and edges of the diagram."""
        return self._searched

    def readout(self) -> Text:
        """The size that is drawn, what it keeps, and its threshold."""
        return size_readout(self.of, self.at, self.ink) if self.of is not None else Text()

    def details(self) -> Text:
        """What the shares are shares of."""
        return shares_line(self.of, self.ink) if self.of is not None else Text()

    # -- what keys do -----------------------------------------------------------------------------

    def _moved(self) -> None:
        """Another behaviour is under the cursor; nothing is computed before Enter."""
        self._searched.leave()

    def action_find(self) -> None:
        """Find the circuit of the behaviour under the cursor."""
        if self.chosen == PAIR and self.host.state.lacks_mask:
            self.host.tell("The prompt has no mask: a circuit is read at one.")
            return
        if self.chosen == PAIR and not self.host.state.corrupted:
            self.host.tell(keyed("Write the corrupted prompt first: {key:circuit_corrupted}."))
            return
        if self.chosen == FILE and not self.host.state.dataset:
            self.action_dataset()
            return
        self._search_with(self.host.state.params.get(self.place, {}))
        self.host.session.run(self.place)

    def _search_with(self, search: Mapping[str, Any]) -> None:
        params = {**self.host.state.params, self.place: self._to_search(search)}
        self.host.session.change(self.place, params=params)

    def _to_search(self, search: Mapping[str, Any]) -> dict[str, Any]:
        of = search_options(search)
        if self.chosen == FILE:
            of["dataset"] = self.host.state.dataset
        else:
            of["behavior"] = self.chosen if self.chosen in SHOWN_BEHAVIOURS else ""
        return of

    def action_parameters(self) -> None:
        """How the circuit is searched for; Enter then finds it so."""
        from interpboard.registry import find_analysis
        from tui.dialogs.parameters import ParametersScreen

        analysis, now = (
            find_analysis(self.slot.analysis),
            search_options(self.host.state.params.get(self.place, {})),
        )
        known = [own for own in analysis.parameters if own.name not in OF_THE_SCREEN]

        def answered(search: dict[str, Any] | None) -> None:
            if search is not None:
                self._search_with(search)

        plan = self.host.plans.with_params(self.slot)
        screen = ParametersScreen(
            analysis.title, known, now, lambda search: plan(self._to_search(search))
        )
        self.host.screens.push(screen, self.host.plans.left(answered))

    def action_dataset(self) -> None:
        """Ask for a file of prompts, then find their circuit."""
        hints = (
            "One example a line: clean => corrupted | target | foil",
            "All but the clean prompt may be left out: it is then found.",
        )
        before = self.host.state.dataset
        self.host.screens.input_line("File of prompts", hints, before, self._read_dataset)

    def _read_dataset(self, text: str) -> None:
        from tui.files.prompt_file import check_dataset

        if not text.strip():
            return
        path = expanded(text.strip()).absolute()
        try:
            check_dataset(path)
        except InterpBoardError as error:
            self.host.tell(str(error), "error")
            return
        self.host.session.change(dataset=str(path))
        self._list()
        self.behaviours.put(self.rows.index(FILE))
        self.action_find()

    def action_step_size(self, by: int) -> None:
        """The next size of the series: diagram and faithfulness, nothing computed."""
        if self.of is not None:
            last = self.of.extra["size"].values.size - 1
            self.at = max(0, min(last, self.at + by))
            self._series()
            self._draw()

    def action_whole(self) -> None:
        """The diagram alone, and back."""
        super().action_whole()
        self.call_after_refresh(self._draw)

    def action_export(self) -> None:
        """Ask how and where; a diagram is of the size that is drawn."""
        self.host.export.choose_format(
            self.slot, best_edges(self.of, self.at) if self.of is not None else None
        )

    def action_plot(self) -> None:
        """Faithfulness and completeness of every size, on the whole screen."""
        self.host.plots.open(self._plotted)

    def _plotted(self) -> Plotted:
        if self.of is None:
            raise BadParameter(
                "There is no circuit to draw yet.", keyed("{key:circuit_find} finds one.")
            )
        older = "an older question" if self.slot.stale(self.host.state) else ""
        return Plotted(self.of, None, subject(self.of), older)

    def action_scroll_view(self, by: int) -> None:
        """Scroll the diagram."""
        self.page.scroll_relative(y=by, animate=False)

    def action_corrupted(self) -> None:
        """Write the corrupted prompt."""
        self.host.explained.write_corrupted()
