"""What stands in place of a pane's own body: B − A of a comparison, or means over the rows of a sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from rich.text import Text

from tui.session.compared import DIFFERENCE_SIDE
from tui.slots.framed_box import Body
from tui.slots.pane_title import difference_title

if TYPE_CHECKING:
    from interpboard.visualization.colors import Scale
    from tui.slots.difference import DifferenceGrid
    from tui.slots.mean_forest import MeanForest
    from tui.slots.mean_grid import MeanGrid
    from tui.slots.pane import Pane

StandInKind = Literal["", "difference", "grid", "forest"]
_FOREST_FIRST = ("logit_lens", "tuned_lens")  # from layer to layer, at one role


class InPlace:
    """Widgets of ``pane`` that are made when they are first shown; only one of them, or its body, is seen."""

    def __init__(self, pane: Pane) -> None:
        self._pane = pane
        self._made: dict[str, DifferenceGrid | MeanGrid | MeanForest] = {}

    @property
    def kind(self) -> StandInKind:
        """Which is shown now; empty: the pane's own body."""
        state = self._pane.state
        if state.means is None:
            compared = state.compared
            return "difference" if compared and compared.view == DIFFERENCE_SIDE else ""
        result = self._pane.data.result
        if result is None:
            return "grid"
        names = [axis.name for axis in result.axes]
        lens = result.analysis in _FOREST_FIRST and len(names) == 2
        return "forest" if lens or len(names) <= 1 else "grid"

    @property
    def view(self) -> DifferenceGrid | MeanGrid | MeanForest | None:
        """The widget that is shown; None: the pane's own body."""
        return self._made.get(self.kind)

    def turn(self) -> None:
        """Put in sight what is to be shown; the focus stays in the pane."""
        pane, kind = self._pane, self.kind
        body = pane.query_one(Body)
        shown = [name for name, widget in self._made.items() if widget.display]
        if shown == ([kind] if kind else []) and body.display is not bool(kind):
            return
        had_focus = pane.has_focus_within
        if kind and kind not in self._made:
            self._made[kind] = self._make(kind)
            pane.mount(self._made[kind], after=body)
        for name, widget in self._made.items():
            widget.display = name == kind
        if had_focus:
            pane.screen.set_focus(pane.view)
        body.display = not kind

    def _make(self, kind: StandInKind) -> DifferenceGrid | MeanGrid | MeanForest:
        """Their modules need numpy: after the first paint."""
        pane = self._pane
        name = f"{pane.slot.name}-{kind}"
        if kind == "difference":
            from tui.slots.difference import DifferenceGrid

            return DifferenceGrid(pane.refresh_readout, id=name)
        if kind == "forest":
            from tui.slots.mean_forest import MeanForest

            return MeanForest(pane.refresh_readout, id=name)
        from tui.slots.mean_grid import MeanGrid

        return MeanGrid(pane.refresh_readout, id=name)

    def title(self) -> str:
        """What the pane's title says of it."""
        state, result = self._pane.state, self._pane.data.result
        if state.means is None:
            return difference_title(result)
        from tui.slots.mean_words import mean_title

        return mean_title(state.means, result)

    def legend(self) -> Text:
        """Scale and sign."""
        view, pane = self.view, self._pane
        if view is None:
            return Text()

        def swatch(scale: Scale) -> Text:
            return pane.swatch(scale)

        return view.legend(swatch, pane.ink)
