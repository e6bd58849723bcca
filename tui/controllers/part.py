"""What every mixin of the app stands on: the app by its type."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.app import App

    from tui.app import InterpBoardApp

    Base = App[int]
else:
    Base = object


class Part(Base):
    """Base of the mixins of ``InterpBoardApp``."""

    @property
    def _me(self) -> InterpBoardApp:
        return self  # type: ignore[return-value]
