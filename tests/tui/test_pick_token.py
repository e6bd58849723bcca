"""The token picker: type-ahead, ids, probabilities, warnings, and every one of its keys."""

from __future__ import annotations

from typing import Any

import pytest

from tests.tui.answers_vocabulary import VOCABULARY
from tests.tui.conftest import Boards
from tests.tui.fake import FakeEngine
from tui.testing.wait_until_idle import wait_until_idle


async def test_the_vocabulary_is_fetched_at_the_first_use_and_kept(board: Boards) -> None:
    async with board() as b:
        assert b.engine.vocabularies == 0
        await b.press("t")
        assert b.engine.vocabularies == 1
        assert f"{len(VOCABULARY)} tokens" in b.screen
        await b.press("escape", "f", "escape", "w", "escape")
        assert b.engine.vocabularies == 1


async def test_nothing_typed_offers_the_likeliest_tokens(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("t")
        for words in ("▸ the model's own top token", "·Paris", "id 0", "62.0%", "·London", "27.9%"):
            assert words in b.screen
        await b.press("down", "down", "enter")
        assert b.app.state.question.target == " London"
        assert b.engine.requests[-1].metric.target == " London"


async def test_letters_narrow_and_enter_takes_the_chosen_row(board: Boards) -> None:
    async with board() as b:
        await b.press("t")
        await b.write("ber")
        assert "▸ ·Berlin" in b.screen
        assert "id 4" in b.screen
        await b.press("enter")
        assert b.app.state.question.target == " Berlin"
        assert not b.messages


async def test_a_missing_space_and_a_text_of_several_tokens_are_said(board: Boards) -> None:
    async with board() as b:
        await b.press("t")
        await b.write("Rome")
        assert "“·Rome” is one." in b.screen
        await b.press("ctrl+u", *["backspace"] * 4)
        await b.write("is Rome")
        assert "“is·Rome” is 2 tokens: is ·Rome." in b.screen
        assert "▸" not in b.screen  # none is taken unless it is chosen
        assert "·Rome" in b.screen
        await b.press("enter")  # the box stays, with what is wrong in it
        assert "“is·Rome” is 2 tokens: is ·Rome." in b.screen
        assert b.app.screen is not b.app.screen_stack[0]
        assert b.app.state.question.target is None
        await b.press("down", "down", "enter")
        assert b.app.state.question.target == " Rome"


async def test_a_piece_of_several_can_be_chosen(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("f")
        await b.write("is Rome")
        await b.press("down", "down", "enter")
        assert b.app.state.question.foil == " Rome"
        assert b.app.state.question.metric == "logit_diff"


CHOOSING = (
    (["down"], 1),
    (["tab", "ctrl+n"], 2),
    (["down", "up"], 0),
    (["down", "ctrl+p"], 0),
    (["down", "shift+tab"], 0),
    (["up"], 10),
    (["pagedown"], 10),
    (["pagedown", "pagedown", "up"], 9),
    (["up", "pageup"], 0),
)


async def test_every_key_that_chooses(board: Boards) -> None:
    async with board((80, 24)) as b:
        for keys, row in CHOOSING:
            await b.press("t", *keys)
            chosen = ["the model's own top token", *VOCABULARY[:10]][row]
            (line,) = [line for line in b.lines() if "▸" in line]
            assert chosen.replace(" ", "·") in line.replace(" ", "·"), keys
            await b.press("escape")


@pytest.mark.parametrize("key", ["escape", "ctrl+g"])
async def test_ways_out_change_nothing(board: Boards, key: str) -> None:
    async with board((80, 24)) as b:
        before = b.app.state.question
        await b.press("t")
        await b.write("ber")
        await b.press(key)
        assert b.app.state.question == before
        assert b.app.screen is b.app.screen_stack[0]


async def test_the_target_in_use_is_what_the_field_begins_with(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("t")
        await b.write(" London")
        await b.press("enter", "t")
        assert "▸ ·London" in b.screen
        await b.press("backspace", "enter")  # all of it is selected: an empty field
        assert b.app.state.question.target is None


async def test_swapping_a_word_begins_with_the_word_and_must_be_one(board: Boards) -> None:
    async with board() as b:
        await b.press("1", "w")
        await b.press("backspace")
        assert "the model's own" not in b.screen
        await b.write("rome")
        await b.press("enter")
        assert [item.text for item in b.app.state.interventions.items] == ['@8=" Rome"']


async def test_while_the_engine_computes_a_text_can_be_typed_all_the_same(board: Boards) -> None:
    async with board((80, 24)) as b:
        b.engine.paused = True
        await b.press("r", "t")
        assert "reading the vocabulary" in b.screen
        await b.write(" Rome")
        await b.press("enter")
        assert b.app.state.question.target == " Rome"
        b.engine.release()
        await wait_until_idle(b.app)
        assert "Rome" in b.lines()[0]


async def test_another_model_and_a_death_bring_another_vocabulary(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("t", "escape")
        b.engine.die()
        await wait_until_idle(b.app)
        await b.press("t")
        assert b.engine.vocabularies == 2
        b.engine.paused = True
        b.engine.die()
        await b.press("escape", "t")
        b.engine.die(restarting=False)
        await b.pilot.pause(0.05)
        assert "no vocabulary" in b.screen


async def test_hostile_tokens_are_pictures_and_chosen_as_they_are(board: Boards) -> None:
    class Hostile(FakeEngine):
        def event_of(self, request: object) -> object:
            from interpboard.engine import protocol

            if isinstance(request, protocol.Vocabulary):
                return protocol.TokenStrings.of(0, ["\x1b[31mred", "[/INST]", "\n", "a" * 5000])
            return super().event_of(request)

    async with board((80, 24), engine=Hostile) as b:
        await b.press("t")
        await b.write("red")
        assert "▸ ␛[31mred" in b.screen
        await b.press(*["backspace"] * 3)
        await b.write("aaa")
        assert "aaaaa…" in b.screen
        assert not any(ord(char) < 32 for line in b.lines() for char in line)
        await b.press("enter")
        assert b.engine.requests[-1].metric.target == "a" * 5000


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_screen(board: Boards, size: tuple[int, int]) -> None:
    async with board(size) as b:
        await b.press("t")
        await b.write("o")
        b.matches(f"pick-token-{size[0]}x{size[1]}")


async def test_a_token_is_chosen_by_its_id(board: Boards) -> None:
    async with board() as b:
        await b.press("t")
        await b.write("#4")
        assert "▸ ·Berlin" in b.screen
        await b.press("enter")
        assert b.app.state.question.target == " Berlin"
        assert not b.messages


@pytest.mark.parametrize("key", ["t", "f"])
async def test_while_the_model_loads_no_empty_box_opens_but_a_line_says_why(
    board: Boards, key: str
) -> None:
    class Loading(FakeEngine):
        def load(self, *args: Any, **options: Any) -> int:
            self.paused = True
            return super().load(*args, **options)

    async with board((80, 24), engine=Loading, settle=False) as b:
        await b.press(key)
        assert b.app.screen is b.app.screen_stack[0]
        assert "model" in b.lines()[-2]
        b.engine.release()
        await wait_until_idle(b.app)
        await b.press(key)
        assert "·Paris" in b.screen
