"""Results drawn as lines on the whole screen: by layer, along the prompt."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from interpboard.errors import InterpBoardError

if TYPE_CHECKING:
    from tui.controllers.notify import Tell
    from tui.controllers.ports import InputsLine, OpensScreens
    from tui.dialogs.plot import Plotted
    from tui.slots.pane import Pane


class Plots:
    """``pane`` is the active one, ``model`` the name of the model; pictures are written to ``folder``."""

    def __init__(
        self,
        screens: OpensScreens,
        *,
        pane: Callable[[], Pane],
        model: Callable[[], str],
        folder: str,
        input_line: InputsLine,
        tell: Tell,
    ) -> None:
        self._screens, self._pane, self._model, self._folder = screens, pane, model, folder
        self._input_line, self._tell = input_line, tell

    def why_not(self) -> str:
        """Why the active pane holds nothing to draw as lines; empty: it does."""
        return _why_no_lines(self._of_pane())

    def open(self, source: Callable[[], Plotted] | None = None) -> None:
        """The lines of ``source`` on the whole screen; without one, of the active pane."""
        from tui.dialogs.plot import PlotScreen

        source = source or self._of_pane()
        refusal = _why_no_lines(source)
        if refusal:
            self._tell(refusal)
            return
        screen = PlotScreen(source, self._model(), self._folder, self._input_line, self._tell)
        self._screens.push_screen(screen)

    def _of_pane(self) -> Callable[[], Plotted]:
        from tui.slots.plotted import plotted

        return partial(plotted, self._pane())


def _why_no_lines(source: Callable[[], Plotted]) -> str:
    try:
        source().curves  # noqa: B018 - or why there are none
    except InterpBoardError as error:
        return str(error)
    return ""
