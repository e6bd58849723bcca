"""Opening another model: the demo, recent ones, those on this machine, a name; with options where asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from interpboard.registry.loading import NOTHING_ASKED, LoadOptions

if TYPE_CHECKING:
    from interpboard.config import Settings
    from interpboard.results import ModelInfo
    from tui.controllers.ports import OpensScreens
    from tui.controllers.saver import Saver
    from tui.dialogs.pick_model import PickModelScreen
    from tui.files.models import Shelf
    from tui.session.session import Session

RECENT = 8  # models in the picker


def opened_again(
    info: ModelInfo, settings: Settings, load: LoadOptions
) -> tuple[str, str, LoadOptions]:
    """Name, number format and options with which the model of ``info`` is opened as it was.

    What is said now, in ``settings`` and ``load``, goes before what was said then.
    """
    from tui.files.models import SIZES

    dtype = settings.dtype
    if dtype == "auto" and info.dtype in SIZES:
        dtype = info.dtype
    said_now = info.name == settings.model and load != NOTHING_ASKED
    return info.name, dtype, load if said_now else info.options


class Models:
    """Lists what there is and loads what is chosen."""

    def __init__(
        self,
        session: Session,
        saver: Saver,
        settings: Settings,
        screens: OpensScreens,
    ) -> None:
        self._session, self._saver, self._settings = session, saver, settings
        self._screens = screens
        self._typed = "", ""  # the name that was last asked for, and all that stood in the field

    @property
    def name(self) -> str:
        """The model in use, for a command line."""
        model = self._session.state.model
        return model.info.name if model is not None else "demo"

    def choose(self) -> None:
        """Ask for a model."""
        # What could not be opened is there again, to be put right.
        name, typed = self._typed
        again = typed if name and self._session.state.engine.not_opened == name else ""

        def load(screen: PickModelScreen, name: str) -> None:
            self._typed = name, screen.last_typed
            self._session.load(name, screen.asked)

        self.pick(load, again)

    def pick(
        self,
        then: Callable[[PickModelScreen, str], None],
        typed: str = "",
        *,
        beside: bool = False,
    ) -> None:
        """Ask for a model; ``then`` is called with the list and the name. ``typed`` stands in the field.

        ``beside``: to compare with.
        """
        from tui.dialogs.pick_model import PickModelScreen
        from tui.files.models import shelf

        model, settings = self._session.state.model, self._settings
        device = model.info.device if model is not None else settings.device.partition(",")[0]
        dtype = model.info.dtype if model is not None else settings.dtype

        def find() -> Shelf:
            recent = self._saver.models()[:RECENT]
            return shelf(recent, settings.model_folders, device, dtype)

        screen = PickModelScreen(find, model.info.name if model else "", typed, beside=beside)

        def answered(name: str | None) -> None:
            if name is not None:
                then(screen, name)

        self._screens.push_screen(screen, answered)
