"""A second model beside the one in use: chosen, its memory said and confirmed, and compared with."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from interpboard.display import spoken_bytes
from interpboard.errors import BadParameter
from tui import words
from tui.commands.command import shown_keys

if TYPE_CHECKING:
    from interpboard.results import ModelInfo
    from tui.controllers.comparison import Comparison
    from tui.controllers.notify import Tell
    from tui.controllers.ports import InputsLine
    from tui.dialogs.pick_model import PickModelScreen
    from tui.files.models import FoundModel, Shelf
    from tui.session.session import Session


class Pick(Protocol):
    """Asks for a model; ``then`` gets the list that it was chosen from, and its name."""

    def __call__(
        self, then: Callable[[PickModelScreen, str], None], *, beside: bool = False
    ) -> None: ...


class SecondModel:
    """``pick`` asks for a model, ``input_line`` for its number format and options.

    ``offered``: the model that was open when the app was left, and how; empty: none.
    """

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
        self.offered: tuple[str, str] | None = None

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
            self._pick(self._picked, beside=True)

    def _picked(self, screen: PickModelScreen, name: str) -> None:
        """Chosen in the list, where a row may be one file of its folder."""
        gguf = screen.chosen.gguf_file if screen.chosen is not None else ""
        opened = shlex.join([self._format, "--gguf-file", gguf]) if gguf else ""
        self._confirm(screen.shelf, name, opened)

    async def offer(self, name: str, opened: str) -> None:
        """The model ``name`` was open when the app was left: comparing asks for it first."""
        self.offered = name, opened
        key = shown_keys("compare")
        self._tell(
            f"Compared with {words.short_model(name)} when left: {key} asks to load it again."
        )

    def compare(self) -> None:
        """Compare: with the model that is offered, once; else as ``Comparison.turn`` does."""
        offered = self.offered
        if offered is None or self._session.state.compared is not None:
            self._comparison.turn()
        elif not self._session.ready:
            self._tell("The model is not loaded yet.", "warning")
        else:
            self.offered = None
            self._comparison.in_background(self._confirm_offered(*offered))

    async def _confirm_offered(self, name: str, opened: str) -> None:
        from tui.files.models import Shelf, room

        info = self._info
        found = await asyncio.to_thread(room, info.device, info.dtype)
        self._confirm(Shelf((), found), name, opened)

    @property
    def _info(self) -> ModelInfo:
        model = self._session.state.model
        assert model is not None
        return model.info

    @property
    def _format(self) -> str:
        """The number format that is proposed."""
        from tui.files.models import SIZES

        return self._info.dtype if self._info.dtype in SIZES else "float32"

    def _confirm(self, shelf: Shelf, name: str, opened: str = "") -> None:
        from tui.files.models import demo, named_folder, need, room_said

        self.offered = None
        known = (*shelf.models, demo())
        listed = next((own for own in known if own.name == name), None)
        found = listed or named_folder(
            name
        )  # typed: the headers of one folder, so that keys do not overtake it
        packed = need(found, "float32", "4bit")
        takes = f"float32 --quantize 4bit takes {spoken_bytes(packed)} or more"
        hints = (
            room_said(found, shelf.room),
            f"A process of its own. {takes if packed else 'Options: float32 --quantize 4bit'}",
        )

        def answered(text: str) -> None:
            try:
                self._load(shelf, found, name, text)
            except BadParameter as refused:
                self._tell(f"Not loaded: {refused}", "error")

        title = f"Compare with {words.short_model(name)}: number format, options"
        self._input_line(title, hints, opened or self._format, answered)

    def _load(self, shelf: Shelf, found: FoundModel | None, name: str, text: str) -> None:
        """Load it as ``text`` says: a number format, and options as on the command line."""
        from interpboard.registry.loading import read_option_words
        from tui.files.models import SIZES, need

        info = self._info
        bare, options = read_option_words(text)
        dtype = bare[0] if bare else info.dtype
        if dtype not in SIZES or len(bare) > 1:
            wrong = next((word for word in bare if word not in SIZES), text.strip())
            raise BadParameter(
                f"No number format is called {wrong[:40]}.", f"There are: {', '.join(SIZES)}."
            )
        size, free = need(found, dtype, options.quantize), shelf.room.free
        if size and free is not None and size > free:
            form = options.quantize or dtype
            what = f"{spoken_bytes(size)} in {form}, {spoken_bytes(free)} are free"
            raise BadParameter(f"{name} needs {what}.")
        self._comparison.begin_models(
            name,
            device=info.device,
            dtype=dtype,
            special_tokens=info.special_tokens,
            load=options,
        )
