"""The engine of a session once it is started, and its model: which it has, which was asked for, and how."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from interpboard.registry.loading import LoadOptions
from tui.session.engine_port import EngineFactory, EngineLike, TakesEvents

if TYPE_CHECKING:
    from interpboard.results import ModelInfo
    from tui.session.state import State


LAST_STEP_S = 0.5  # how long leaving waits for the cells on their way


class EngineLink:
    """Before it is started nothing can be asked of the engine: what would be cancelled is not there."""

    def __init__(self, factory: EngineFactory) -> None:
        self._factory = factory
        self.engine: EngineLike | None = None
        self.loaded: ModelInfo | None = None  # whatever the screen shows
        self.asked = ""  # the model that was asked for last

    async def start(
        self, listener: TakesEvents, model: str, load: LoadOptions, **options: Any
    ) -> None:
        """Start the engine and ask for a model. ``load`` is how this model is opened, none but this."""
        self._options = options
        self._opened: dict[str, tuple[str, LoadOptions]] = {model: ("", load)}
        self.engine = self._factory(listener)
        await self.engine.start()
        self.load(model)

    async def let_go(self, begun: Callable[[], bool]) -> None:
        """Jobs that have begun end with their step, and tell what they have computed; not for long."""
        if self.engine is None or not begun():
            return
        self.engine.cancel()
        loop = asyncio.get_running_loop()
        end = loop.time() + LAST_STEP_S
        while begun() and loop.time() < end:
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """The engine ends."""
        if self.engine is not None:
            await self.engine.stop()

    def load(self, model: str, asked: tuple[str, LoadOptions] | None = None) -> None:
        """Open a model as ``asked``: number format (empty: the usual one) and options; None: as before."""
        assert self.engine is not None
        if asked is not None:
            self._opened[model] = asked
        beside: dict[str, Any] = {}
        if model in self._opened:
            dtype, beside["options"] = self._opened[model]
            beside |= {"dtype": dtype} if dtype else {}
        self.asked = model
        self.engine.load(model, **{**self._options, **beside})

    def cancel(self, slot: str | None = None) -> None:
        """Cancel the job of ``slot``, or every analysis."""
        if self.engine is not None:
            self.engine.cancel(slot)

    def aside(self, slots: Collection[str]) -> None:
        """Nobody looks at these: their jobs come last."""
        if self.engine is not None:
            self.engine.aside(slots)

    def has_model_of(self, state: State) -> bool:
        """Does it wait, with the model that ``state`` shows?"""
        model = state.model
        return state.engine.phase == "ready" and model is not None and self.loaded == model.info
