"""A second model beside the one in use: chosen, its memory said and confirmed, and compared with."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from interpboard.display import spoken_bytes
from tui import words

if TYPE_CHECKING:
    from tui.controllers.comparison import Comparison
    from tui.controllers.notify import Tell
    from tui.controllers.ports import InputsLine
    from tui.dialogs.pick_model import PickModelScreen
    from tui.files.models import Shelf
    from tui.session.session import Session


class Pick(Protocol):
    """Asks for a model; ``then`` gets the list that it was chosen from, and its name."""

    def __call__(
        self, then: Callable[[PickModelScreen, str], None], *, beside: bool = False
    ) -> None: ...


class SecondModel:
    """``pick`` asks for a model, ``input_line`` for its number format."""

    def __init__(
        self,
        session: Session,
        comparison: Comparison,
        *,
        pick: Pick,
        input_line: InputsLine,
        tell: Tell,
    ) -> None:
        self._session, self._comparison = session, comparison
        self._pick, self._input_line, self._tell = pick, input_line, tell

    def why_not(self) -> str:
        """Why none can be opened now; empty: one can, or the open one can be closed."""
        compared = self._session.state.compared
        closes = compared is not None and compared.models
        return "" if closes or self._session.ready else "The model is not loaded yet."

    def choose(self) -> None:
        """Ask for a model to compare with, say what memory it needs, and load it once that is confirmed."""
        compared = self._session.state.compared
        if compared is not None and compared.models:
            self._comparison.leave()
            self._tell("The second model is closed.")
        elif not self._session.ready:
            self._tell("The model is not loaded yet.", "warning")
        else:
            self._pick(lambda screen, name: self._confirm(screen.shelf, name), beside=True)

    def _confirm(self, shelf: Shelf, name: str) -> None:
        from tui.files.models import SIZES, named_folder, need, room_said

        model = self._session.state.model
        assert model is not None
        info = model.info
        listed = next((own for own in shelf.models if own.name == name), None)
        found = listed or named_folder(
            name
        )  # typed: the headers of one folder, so that keys do not overtake it
        hints = (
            room_said(found, shelf.room),
            f"In a process of its own, on {info.device}, in the number format above.",
        )

        def answered(text: str) -> None:
            dtype = text.strip()
            if dtype not in SIZES:
                formats = ", ".join(SIZES)
                self._tell(f"No number format is called {dtype}. There are: {formats}.", "error")
                return
            size, free = need(found, dtype), shelf.room.free
            if size and free is not None and size > free:
                what = f"{spoken_bytes(size)} in {dtype}, {spoken_bytes(free)} are free"
                self._tell(f"Not loaded: {name} needs {what}.", "error")
                return
            self._comparison.begin_models(name, info.device, dtype, info.special_tokens)

        title = f"Compare with {words.short_model(name)}: number format"
        self._input_line(title, hints, info.dtype if info.dtype in SIZES else "float32", answered)
