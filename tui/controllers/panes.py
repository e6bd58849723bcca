"""The panes: which is active, which are in sight, and what happens when a cursor comes to rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from tui.session.selection import Selection
from tui.slots import layout

if TYPE_CHECKING:
    from textual.timer import Timer
    from textual.widget import Widget

    from tui.controllers.ports import PaneBoard
    from tui.session.session import Session
    from tui.session.state import State
    from tui.slots.pane import Pane
    from tui.slots.spec import Slot


PROMPT_INPUT = "prompt-input"  # the field of the prompt


class Whereabouts(NamedTuple):
    """Which pane is active, what is selected, and where the cursors are, to return to."""

    active: str
    selection: Selection
    cursors: Mapping[str, Any]


class Panes:
    """``views`` are by number. ``run`` runs what the prompt says, ``open_screen`` opens that of a slot.

    ``shown`` is what the panes show of a snapshot: itself, or what it is compared with.
    """

    def __init__(
        self,
        session: Session,
        board: PaneBoard,
        run: Callable[[], None],
        open_screen: Callable[[str], None],
        shown: Callable[[State], State] = lambda state: state,
    ) -> None:
        self._session, self._board, self._run, self._open_screen = session, board, run, open_screen
        self._shown = shown
        self.views: Sequence[Pane] = ()
        self.active = ""
        self._visited: list[str] = []
        self._resting: Timer | None = None

    @property
    def slots(self) -> Sequence[Slot]:
        """The slots that have a pane, by its number."""
        return sorted((slot for slot in self._slots if slot.place is not None), key=_number)

    def at_first(self) -> list[Slot]:
        """The slots whose panes are in sight at the start, where the first is active."""
        first = self.slots[0].name
        sight = layout.in_sight(self.slots, self._board.size_names, first, [first])
        return [slot for slot in self.slots if slot.name in sight]

    def take(self, views: Iterable[Pane]) -> Sequence[Pane]:
        """These panes are there; the first is active."""
        self.views = tuple(views)
        self.active = self.views[0].slot.name
        return self.views

    def add(self, views: Iterable[Pane]) -> None:
        """These are there now too, with what the others show."""
        late = tuple(views)
        self.views = sorted((*self.views, *late), key=lambda pane: _number(pane.slot))
        state = self._shown(self._session.state)
        for pane in late:
            pane.show(state)
        self.arrange()

    # -- which ------------------------------------------------------------------------------------

    def of(self, slot: str) -> Pane:
        """The pane that shows ``slot``."""
        return next(pane for pane in self.views if pane.slot.name == slot)

    @property
    def view(self) -> Pane:
        """The active pane."""
        return self.of(self.active)

    @property
    def here(self) -> tuple[str, str, bool]:
        """The slot of the active pane, the part of the model under its cursor, and whether it is about the
        prompt."""
        return self.view.slot.name, self.view.part(), self.view.about_prompt

    @property
    def moving(self) -> bool:
        """Has a cursor moved so lately that what depends on it is not drawn yet?"""
        return self._resting is not None

    def go(self, slot: str) -> None:
        """Bring the pane that shows ``slot`` to the front and focus it, or open its screen."""
        if self._session.slots[slot].kind == "screen":
            self._open_screen(slot)
            return
        shown_by = [p for p in self.views if slot in (p.slot.name, *p.slot.beside)]
        pane = next((p for p in shown_by if p.slot.name == slot), shown_by[0])
        if self._bring(pane):
            pane.refresh_readout()
        self.put_focus(pane.view)
        self.activate(pane.slot.name)

    def step(self, by: int) -> None:
        """Go to the next pane by number."""
        names = [pane.slot.name for pane in self.views]
        self.go(names[(names.index(self.active) + by) % len(names)])

    def open(self) -> None:
        """What is under the cursor; where nothing opens, run."""
        opened = self.view.slot_under_cursor()
        if opened:
            self.go(opened)
        else:
            self._run()

    # -- the focus --------------------------------------------------------------------------------

    def focus(self) -> None:
        """Back to the active pane."""
        self.put_focus(self.view.view)

    def put_focus(self, widget: Widget) -> None:
        """At once: ``Widget.focus`` comes a turn later, after keys that were sent in the same piece."""
        if self._board.base is not None:
            self._board.base.set_focus(widget)

    @property
    def in_prompt(self) -> bool:
        """Is the focus in the prompt?"""
        focused = self._board.base.focused if self._board.base is not None else None
        return focused is not None and focused.id == PROMPT_INPUT

    @property
    def focus_name(self) -> str:
        """Where the focus is: ``prompt``, or the slot of a pane."""
        return "prompt" if self.in_prompt else self.active

    def take_focus(self) -> bool:
        """The pane that has the focus now is the active one; false: nothing has it."""
        focused = self._board.base.focused if self._board.base is not None else None
        if focused is None:
            return False
        around = [pane for pane in self.views if pane in focused.ancestors]
        self.activate(around[0].slot.name if around else self.active)
        return True

    def zoom(self, on: bool | None = None) -> None:
        """The active pane on the whole screen, and back."""
        base = self._board.base
        if base is not None:
            base.set_class(not base.has_class("-zoomed") if on is None else on, "-zoomed")
            self.arrange()

    # -- what they show ---------------------------------------------------------------------------

    def show(self, state: State, changed: set[str] | None = None) -> None:
        """Show a snapshot; only those that show one of the slots ``changed`` are filled anew."""
        for _ in self.show_each(state, changed):
            pass

    def show_each(self, state: State, changed: set[str] | None = None) -> Iterator[None]:
        """The same, one pane after the other; what is selected may be something else by then."""
        followed, selected = state.selection.token, self._session.state.selection
        for pane in self.views:
            if self._session.state.selection is not selected:  # a cursor has moved since
                selected = self._session.state.selection
                state = replace(state, selection=selected)
            if changed is not None and not self._concerns(pane, changed):
                pane.state = state
                continue
            empty, before = pane.data.result is None, _explained(pane)
            there = before is not None and pane.position == before[1]
            pane.show(state)
            now = _explained(pane)
            if there and before is not None and now is not None and before[0] != now[0]:
                self._to_explained(pane, now[1], before[1] == followed)
            first = empty and pane.data.result is not None
            hidden = pane.slot.name != self.active
            if changed is not None and (first or hidden) and self._bring(pane):
                pane.refresh_readout()
            yield
        if changed and any(slot.leads and slot.name in changed for slot in self._slots):
            self.cursor_rested()

    def _to_explained(self, pane: Pane, token: int, selected: bool) -> None:
        """The cursor was on the explained token of another text: it goes to that of this one."""
        if selected:
            self._session.select(token=token)
        if pane.follow(Selection(token=token)):
            pane.refresh_readout()

    @staticmethod
    def _concerns(pane: Pane, changed: set[str]) -> bool:
        shown = {pane.slot.name, *pane.slot.beside}
        return bool(shown & changed) or ("engine" in changed and pane.data.result is None)

    def repaint(self) -> None:
        """Everything again, in the current colours."""
        self.arrange()
        for pane in self.views:
            pane.refresh_words()
            pane.view.refresh()

    def arrange(self) -> None:
        """One pane or all, after a resize or a zoom."""
        self.activate(self.active)

    def activate(self, slot: str) -> None:
        """Make a pane the active one, in sight and framed as such; no style sheet is consulted."""
        if slot != self.active and self._bring(self.of(slot)):
            self.of(slot).refresh_readout()  # it was out of sight while the selection moved
        self.active = slot
        self._visited = [*(name for name in self._visited if name != slot), slot]
        base = self._board.base
        names = self._board.size_names
        if base is not None and base.has_class("-zoomed"):
            names = [*names, "-zoomed"]
        sight = layout.in_sight([p.slot for p in self.views], names, slot, self._visited)
        in_panes = not self.in_prompt
        frameless = any(name in names for name in layout.FRAMELESS)
        for pane in self.views:
            pane.display = pane.slot.name in sight
            pane.frame(pane.slot.name == slot and in_panes, frameless)
        beside = {name for pane in self.views if pane.display for name in pane.slot.beside}
        self._session.see(sight | beside)
        self.cursor_rested()

    # -- the cursor -------------------------------------------------------------------------------

    def select(self, **places: Any) -> None:
        """A cursor has moved; the other panes come to it once it rests."""
        self._session.select(**places)
        if self._resting is not None:
            self._resting.stop()
        from tui.terminal import timers  # late: it imports Textual, which no controller needs

        self._resting = self._board.set_timer(timers.REST_S, self.cursor_rested)

    def point_at(self, layer: int, head: int) -> None:
        """Select a head; where nothing in sight shows which that is, the first pane that does comes."""
        self.select(layer=layer, head=head, mlp=False)
        if not any(pane.display and pane.of_heads for pane in self.views):
            self.go(next(pane.slot.name for pane in self.views if pane.of_heads))
        elif self.view.follow(self._session.state.selection):
            self.view.refresh_readout()

    def where(self) -> Whereabouts:
        """Whereabouts everything is now."""
        cursors = {pane.slot.name: pane.cursor for pane in self.views}
        return Whereabouts(self.active, self._session.state.selection, cursors)

    def return_to(self, where: Whereabouts) -> None:
        """As it was: the active pane, the selection, the cursors."""
        for pane in self.views:
            pane.cursor = where.cursors[pane.slot.name]
        self.select(**vars(where.selection))
        if where.active != self.active:
            self.go(where.active)

    def cursor_rested(self) -> None:
        """The cursor rests: the other panes come to where it is, and what depends on it is drawn."""
        if self._resting is not None:
            self._resting.stop()
        self._resting = None
        if self._board.base is None:
            return
        session = self._session
        due = [slot.name for slot in self._slots if slot.follows_cursor]
        session.ensure(*(name for name in due if name in session.in_sight))
        state = self._shown(session.state)
        for pane in self.views:
            elsewhere = pane.display and pane.slot.name != self.active
            if elsewhere and self._bring(pane):
                pane.refresh_readout()
            new = state.slots[pane.slot.name].result is not pane.data.result
            if pane.display and not pane.replaced and not new:  # what is new is filled in first
                pane.state = state
                pane.cursor_rested()
        if not self.view.replaced:
            predicted = self.view.predicted()
            for pane in self.views:
                pane.show_predicted(predicted)

    def _bring(self, pane: Pane) -> bool:
        """Put a pane's cursor where the selection is; did it move? B − A and means have their own."""
        return not pane.replaced and pane.follow(self._session.state.selection)

    @property
    def _slots(self) -> Iterable[Slot]:
        return self._session.slots.values()


def _number(slot: Slot) -> int:
    assert slot.place is not None
    return slot.place.number


def _explained(pane: Pane) -> tuple[str, int] | None:
    """The text that the pane's result is of, and the position that is explained; a mean is of none."""
    result, prompt = pane.data.result, pane.data.prompt
    if pane.state.means is not None or not result or not prompt:
        return None
    return (prompt.text, result.metric.position)
