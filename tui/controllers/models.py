"""Opening another model: the demo, recent ones, those on this machine, a name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interpboard.config import Settings
    from tui.controllers.ports import OpensScreens
    from tui.controllers.saver import Saver
    from tui.dialogs.pick_model import PickModelScreen
    from tui.files.models import Shelf
    from tui.session.session import Session

RECENT = 8  # models in the picker


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

    @property
    def name(self) -> str:
        """The model in use, for a command line."""
        model = self._session.state.model
        return model.info.name if model is not None else "demo"

    def choose(self) -> None:
        """Ask for a model."""
        self.pick(lambda screen, name: self._session.load(name))

    def pick(self, then: Callable[[PickModelScreen, str], None], *, beside: bool = False) -> None:
        """Ask for a model; ``then`` is called with the list and the name. ``beside``: to compare with."""
        from tui.dialogs.pick_model import PickModelScreen
        from tui.files.models import shelf

        model, settings = self._session.state.model, self._settings
        device = model.info.device if model is not None else settings.device
        dtype = model.info.dtype if model is not None else settings.dtype

        def find() -> Shelf:
            recent = self._saver.models()[:RECENT]
            return shelf(recent, settings.model_folders, device, dtype)

        screen = PickModelScreen(find, model.info.name if model else "", beside=beside)

        def answered(name: str | None) -> None:
            if name is not None:
                then(screen, name)

        self._screens.push_screen(screen, answered)
