"""Trace: where a fact passes: clean states put back into a corrupted run, layer × position."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from rich.text import Text
from textual.widget import Widget

from interpboard.display import visible, visible_token
from tui import scales, words
from tui.commands.command import bindings, keyed
from tui.commands.command import shown_keys as shown_key
from tui.commands.places import MOVES
from tui.session.selection import Selection
from tui.session.state import Request, State
from tui.slots.at_cursor import AtCursor
from tui.slots.pane import Pane
from tui.slots.pane_contract import Select
from tui.slots.spec import Slot
from tui.slots.trace.keys import KEYS, RESTORED_STATES
from tui.slots.unsure_marks import rounding_words, unsure_marks
from tui.widgets.grid_data import GridData
from tui.widgets.heat_grid import HeatGrid
from tui.widgets.line import OPTIONAL, Line

if TYPE_CHECKING:
    import numpy as np

_STATES = {"resid": "stream", "mlp": "MLP", "attn": "attention"}


class TracePane(Pane):
    """Causal tracing of a marked subject, or activation patching from a corrupted prompt; exact."""

    BINDINGS = bindings(KEYS, before=MOVES)

    def __init__(self, slot: Slot, select: Select) -> None:
        super().__init__(slot, select)
        self.grid = HeatGrid(self._moved, id="trace-grid")
        self.said = Line(id="corrupted-says")
        self._shown: object = None
        self._cursor_is_ours = True  # until it moves, it is put on the strongest cell

    def body(self) -> Iterable[Widget]:
        """The grid, and under it what was corrupted."""
        return (self.grid, self.said)

    @property
    def exponent(self) -> int:
        """Of the grid."""
        return self.grid.exponent

    @property
    def method(self) -> str:
        """``causal_trace`` or ``activation_patching``."""
        return self.slot.analysis_in(self.state)

    @property
    def site(self) -> str:
        """Which states are put back."""
        return str(self.state.params.get(self.slot.name, {}).get("site", RESTORED_STATES[0]))

    def fill(self) -> None:
        """The finished grid, or what is known of it so far."""
        result, partial = self.data.result, self.data.partial
        source = partial if partial is not None else result
        shown = (source, self._corrupted(), self.state.interventions.on)
        if shown == self._shown:
            return
        self._shown = shown
        if source is None:
            self.grid.show(None)
            self.said.set(Text())
            return
        from interpboard.results.sites import layer_label
        from interpboard.visualization.colors import Scale

        neutral = scales.slot_meaning(self.data)[1]
        layers, tokens = source.axes
        data = GridData(
            rows=tuple(layer_label(self._word(), label) for label in layers.labels),
            columns=tuple(visible_token(label) for label in tokens.labels),
            values=source.values,
            scale=Scale.of(source.values, diverging=True, center=neutral),
            estimated=partial.estimated if partial is not None else None,
            unsure=unsure_marks(result if partial is None else None, source.values.shape),
            second=self._corrupted(),
            marked=self._patched(source.values.shape),
        )
        strongest = None
        if self._cursor_is_ours and partial is None:
            far = abs(source.values - neutral)
            far[far != far] = -1.0
            strongest = divmod(int(far.argmax()), len(data.columns))
        self.grid.show(data, strongest)
        self.said.set(self._said())

    def _word(self) -> str:
        """Where in its layer a row of what is shown is: before it, after it, or what a part adds."""
        from interpboard.results.sites import site_word

        shows = scales.answered(self.data)
        params = shows.params if shows is not None else {}
        return site_word(str(params.get("state", params.get("site", "resid"))))

    def place(self, row: int, column: int) -> str | None:
        """A cell as interventions name it; None for the stream before layer 0, which is none's output."""
        layer = (
            row - 1 if self.site == "resid" else row
        )  # the stream before a layer is the one after
        return f"{layer}.{self.site}@{column}" if layer >= 0 else None

    def intervention(self) -> AtCursor | None:
        """The corrupted prompt's state at the cell under the cursor, put into the clean run."""
        if self.grid.data is None:
            return None
        if self.method != "activation_patching" or not self.state.corrupted:
            only = keyed(
                "Only states of a corrupted prompt can be put in: {key:method} changes the method."
            )
            return AtCursor(refusal=only)
        place = self.place(*self.grid.cursor)
        if place is None:
            embedding = "The stream before layer 0 is the embedding: swap the token in Tokens."
            return AtCursor(refusal=embedding)
        return AtCursor(place, "patch")

    def _patched(self, shape: tuple[int, ...]) -> np.ndarray:
        """Cells whose states are patched in by interventions."""
        import numpy as np

        places = {place for item in self.state.interventions.on for place in item.places}
        marks = np.zeros(shape, dtype=bool)
        for at in np.ndindex(*shape) if places else ():
            marks[at] = self.place(*at) in places
        return marks

    def _corrupted(self) -> tuple[str, ...]:
        """The corrupted prompt's tokens, where it is as long as the clean one."""
        other, request = self.state.slots["corrupted_predictions"], scales.answered(self.data)
        prompt = self.data.named_prompt
        if request is None or other.prompt is None or prompt is None:
            return ()
        same = other.prompt.text == request.params.get("corrupted")
        fits = len(other.prompt.tokens) == len(prompt.tokens)
        return tuple(map(visible_token, other.prompt.tokens)) if same and fits else ()

    def _said(self) -> Text:
        text, request, prompt = Text(), scales.answered(self.data), self.data.named_prompt
        other = self.state.slots["corrupted_predictions"].result
        if request is None or prompt is None:
            return text
        if request.analysis == "causal_trace":
            from interpboard.results.tokens import text_at

            named = text_at(prompt, tuple(request.params["subject"])).strip()
            return text.append(f" noise on {visible(named)}", self.inks.muted)
        if other is not None and self._corrupted():
            _, token, share = words.top_list(other)[0]
            says = f" the corrupted prompt says {words.token(token)} {words.percent(share)}"
            text.append(says, self.inks.muted)
        return text

    def subtitle(self) -> str:
        """What is put back, and what it is measured by."""
        result, shows = self.data.named, scales.answered(self.data)
        if shows is None:
            return (
                f"{words.analysis_title(self.slot.analysis_in(self.state))}, {_STATES[self.site]}"
            )
        metric = words.metric_name(result.metric) if result is not None else "metric"
        what = _what(shows)
        if shows.analysis == "causal_trace":
            return f"Δ {metric}, {what} restored"
        return f"{metric} recovered, {what} patched"

    def next_step(self, state: State) -> str:
        """Patching needs the corrupted prompt first."""
        lacks = self.slot.request(state) is None
        return "corrupted" if lacks else super().next_step(state)

    def cannot(self, state: State) -> Collection[str]:
        """States of noise are no intervention, only those of a corrupted prompt."""
        patching = self.slot.analysis_in(state) == "activation_patching"
        patchable = (
            patching and bool(state.corrupted) and state.slots[self.slot.name].result is not None
        )
        return () if patchable else ("patch_cell",)

    def empty_hint(self) -> str:
        """What is missing."""
        if self.method == "causal_trace":
            return f"mark the subject in Tokens with {shown_key('subject')}"
        return f"{shown_key('corrupted')} writes the corrupted prompt"

    def readout(self) -> Text:
        """The cell under the cursor."""
        data, result = self.grid.data, self.data.result
        if data is None:
            return Text()
        row, column = self.grid.cursor
        value = float(data.values[row, column])
        guess = data.estimated is not None and bool(data.estimated[row, column])
        text = Text.assemble(
            (
                f" {data.rows[row]} at {column} {words.shorten(data.columns[column])}",
                self.ink("text", bold=True),
            ),
            (f"  {words.signed(value)}", self.ink("accent", bold=True)),
        )
        if guess:
            text.append(" est.", self.ink("muted"))
        elif value != value:
            text.append("  not computed yet", self.ink("muted"))
        elif result is not None and self.data.partial is None:
            far = abs(result.values - result.neutral)
            rank = 1 + int((far > abs(value - result.neutral)).sum())
            if "recovered" in result.extra:
                share = float(result.extra["recovered"].values[row, column])
                text.append(f"  {words.unsigned(share, 2)} of the effect", self.ink("text"))
            elif "metric" in result.extra:
                patched = float(result.extra["metric"].values[row, column])
                text.append(f"  metric {words.unsigned(patched, 2)}", self.ink("text"))
            text.append(f"  rank {rank}/{result.values.size}", self.ink("text") + OPTIONAL)
            sampled = result.analysis == "causal_trace"
            how = f"{result.params['samples']} noises" if sampled else "exact"
            text.append(f"  {how}", self.ink("muted"))
        if data.marked is not None and data.marked[row, column]:
            text.append("  patched in", self.ink("warning"))
        return text

    def legend(self) -> Text:
        """Scale and sign."""
        data, shows = self.grid.data, scales.answered(self.data)
        if data is None or shows is None:
            return Text()
        text = self.swatch(data.scale)
        sides = scales.sides(self.data)
        result = self.data.result if self.data.partial is None else None
        rounding = rounding_words(result, marked=data.unsure is not None)
        if shows.analysis == "causal_trace":
            lowers, comma, raises = sides.rpartition(
                ", "
            )  # what one sign means, the other does not
            text.append(lowers + comma, self.ink("text") + OPTIONAL).append(
                raises, self.ink("text")
            )
            text.append(rounding, self.ink("muted"))
            return text.append("  mean of noises", self.ink("muted") + OPTIONAL)
        text.append(f"{sides}  ", self.ink("text") + OPTIONAL)
        text.append("0 corrupted, 1 clean", self.ink("text"))
        guesses = data.estimated is not None and data.estimated.any()
        how = "~ estimates until exact" if guesses else "exact"
        return text.append(f"  {how}{rounding}", self.ink("muted"))

    def follow(self, selection: Selection) -> bool:
        """The selected layer and position."""
        row, column = self.grid.cursor
        if selection.layer is not None or selection.token is not None:
            self._cursor_is_ours = False
        if selection.layer is not None and selection.layer >= 0:
            row = selection.layer
        if selection.token is not None:
            column = selection.token
        return self.grid.put((row, column))

    def _moved(self) -> None:
        row, column = self.grid.cursor
        self._cursor_is_ours = False
        self.select(layer=row, token=column)
        self.refresh_readout()


def _what(request: Request) -> str:
    """Which states a request puts in place, in words."""
    site = str(request.params.get("state", request.params.get("site")))
    what = _STATES[site.removesuffix("_out").removesuffix("_pre")]
    window = int(request.params.get("window", 1))
    return what if window == 1 else f"{what} of {window} layers"
