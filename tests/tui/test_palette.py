"""The palette has every command of every place, says where each acts, and why it cannot now."""

from __future__ import annotations

import pytest

from tests.tui.conftest import Board, Boards
from tui import catalogue
from tui.commands import app as of_app
from tui.dialogs.palette import PaletteScreen
from tui.slots.methods.view import MethodsScreen

# What is no command of its own: a cursor's moves, keys of a text field, and the ways back.
NOT_LISTED = {"move", "prompt", "pick", "prompts"}


def rows(b: Board) -> list[str]:
    """The rows of the palette that are on the screen."""
    return [line for line in b.lines() if " in " in line or "everywhere" in line]


async def ask(b: Board, words: str) -> None:
    await b.press("colon")
    await b.write(words)


async def test_every_command_of_every_place_is_listed_there_once(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("colon")
        assert isinstance(b.app.screen, PaletteScreen)
        listed = [(entry.command.id, entry.place) for entry in b.app.screen.entries]
        assert len(listed) == len(set(listed))
        in_app = {each.id for each in (*of_app.FIND,)}
        for each in catalogue.COMMANDS:
            for place in set(each.where) - NOT_LISTED if each.palette else ():
                where = "app" if each.id in in_app else place
                assert (each.id, where) in listed, (each.id, place)
        assert all(entry.where for entry in b.app.screen.entries)


@pytest.mark.parametrize(
    ("words", "row"),
    [
        ("train", "Train           in Lens"),
        ("corrupted", "Corrupted       in Trace"),
        ("patch", "Act. patching   in Trace"),
        ("smooth", "SmoothGrad      in Tokens"),
        ("diagram", "Whole           in Circuit"),
    ],
)
async def test_what_people_type_finds_the_command_and_where_it_acts(
    board: Boards, words: str, row: str
) -> None:
    async with board((80, 24)) as b:
        await ask(b, words)
        assert any(row in line for line in rows(b)), b.screen


async def test_what_cannot_act_says_why_with_the_key_that_helps_and_does_nothing(
    board: Boards,
) -> None:
    async with board((80, 24)) as b:
        for words, why in (
            ("act patching", "Needs a corrupted prompt: d in Trace writes it."),
            ("causal trace", "Needs a subject: s in Tokens marks it."),
            ("undo", "Nothing to undo."),
            ("find next", "Nothing was searched for yet: / searches."),
            ("previous prompt", "No file of prompts is open: O opens one."),
            ("fewer", "Needs a result: r computes it."),
        ):
            await ask(b, words)
            assert why in b.screen
            before = len(b.engine.requests)
            await b.press("enter")
            assert b.messages[-1] == why
            assert len(b.engine.requests) == before
            assert b.app.panes.active == "tokens"


async def test_a_reason_is_gone_once_it_no_longer_holds(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("1", "g", "right", "s")
        await ask(b, "causal trace")
        assert "Needs a subject" not in b.screen
        await b.press("enter")
        assert b.app.panes.active == "trace"


async def test_a_command_of_another_pane_goes_there_and_is_done(board: Boards) -> None:
    async with board((80, 24)) as b:
        await ask(b, "zero mean heads")
        await b.press("enter")
        assert b.app.panes.active == "heads"
        assert "mean ablation" in b.screen
        await ask(b, "site lens")
        await b.press("enter")
        assert b.app.panes.active == "lens"
        assert b.app.state.params["lens"]["site"] != "resid_post"


async def test_a_command_of_a_screen_opens_it_and_is_done_there(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("V", "q")
        await ask(b, "use paint tokens methods")
        await b.press("enter")
        assert not isinstance(b.app.screen, MethodsScreen)  # the method is taken, and back
        assert b.app.panes.active == "tokens"
        await ask(b, "filter")
        await b.press("enter")
        assert "Search" in b.screen or "words" in b.screen
        assert b.app.screen_stack[1].__class__.__name__ == "RunsScreen"


async def test_keys_and_palette_refuse_with_the_same_words(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("u")
        await b.press("greater_than_sign")
        assert b.messages == ["Nothing to undo.", "No file of prompts is open: O opens one."]
