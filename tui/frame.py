"""The lines around the panes: status, prompt, interventions, tabs, footer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from tui import catalogue, theme
from tui.session.compared import SECOND, acts_on_b, of_one_side
from tui.session.state import PromptKind, State
from tui.slots.compared_line import compared_line
from tui.slots.means_line import means_line
from tui.slots.pane import Pane
from tui.slots.predictions.likely import predicted
from tui.slots.what_if.line import what_if_line
from tui.terminal.sizes import NEEDED
from tui.widgets import lines
from tui.widgets.line import Line
from tui.widgets.message import MessageLine, message_line
from tui.widgets.prompt import Prompt

if TYPE_CHECKING:
    from tui.controllers.notify import Notice

_RUNS = (8, "Runs", "", "runs")  # a screen of its own: there is a list to search and two to compare
TOO_SMALL = "InterpBoard needs {} columns and {} rows.".format(*NEEDED)


def above(text: str, kind: PromptKind, hint: bool) -> Iterable[Widget]:
    """What stands above the panes; the ``hint`` for the first start below it."""
    yield Line(id="status")
    yield Prompt(text, kind)
    yield Line(id="compared", classes="-nothing")
    yield Line(id="interventions")
    yield Line(id="tabs")
    if hint:
        from tui.widgets.first_hint import FirstHint

        yield FirstHint(id="first-hint")


def below() -> Iterable[Widget]:
    """What stands below them."""
    yield Static(TOO_SMALL, id="small", markup=False)
    yield MessageLine(id="message")
    yield Line(id="footer")


def show_frame(base: Screen[Any], state: State, view: Pane, focus: str) -> None:
    """The lines for a snapshot and its active pane; each repaints only if it changed."""
    active = view.slot.name
    width, ink = base.app.size.width, theme.inks(base.app.current_theme.dark)
    prompt = base.query_one(Prompt)
    edited = (prompt.text, prompt.kind) != (state.question.text, state.question.kind)
    base.query_one("#status", Line).set(lines.status(state, ink, width, edited, predicted(state)))
    line = base.query_one("#interventions", Line)
    line.set(what_if_line(state, ink, width))
    if line.has_class("-nothing") == bool(state.interventions.items):
        line.set_class(not state.interventions.items, "-nothing")
    compared = base.query_one("#compared", Line)
    beside = means_line(state, ink, width) or compared_line(state, ink, width)
    compared.set(beside)
    if compared.has_class("-nothing") == bool(beside):
        compared.set_class(not beside, "-nothing")
    names = [
        (slot.place.number, slot.place.title, slot.place.short, slot.name)
        for slot in catalogue.pane_slots()
        if slot.place is not None
    ]
    base.query_one("#tabs", Line).set(lines.tabs([*names, _RUNS], active, state, ink, width))
    next_step, cannot = view.next_step(state), view.cannot(state)
    shown_side = None if state.compared is None else state.compared.view
    if state.means is not None:  # what a pane does to its prompt
        next_step, cannot = "back", [each.id for each in view.slot.keys]
    elif shown_side is not None and shown_side != SECOND:
        of_b = [each.id for each in view.slot.keys if acts_on_b(shown_side, each.id)]
        next_step, cannot = "compare", [*cannot, *of_b, *of_one_side(shown_side)]
    commands = catalogue.footer_commands(focus, _stoppable(state), next_step, cannot)
    base.query_one("#footer", Line).set(lines.footer(commands, ink, width))


def _stoppable(state: State) -> bool:
    """Does anything run but what follows the cursor? That comes and goes at every move, as keys would."""
    following = {slot.name for slot in catalogue.SLOTS if slot.follows_cursor}
    return not following.issuperset(state.busy)


def show_message(screens: Sequence[Screen[Any]], latest: Notice | None) -> None:
    """What was said last, on every screen that has a line for it."""
    app = screens[0].app
    text = message_line(latest, theme.inks(app.current_theme.dark), app.size.width)
    for screen in screens:
        for line in screen.children:  # a query would look at every widget of every pane
            if isinstance(line, MessageLine):
                line.set(text)


def put_hint_away(base: Screen[Any]) -> bool:
    """Away with the hint of the first start; was there one?"""
    hints = base.query("#first-hint")
    for hint in hints:
        hint.remove()
    return bool(hints)
