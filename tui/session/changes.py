"""Which names have changed, told in one go per turn of the loop.

Progress is told at most five times a second, so that the screen repaints no more than a person can read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from tui.session.engine_port import MODEL_SLOT

if TYPE_CHECKING:
    from tui.session.interventions import InterventionStack
    from tui.session.state import State
    from tui.slots.spec import Slot

COALESCE_S = 0.2


class Changes:
    """Gathers names and calls ``changed`` with them."""

    def __init__(self, changed: Callable[[set[str]], None]) -> None:
        self._changed = changed
        self._names: set[str] = set()
        self._call: asyncio.Handle | None = None
        self._soon = False
        self._told = asyncio.Event()

    def add(self, names: set[str], soon: bool = False) -> None:
        """These have changed; ``soon``: to be told in the next turn of the loop."""
        self._names |= names
        if self._call is not None and (self._soon or not soon):
            return
        self.close()
        loop = asyncio.get_running_loop()
        self._soon = soon
        self._call = loop.call_soon(self._tell) if soon else loop.call_later(COALESCE_S, self._tell)

    def now(self) -> None:
        """What is to be told soon is told at once: it is painted together with what is written meanwhile."""
        if self._call is not None and self._soon:
            self.close()
            self._tell()

    @property
    def waiting(self) -> bool:
        """Is there something that is not told yet?"""
        return self._call is not None

    async def told(self) -> None:
        """Wait until they are told next."""
        self._told.clear()
        await self._told.wait()

    def close(self) -> None:
        """What waits is not told."""
        if self._call is not None:
            self._call.cancel()

    def _tell(self) -> None:
        self._call = None
        names, self._names = self._names, set()
        self._changed(names)
        self._told.set()


def asked_otherwise(
    slots: Mapping[str, Slot], names: Iterable[str], state: State, stack: InterventionStack
) -> list[str]:
    """Those of ``names`` that ask something else with the interventions of ``stack``."""
    now = replace(state, interventions=stack)
    own = [slots[name] for name in names if not slots[name].of_edits]
    return [slot.name for slot in own if slot.request(state) != slot.request(now)]


def by_event(
    slot: str, kind: str, before: State, now: State, slots: Collection[str]
) -> tuple[set[str], bool]:
    """What an event of the engine has changed, and whether that is to be told soon."""
    of_model = before.slots is not now.slots and slot == MODEL_SLOT
    if kind == "Lost" or of_model or before.question != now.question:
        return {"question", "engine", *slots}, True
    of_slot = {slot} if slot in slots else set()
    waits = {name for name, answer in before.slots.items() if now.slots[name] is not answer}
    return {"engine", *of_slot, *waits}, kind not in ("Progress", "Loading", "Begun")


AT_REST = ("ready", "failed", "gave up")  # phases of the engine in which nothing more comes


async def settled(idle: asyncio.Event, changes: Changes, phase: Callable[[], str]) -> None:
    """Wait until the engine is ``idle``, at rest, and all ``changes`` are told."""
    while True:
        await idle.wait()
        if changes.waiting:
            await changes.told()
        elif idle.is_set() and phase() in AT_REST:
            return
        else:
            await asyncio.sleep(0.002)
