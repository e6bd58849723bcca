"""Panes, their screen and the screens over it as plain objects: what controllers ask of them, and no more."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from tests.tui.stand_ins import Spoken, session
from tui.catalogue import SLOTS, pane_slots
from tui.controllers.panes import Panes
from tui.session.selection import Selection
from tui.session.session import Session
from tui.session.state import Answer, State

__all__ = ["PlainBoard", "PlainPane", "PlainScreen", "PlainStack", "Spoken", "panes_of", "session"]


class PlainPane:
    """A pane whose cursor is a number: the position of the prompt that is selected."""

    of_heads, about_prompt, replaced = False, False, False
    shown_in_place = None

    def __init__(self, slot: Any) -> None:
        self.slot, self.state, self.display = slot, State(), True
        self.cursor = 0
        self.framed = False
        self.opens = ""  # the slot that its cursor opens
        self.view = SimpleNamespace(pane=self)
        self.searched = SimpleNamespace(of=slot.name, place=0)
        self.asked_by_search = (f"asked by {slot.name}",)

    @property
    def data(self) -> Answer:
        return self.state.slots[self.slot.name]

    position = None

    def show(self, state: State) -> None:
        self.state = state

    def follow(self, selection: Selection) -> bool:
        moved = selection.token is not None and selection.token != self.cursor
        if moved and selection.token is not None:
            self.cursor = selection.token
        return moved

    def part(self) -> str:
        return ""

    def slot_under_cursor(self) -> str:
        return self.opens

    def predicted(self) -> None:
        return None

    def show_predicted(self, predicted: object) -> None: ...

    def cursor_rested(self) -> None: ...

    def refresh_readout(self) -> None: ...

    def frame(self, focused: bool, frameless: bool = False) -> None:
        self.framed = focused

    def shown_readout(self) -> Any:
        return SimpleNamespace(plain=f" readout of {self.slot.name} ")

    def lines_in_full(self) -> list[str]:
        return [f"lines of {self.slot.name}"]


class PlainBoard:
    """The screen of the panes, and the clock that says when a cursor rests."""

    def __init__(self) -> None:
        self.base: Any = self
        self.size_names = ["-wide", "-high"]
        self.classes: set[str] = set()
        self.focused: Any = None
        self.due: Callable[[], None] | None = None

    def has_class(self, name: str) -> bool:
        return name in self.classes

    def set_class(self, on: bool, name: str) -> None:
        (self.classes.add if on else self.classes.discard)(name)

    def set_focus(self, view: Any) -> None:
        self.focused = SimpleNamespace(id="", ancestors=[view.pane])

    def set_timer(self, delay: float, callback: Callable[[], None]) -> Any:
        self.due = callback
        return SimpleNamespace(stop=lambda: None)


class PlainScreen:
    """A screen over the panes."""

    def __init__(self, stack: PlainStack, name: str = "") -> None:
        self.stack, self.name = stack, name
        self.called: list[tuple[Any, ...]] = []

    def dismiss(self, value: object) -> None:
        self.stack.screen_stack.remove(self)

    def call_later(self, *call: Any) -> None:
        self.called.append(call)


class PlainStack:
    """The screens, that of the panes first, and the actions that were carried out."""

    def __init__(self) -> None:
        self.screen_stack: list[Any] = ["the panes"]
        self.answered: Callable[[Any], Any] | None = None
        self.actions: list[str] = []

    @property
    def screen(self) -> Any:
        return self.screen_stack[-1]

    def push_screen(self, screen: Any, answered: Any = None, /) -> None:
        self.screen_stack.append(screen)
        self.answered = answered

    def answer(self, value: Any) -> Any:
        self.screen_stack.pop()
        assert self.answered is not None
        return self.answered(value)

    async def run_action(self, action: str, /, default_namespace: Any = None) -> bool:
        self.actions.append(action)
        return True


def panes_of(own: Session, board: PlainBoard, **calls: Callable[..., Any]) -> Panes:
    """The controller with a plain pane for each slot that has one."""
    run = calls.get("run", lambda: None)
    panes = Panes(own, board, run, calls.get("open_screen", lambda name: None))
    panes.take([PlainPane(slot) for slot in pane_slots(SLOTS)])
    return panes
