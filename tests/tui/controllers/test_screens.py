"""What is opened over the panes, found in it, and carried out in it."""

from __future__ import annotations

from typing import Any

from tests.tui.controllers.plain import (
    PlainBoard,
    PlainScreen,
    PlainStack,
    Spoken,
    panes_of,
    session,
)
from tui.commands.command import Command, command
from tui.controllers.find import NOTHING, Find
from tui.controllers.help import Help
from tui.controllers.log import Log
from tui.controllers.notify import Messages
from tui.controllers.palette import Palette
from tui.controllers.perform import Perform
from tui.controllers.plots import Plots
from tui.controllers.screens import Screens
from tui.session.session import Session


def screens_of(stack: PlainStack) -> Screens:
    return Screens(stack, lambda name: PlainScreen(stack, name))


def test_a_slots_screen_is_opened_and_all_of_them_are_left_at_once() -> None:
    stack = PlainStack()
    screens = screens_of(stack)
    assert screens.over is None
    screens.open("circuit")
    screens.open("steering")
    assert getattr(screens.over, "name", "") == "steering"
    screens.uncover()
    assert stack.screen_stack == ["the panes"]


def test_a_line_is_answered_with_its_text_and_not_at_all_where_it_is_left() -> None:
    stack, answers = PlainStack(), list[str]()
    for value in ("typed", None, ""):
        screens_of(stack).input_line("Title", (), "", answers.append)
        stack.answer(value)
    assert answers == ["typed", ""]


class Acting:
    """What commands act with here: a refusal of everything, if there is one, and what was done."""

    def __init__(self, own: Session) -> None:
        self.stack, self.told, self.done = PlainStack(), Spoken(), list[str]()
        self.panes = panes_of(own, PlainBoard())
        self.refusal = ""
        self.perform = Perform(
            lambda action: action(self),
            lambda command, place: self.refusal or command.why_not(self, place),
            own,
            self.panes,
            screens_of(self.stack),
            self.stack,
            self.told,
        )


async def did(app: Any) -> None:
    app.done.append("later")


DO = Command("do", "", "", "Do", "", lambda c: c.done.append("now"))
DO_LATER = Command("do_later", "", "", "Do later", "", did)
CANNOT = Command("cannot", "", "", "Cannot", "", lambda c: c.done.append("never"),
                 why_not=lambda c, place: f"Not in {place}.")  # fmt: skip
MOVE = Command("move", "", "", "Move", "", "move(1)")


async def test_a_command_acts_with_the_controllers_or_says_why_it_cannot() -> None:
    async with session() as own:
        app = Acting(own)
        await app.perform.do(DO)
        await app.perform.do(DO_LATER)
        await app.perform.do(MOVE)
        assert (app.done, app.stack.actions, app.told) == (["now", "later"], ["move(1)"], [])
        await app.perform.do(CANNOT)
        app.refusal = "B − A is shown."
        await app.perform.do(DO)
        assert app.done == ["now", "later"]
        assert app.told == [f"Not in {app.panes.active}.", "B − A is shown."]


async def test_a_command_of_another_place_is_carried_out_there() -> None:
    async with session() as own:
        app = Acting(own)
        await app.perform.at(DO, "heads")
        assert app.panes.active == "heads"
        await app.perform.at(MOVE, "circuit")
        over = app.stack.screen
        assert over.name == "circuit"
        (call,) = over.called  # once the screen has its widgets
        assert call[1:] == ("move(1)", over)
        await app.perform.at(CANNOT, "lens")
        assert app.panes.active == "heads"  # what cannot act goes nowhere
        assert app.told == ["Not in lens."]


async def test_the_palette_has_every_command_of_a_place_once_and_carries_out_what_is_chosen() -> (
    None
):
    async with session() as own:
        app = Acting(own)
        app.refusal = "not now"
        entries = Palette(own, app.panes, app.perform, app.stack).entries()
        places = [(entry.command.id, entry.place) for entry in entries]
        assert len(set(places)) == len(places)
        assert {entry.why_not for entry in entries} == {"not now"}
        of_active = [entry.place == app.panes.active for entry in entries]
        assert of_active == sorted(of_active, reverse=True)  # the active pane's come first
        assert ("quit", "app") in places
        palette = Palette(own, app.panes, app.perform, app.stack)
        palette.open()
        await app.stack.answer(None)
        palette.open()
        await app.stack.answer(next(e for e in entries if e.command is command("quit")))
        assert app.told == ["not now"]


async def test_find_searches_the_screen_in_front_and_says_where_there_is_nothing() -> None:
    async with session() as own:
        stack, told, looked_up = PlainStack(), Spoken(), list[str]()
        panes = panes_of(own, PlainBoard())
        find = Find(screens_of(stack), lambda: panes.view, looked_up.extend, told)
        find.step(1)
        assert len(told) == 1
        assert told[0].startswith("Nothing was searched for yet: ")
        find.ask()
        assert len(stack.screen_stack) == 2  # the line that one types in
        assert looked_up == ["asked by tokens"]
        find.ask()  # over a screen with nothing to search
        assert told[1:] == [NOTHING]
        assert looked_up == ["asked by tokens"]  # what stands over the pane is searched, not it


async def test_help_shows_the_lines_of_the_active_pane_in_full() -> None:
    async with session() as own:
        stack, panes = PlainStack(), panes_of(own, PlainBoard())
        panes.go("lens")
        Help(stack, lambda: panes.view).open()
        assert stack.screen.slot == "lens"
        assert stack.screen.shown == ("lines of lens",)


async def test_the_log_runs_again_only_where_that_is_chosen() -> None:
    async with session() as own:
        stack, runs, messages = PlainStack(), list[str](), Messages(lambda: None)
        for chosen in (None, False, True):
            Log(own, messages, stack, lambda: runs.append("run")).open()
            stack.answer(chosen)
        assert runs == ["run"]


async def test_a_pane_without_lines_is_not_plotted_and_the_reason_is_the_palettes() -> None:
    async with session() as own:
        stack, told = PlainStack(), Spoken()
        panes = panes_of(own, PlainBoard())
        plots = Plots(
            stack, pane=lambda: panes.view, model=lambda: "demo", folder="",
            input_line=lambda *_: None, tell=told,
        )  # fmt: skip
        plots.open()
        assert told == [plots.why_not()]
        assert "nothing to draw yet" in told[0]
        assert stack.screen_stack == ["the panes"]
