"""Keys act one after the other, each at once: where it leads is known before the next one is looked at.

Textual sends a key to the widget with the focus, from there by way of each of its parents back to the app,
and acts then; of keys that come in one piece all are on their way before the first has acted, and a letter is
in the field that the key before it has left. Here a key acts in the turn in which it arrives, and what it
changes is painted in that turn. Where it leads to something that takes turns of its own, a screen that opens
or a prompt that is run, the keys behind it wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from textual import events
from textual.app import App
from textual.binding import Binding
from textual.dom import DOMNode
from textual.keys import key_to_character
from textual.screen import Screen
from textual.widget import Widget

from tui.terminal.painting_now import paint_now

LED_TO_S = 1.0  # how long keys wait at the most for what the key before them has led to
_TURN_S = 0.001

Typed = events.Key | events.Paste
Bound = dict[str, list[Binding]]


class KeyOrder:
    """What was typed and has not acted yet. ``app`` is told of each key just before it acts."""

    def __init__(self, app: TypedInto) -> None:
        self._app = app
        self._typed: deque[Typed] = deque()
        self._on_the_way: tuple[Widget, ...] = ()  # what the last key was sent to, or leads to
        self._at_work = False
        self._wait_for: asyncio.Task[None] | None = None

    async def take(self, event: Typed) -> None:
        """A key or a paste arrives."""
        self._typed.append(event)
        if not self._at_work:
            await self._go_on()

    @property
    def waiting(self) -> bool:
        """Is there a key that has not acted yet?"""
        return bool(self._typed) or self._wait_for is not None

    def again(self, event: events.Key) -> None:
        """A key for what is behind: it acts before those that were typed after it."""
        self._typed.appendleft(event)

    async def _go_on(self, arrived: bool = False) -> None:
        self._at_work = True
        try:
            while self._typed and not self._app._exit:
                if not arrived and (self._app.message_queue_size or self._unfinished()):
                    self._wait_for = asyncio.create_task(self._wait())
                    return
                arrived = False
                await self._act(self._typed.popleft())
        finally:
            self._at_work = self._wait_for is not None
        if not self._app.message_queue_size:  # of a run of keys the last is painted at once
            paint_now(self._app)

    async def _act(self, event: Typed) -> None:
        screen = self._app.screen
        target = self._app.focused or screen
        if isinstance(event, events.Key):
            self._app.about_to_act(event)
            await self._press(event, target)
        else:
            target._forward_event(event)
        after = self._app.focused or self._app.screen
        ways = target.ancestors_with_self if target is after else _both(target, after)
        self._on_the_way = tuple(node for node in ways if isinstance(node, Widget))

    async def _press(self, event: events.Key, target: Widget) -> None:
        app = self._app
        if not app.app_focus:
            app.app_focus = True
        if await app._check_bindings(event.key, priority=True):
            return
        event._set_forwarded()
        for node in target.ancestors_with_self:
            with node._context():
                for _, method in node._get_dispatch_methods("on_key", event):
                    found = method(event)
                    if found is not None:
                        await found
            if event._stop_propagation or not node.is_attached:
                return

    # -- what a key has led to --------------------------------------------------------------------

    def _unfinished(self) -> bool:
        return any(_is_busy(widget) for widget in self._on_the_way)

    async def _wait(self) -> None:
        """Until all that is behind the last key has come to the app, and the app has heard of it."""
        end = asyncio.get_running_loop().time() + LED_TO_S
        await asyncio.sleep(0)
        while self._unfinished() and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(_TURN_S)
        self._app.call_later(self._arrived)

    async def _arrived(self) -> None:
        self._wait_for = None
        await self._go_on(arrived=True)


class TypedInto(App[int]):
    """The app as far as keys are concerned."""

    def about_to_act(self, event: events.Key) -> None:
        """``event`` acts next."""

    async def _check_bindings(self, key: str, priority: bool = False) -> bool:
        """Carry out what ``key`` is bound to, from the focus outwards; those with priority from outside.

        As Textual does it, which copies and compares all keys of all parents to find the one.
        """
        for node, binding in _bound(self.screen, key, self._keymap, priority=priority):
            if await self.run_action(binding.action, node):
                return True
        return False


def _both(one: Widget, other: Widget) -> list[DOMNode]:
    return list(dict.fromkeys([*one.ancestors_with_self, *other.ancestors_with_self]))


def _is_busy(widget: Widget) -> bool:
    if widget._closing or widget._closed:
        return False
    return bool(widget.message_queue_size) or not widget.is_mounted


def _bound(
    screen: Screen[Any], key: str, keymap: Mapping[str, str], *, priority: bool
) -> Iterator[tuple[DOMNode, Binding]]:
    """What ``key`` is bound to, and where: not where a field within takes it as a letter."""
    focused = screen.focused
    if focused is None or focused.loading:
        chain: list[DOMNode] = [screen, screen.app]
    else:
        chain = list(focused.ancestors_with_self)
    character = key_to_character(key)
    ends = (
        at
        for at, node in enumerate(chain, start=1)
        if node.check_consume_key(key, character) or (node.is_modal and not priority)
    )
    chain = chain[: next(ends, len(chain))]
    for node in reversed(chain) if priority else chain:
        for binding in _keys_of(node, keymap).get(key, ()):
            if binding.priority == priority:
                yield node, binding


_known: WeakKeyDictionary[DOMNode, tuple[object, object, Bound]] = WeakKeyDictionary()


def _keys_of(node: DOMNode, keymap: Mapping[str, str]) -> Bound:
    """The bindings of ``node`` as they are rebound."""
    known = _known.get(node)
    if known is None or known[0] is not node._bindings or known[1] is not keymap:
        bindings = node._bindings.copy()
        if keymap:
            bindings.apply_keymap(keymap)
        known = _known[node] = (node._bindings, keymap, bindings.key_to_bindings)
    return known[2]
