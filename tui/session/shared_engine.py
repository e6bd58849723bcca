"""One engine for two sessions: the jobs of the other side go by names of their own.

``Switchboard`` stands between the engine and the sessions: an event of a slot called ``A:heads`` is told to
the session of A as one of ``heads``. A's session sees an engine whose model is loaded already.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from tui.session.engine_port import EngineFactory, EngineLike
from tui.session.state import Model

EventListener = Callable[[str, Any], None]


class Switchboard:
    """``connect`` makes the engine for the app's own session; ``side`` a share of it for another."""

    def __init__(self, factory: EngineFactory) -> None:
        self._factory = factory
        self._engine: EngineLike | None = None
        self._sides: dict[str, tuple[Model, EventListener]] = {}

    def connect(self, listener: EventListener) -> EngineLike:
        """The engine; events of its own slots, and of none, go to ``listener``."""

        def hear(slot: str, event: Any) -> None:
            prefix, colon, name = slot.partition(":")
            kind = type(event).__name__
            if kind == "Lost":  # each hears of what it had under way
                listener(slot, event.named(lambda name: None if ":" in name else name))
                for of, (_, side) in tuple(self._sides.items()):
                    side(slot, event.named(partial(_name_within, of)))
            elif not colon:
                listener(slot, event)
                for model, side in tuple(self._sides.values()):
                    back = kind == "Ready" and event.model == model.info
                    if back or kind == "SharedDevices":  # others than before do its jobs too
                        side(slot, event)
            elif prefix in self._sides:
                self._sides[prefix][1](name, event)

        self._engine = self._factory(hear)
        return self._engine

    def side(self, prefix: str, model: Model) -> EngineFactory:
        """A factory of engines whose jobs run on the shared one, with ``model`` loaded already."""

        def make(listener: EventListener) -> EngineLike:
            assert self._engine is not None
            self._sides[prefix] = (model, listener)
            return SharedEngine(self._engine, prefix, model, listener)

        return make

    def leave(self, prefix: str) -> None:
        """Nothing is told to that side any more; what it has under way is cancelled."""
        self._sides.pop(prefix, None)
        if self._engine is not None:
            for slot in self._engine.busy_slots:
                if slot.startswith(f"{prefix}:"):
                    self._engine.cancel(slot)


def _name_within(prefix: str, slot: str) -> str | None:
    """What the side of ``prefix`` calls ``slot``; None: it is not of that side."""
    own, colon, name = slot.partition(":")
    return name if colon and own == prefix else None


class SharedEngine:
    """The part of an engine that one side uses. Whose engine it is starts, loads and ends it."""

    def __init__(
        self, engine: EngineLike, prefix: str, model: Model, listener: EventListener
    ) -> None:
        self._engine, self._prefix = engine, prefix
        self._model, self._listener = model, listener
        self.idle = engine.idle

    async def start(self) -> None:
        """It runs already."""

    async def stop(self) -> None:
        """It goes on."""

    async def restart(self) -> None:
        """Its owner restarts it."""

    def load(self, model: str, **options: Any) -> int:
        """The model is there: says so."""
        from interpboard.engine.protocol import Ready

        loaded = self._model
        self._listener(
            "model",
            Ready(
                0,
                loaded.info,
                loaded.path,
                loaded.context,
                0,
                loaded.parameters,
                loaded.memory_bytes,
                loaded.notes,
            ),
        )
        return 0

    def run(self, slot: str, analysis: str, text: Any, *asked: Any, **known: Any) -> int:
        """Run an analysis."""
        return self._engine.run(self._named(slot), analysis, text, *asked, **known)

    def plan(self, slot: str, analysis: str, text: Any, *asked: Any, **known: Any) -> int:
        """Ask what that would take."""
        return self._engine.plan(self._named(slot), analysis, text, *asked, **known)

    def tokenize(self, slot: str, text: Any, bare: bool = False) -> int:
        """Ask which tokens a prompt is."""
        return self._engine.tokenize(self._named(slot), text, bare)

    def split(self, slot: str, text: str) -> int:
        """Ask which tokens a text is inside another."""
        return self._engine.split(self._named(slot), text)

    def vocabulary(self, slot: str) -> int:
        """Ask for the strings of all tokens."""
        return self._engine.vocabulary(self._named(slot))

    def cancel(self, slot: str | None = None) -> None:
        """Cancel one job of this side, or all of them."""
        for name in self.busy_slots if slot is None else (slot,):
            self._engine.cancel(self._named(name))

    def aside(self, slots: Collection[str]) -> None:
        """What nobody looks at is for its owner to say."""

    @property
    def busy_slots(self) -> tuple[str, ...]:
        """Slots of this side with a job."""
        begin = self._named("")
        return tuple(s.removeprefix(begin) for s in self._engine.busy_slots if s.startswith(begin))

    def _named(self, slot: str) -> str:
        return f"{self._prefix}:{slot}"


class NoEngine:
    """What is kept of a model that is not loaded: nothing runs on it, and nothing is asked."""

    def __init__(self, _listener: EventListener) -> None:
        self.idle = asyncio.Event()
        self.idle.set()
        self.busy_slots: tuple[str, ...] = ()

    async def start(self) -> None:
        """Nothing to start."""

    async def stop(self) -> None:
        """Nothing to end."""

    async def restart(self) -> None:
        """Nothing to start."""

    def load(self, model: str, **options: Any) -> int:
        """Never loads: the session never asks."""
        return 0

    def run(self, *_asked: Any, **_known: Any) -> int:
        """Runs nothing."""
        return 0

    def plan(self, *_asked: Any, **_known: Any) -> int:
        """Plans nothing."""
        return 0

    def aside(self, slots: Collection[str]) -> None:
        """Nothing runs."""

    def tokenize(self, slot: str, text: Any, bare: bool = False) -> int:
        """Answers nothing."""
        return 0

    def split(self, slot: str, text: str) -> int:
        """Answers nothing."""
        return 0

    def vocabulary(self, slot: str) -> int:
        """Answers nothing."""
        return 0

    def cancel(self, slot: str | None = None) -> None:
        """Nothing runs."""
