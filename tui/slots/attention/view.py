"""Attention: where one head looks: its pattern, or the prompt painted by what a token looks at."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.text import Text
from textual.widget import Widget

from interpboard.display import fit, visible, visible_token
from interpboard.registry.component_names import head_label
from interpboard.registry.layer_names import layer_number
from tui import words
from tui.commands.command import bindings
from tui.commands.places import MOVES
from tui.session.selection import Selection
from tui.slots.attention.keys import KEYS
from tui.slots.attention.readout import head_means, pair_readout
from tui.slots.heads.selected import selected_head
from tui.slots.pane import Pane
from tui.slots.pane_contract import Select
from tui.slots.spec import Slot
from tui.widgets.bars import Bar, Bars
from tui.widgets.grid_data import GridData
from tui.widgets.heat_grid import HeatGrid
from tui.widgets.token_strip import TokenStrip

if TYPE_CHECKING:
    import numpy as np

# What the body shows, and what its numbers are.
_VIEWS = (
    ("pattern", "rows look at columns"),
    ("looks at", "painted: where the cursor's token looks"),
    ("looked at", "painted: who looks at the cursor's token"),
    ("pairs", "its strongest pairs of tokens"),
)
PAIRS = 50  # in their list; nobody scrolls through more
_LABEL = 12  # columns of a row's token, at most


class AttentionPane(Pane):
    """Probabilities [query, key] of the selected head; only that slice is ever fetched."""

    noted_kinds = ("head",)

    detailed = True
    of_heads = True
    BINDINGS = bindings(KEYS, before=MOVES)

    def __init__(self, slot: Slot, select: Select) -> None:
        super().__init__(slot, select)
        self.grid = HeatGrid(self._grid_moved, id="attention-grid")
        self.strip = TokenStrip(self._strip_moved, id="attention-text")
        self.ranking = Bars(id="attention-strongest", pad=1)
        self.pairs = Bars(self._pair_moved, id="attention-pairs")
        self.listed_pairs: list[tuple[int, int]] = []  # (query, key) of the rows of the list
        self.view_at = 0
        self.looker, self.seen = 0, 0
        self._shown: object = None
        self._ranked: object = None
        self._cursor_is_ours = True  # until it moves, it is put on what is looked at most

    def body(self) -> Iterable[Widget]:
        """The pattern or the text, and below it the strongest of the cursor's row."""
        self.strip.display = self.pairs.display = False
        return (self.grid, self.strip, self.pairs, self.ranking)

    @property
    def by(self) -> str:
        """The view in use."""
        return _VIEWS[self.view_at][0]

    @property
    def view(self) -> Widget:
        """The widget that takes the focus: of the view in use."""
        return {"pattern": self.grid, "pairs": self.pairs}.get(self.by, self.strip)

    @property
    def head(self) -> tuple[int, int]:
        """(layer, head) of what is shown."""
        result = self.data.result
        if result is None:
            return selected_head(self.state)
        layer, head = (axis.labels[0] for axis in result.axes[:2])
        model = self.state.model
        return int(layer) if model is None else layer_number(model.info, layer), int(head)

    @property
    def pattern(self) -> np.ndarray | None:
        """[query, key] of the head shown."""
        result = self.data.result
        return None if result is None else result.values[0, 0]

    def fill(self) -> None:
        """The newest slice, with the cursor where it was."""
        result, prompt = self.data.result, self.data.prompt
        if result is self._shown:
            return
        self._shown, self._ranked = result, None
        if result is None or prompt is None:
            self.grid.show(None)
            self.strip.show((), (), None, -1)
            self.ranking.show(())
            self._show_pairs()
            return
        import numpy as np

        from interpboard.results.attention_pairs import possible_pairs
        from interpboard.visualization.colors import Scale

        pattern, last = result.values[0, 0], len(prompt.tokens) - 1
        if self._cursor_is_ours or self.looker > last:
            self.looker = min(result.metric.position, last)
            there = np.flatnonzero(~np.isnan(pattern[:, 0]))
            if self.looker not in there and len(there):
                self.looker = int(there[-1])
            self.seen = int(pattern[self.looker].argmax())
        self.seen = min(self.seen, last)
        hidden = ~possible_pairs(pattern)
        if prompt.border:  # of two strips a layer's queries see one
            hidden |= pattern == 0
        labels = tuple(visible_token(token) for token in prompt.tokens)
        width = min(_LABEL, max(map(len, labels)))
        self.grid.show(
            GridData(
                rows=tuple(fit(label, width) for label in labels),
                columns=labels,
                values=np.where(hidden, np.nan, pattern),
                scale=Scale(1.0, diverging=False),
                absent=" ",
            ),
            (self.looker, self.seen),
        )
        self._show_text()
        self._show_pairs()
        self.cursor_rested()

    def _show_pairs(self) -> None:
        """The strongest (query, key) of the head; the first token, which has only itself, asks nothing."""
        prompt, pattern = self.data.prompt, self.pattern
        if prompt is None or pattern is None or self.by != "pairs":
            self.listed_pairs = []
            self.pairs.show(())
            return
        from interpboard.results.attention_pairs import top_pairs

        best = top_pairs(pattern[None, None], PAIRS)[0][0, 0].tolist()
        self.listed_pairs = [
            (query, key) for query, key in best if query >= 0
        ]  # −1: there are no more
        bars = []
        for query, key in self.listed_pairs:
            ends = [f"{at:>3} {words.token(prompt.tokens[at])}" for at in (query, key)]
            value = float(pattern[query, key])
            bars.append(Bar(f"{fit(ends[0], _LABEL + 4)} →{ends[1]}", words.percent(value), value))
        self.pairs.show(bars)
        if (self.looker, self.seen) in self.listed_pairs:
            self.pairs.put(self.listed_pairs.index((self.looker, self.seen)))
        elif self.listed_pairs:  # the strongest, so that the readout is of the row that is marked
            self.pairs.put(0)
            self.looker, self.seen = self.listed_pairs[0]

    def _show_text(self) -> None:
        """The prompt, painted by the row or the column of the cursor's token."""
        from interpboard.results.tokens import as_read

        prompt, at = self.data.prompt, self._token
        if prompt is None or not self.strip.display:
            return
        scale = self.grid.data.scale if self.grid.data is not None else None
        self.strip.show(as_read(prompt), self._painted(), scale, -1, at)

    def _repaint(self) -> None:
        """Other numbers for the same text; without colour they are signs in the text itself."""
        if self.strip.monochrome:
            self._show_text()
        else:
            self.strip.paint(self._painted())

    @property
    def _token(self) -> int:
        return self.seen if self.by == "looked at" else self.looker

    def _painted(self) -> list[float]:
        """One number a token: what the cursor's token gives it, or takes from it."""
        pattern = self.pattern
        if pattern is None:
            return []
        line = pattern[:, self.seen] if self.by == "looked at" else pattern[self.looker]
        return [float(value) for value in line]

    def next_view(self) -> None:
        """The pattern, the text painted one way or the other, or the strongest pairs."""
        had_focus = self.view.has_focus
        self.view_at = (self.view_at + 1) % len(_VIEWS)
        self.grid.display = self.by == "pattern"
        self.pairs.display = self.by == "pairs"
        self.strip.display = not (self.grid.display or self.pairs.display)
        self.ranking.display = not self.pairs.display  # they rank more than it does
        self._show_text()
        self._show_pairs()
        if self.by == "pattern":
            self.grid.put((self.looker, self.seen))
        if had_focus:
            self.screen.set_focus(self.view)
        self._ranked = None
        self.cursor_rested()
        self.refresh_words()

    # -- words ------------------------------------------------------------------------------------

    def subtitle(self) -> str:
        """Which head."""
        return f"{self._named()}, {_VIEWS[self.view_at][1]}"

    def _named(self) -> str:
        result, (layer, head) = self.data.result, self.head
        return head_label(layer if result is None else result.axes[0].labels[0], head)

    def part(self) -> str:
        """The head whose pattern is shown."""
        return self._named() if self.data.result is not None else ""

    def readout(self) -> Text:
        """The pair under the cursor, or the token and what it looks at most."""
        pattern, prompt = self.pattern, self.data.prompt
        if pattern is None or prompt is None:
            return Text()
        query, key = self.looker, self.seen
        if self.by == "looks at":
            key = int(pattern[query].argmax())
        elif self.by == "looked at":
            query = int(pattern[:, key].argmax())
        return pair_readout(pattern, prompt.tokens, self._named(), (query, key), self.ink)

    def details(self) -> Text:
        """What the head does over the whole prompt."""
        result = self.data.result
        return head_means(result, self.ink) if result is not None else Text()

    def legend(self) -> Text:
        """Scale, and where the numbers are from."""
        from interpboard.visualization.colors import Scale

        text = self.swatch(Scale(1.0, diverging=False))
        text.append("probability of looking", self.ink("text"))
        result = self.data.result
        for warning in result.warnings if result is not None else ():
            text.append(f"  {visible(warning)}", self.ink("warning"))
        return text

    # -- the cursor -------------------------------------------------------------------------------

    def follow(self, selection: Selection) -> bool:
        """The selected position looks."""
        if selection.token is None or self.grid.data is None:
            return False
        if self.by in ("looked at", "pairs"):
            return False
        query = min(selection.token, len(self.grid.data.rows) - 1)
        if query == self.looker:
            return False
        self.looker, self._cursor_is_ours = query, False
        from interpboard.results.attention_pairs import possible_pairs  # numpy: late

        pattern = self.pattern
        if pattern is not None and not possible_pairs(pattern)[query, self.seen]:
            self.seen = int(pattern[query].argmax())
        self.grid.put((query, self.seen))
        if self.strip.display:
            self.strip.put(query)
            self._repaint()
        return True

    def cursor_rested(self) -> None:
        """The strongest of the cursor's row or column."""
        prompt, data = self.data.prompt, self.grid.data
        ranked = (self.data.result, self._token, self.by)
        if prompt is None or data is None or ranked == self._ranked:
            return
        self._ranked = ranked
        values = self._painted()
        order = sorted(range(len(values)), key=lambda at: -values[at])
        bars = [
            Bar(
                f"{at:>3} {fit(visible_token(prompt.tokens[at]), 16)}",
                words.percent(values[at]),
                values[at],
            )
            for at in order[:20]
            if values[at] > 0
        ]
        name = f"{self._token} {visible_token(prompt.tokens[self._token])}"
        way = "looked at by" if self.by == "looked at" else "looks at"
        title = f"who looks at {name}" if self.by == "looked at" else f"{name} {way}"
        self.ranking.show(bars, title)

    def _grid_moved(self) -> None:
        self.looker, self.seen = self.grid.cursor
        self._cursor_is_ours = False
        self.select(token=self.looker)
        self.refresh_readout()

    def _pair_moved(self) -> None:
        self.looker, self.seen = self.listed_pairs[self.pairs.cursor]
        self._cursor_is_ours = False
        self.select(token=self.looker)
        self.refresh_readout()

    def _strip_moved(self) -> None:
        self._cursor_is_ours = False
        if self.by == "looked at":
            self.seen = self.strip.cursor
        else:
            self.looker = self.strip.cursor
        self._repaint()
        self.select(token=self.strip.cursor)
        self.refresh_readout()
