"""Pane 5: the selected head's pattern, the painted prompt, and one slice fetched at a time."""

from __future__ import annotations

import re

import numpy as np
import pytest

from interpboard.results.attention_pairs import top_pairs
from tests.tui import answers
from tests.tui.answers_of_parts import attention_answer
from tests.tui.asked import Answered, Asked
from tests.tui.conftest import Board, Boards
from tui import words
from tui.dialogs import help
from tui.slots.attention.view import AttentionPane
from tui.theme import inks


def _asked(b: Board) -> list[tuple[list[int], list[int]]]:
    return [
        (request.params["layers"], request.params["heads"])
        for request in b.engine.requests
        if request.analysis == "attention"
    ]


async def test_enter_on_a_head_opens_its_attention_and_fetches_that_slice_only(
    board: Boards,
) -> None:
    async with board() as b:
        assert not _asked(b)
        await b.press("2", "enter")
        assert b.app.panes.active == "attention"
        assert _asked(b) == [([2], [4])]
        assert b.app.state.slots["attention"].result.values.shape[:2] == (1, 1)  # type: ignore[union-attr]
        assert b.readout("attention").startswith("L2 H4  8 ·of → 4 ·located")
        assert b.readout("attention").endswith("exact")


# One after the other, from where the keys before have led; ``[`` more often than there are heads.
MOVES = [
    (("right_square_bracket",), (2, 5)),
    (("left_square_bracket",), (2, 4)),
    (("right_curly_bracket",), (3, 4)),
    (("left_curly_bracket",) * 2, (1, 4)),
    (("right_square_bracket",) * 4, (2, 0)),
    (("left_square_bracket",) * 20, (0, 0)),
    (("right_curly_bracket",) * 5, (3, 0)),
    (("right",), (3, 1)),
    (("left", "left"), (2, 7)),
    (("down",), (3, 7)),
    (("up",), (2, 7)),
    (("v", "left", "up"), (1, 6)),
]


async def test_arrows_and_brackets_move_through_heads_and_layers(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("2", "enter")
        known = {(2, 4)}
        for keys, head in MOVES:
            await b.press(*keys)
            assert b.app.query_one(AttentionPane).head == head, keys
            assert head in known or _asked(b)[-1] == ([head[0]], [head[1]])
            known.add(head)
            assert (b.app.state.selection.layer, b.app.state.selection.head) == head


async def test_arrows_leave_the_cursor_where_it_is_and_help_says_what_moves_it(
    board: Boards,
) -> None:
    async with board((80, 24)) as b:
        await b.press("2", "enter", "k", "h")
        pane = b.app.query_one(AttentionPane)
        cursor = pane.grid.cursor
        await b.press("right", "up", "left", "down")
        assert pane.grid.cursor == cursor
        shown = help.help_text("attention", "Attention", (), inks(True)).plain
        assert re.search(r"^  h +Left$", shown, re.M)
        assert re.search(r"^  ] → +The next head", shown, re.M)
        assert re.search(
            r"^  h ← +Left$", help.help_text("heads", "Heads", (), inks(True)).plain, re.M
        )
        await b.press("2", "right")
        assert b.app.panes.of("heads").view.cursor == (2, 5)  # type: ignore[attr-defined]


async def test_heads_and_attention_share_one_selection(board: Boards) -> None:
    async with board((200, 60)) as b:
        await b.press("2", "h")
        assert b.app.query_one(AttentionPane).head == (2, 3)
        await b.press("5", "right_curly_bracket")
        assert b.app.panes.of("heads").view.cursor == (3, 3)  # type: ignore[attr-defined]


async def test_an_mlp_looks_at_nothing_and_leaves_the_head_that_was_selected(board: Boards) -> None:
    async with board((200, 60)) as b:
        await b.press("2", "h")
        asked = _asked(b)
        await b.press("dollar_sign", "k", "7", "j", "j")
        assert b.app.query_one(AttentionPane).head == (2, 3)
        assert _asked(b) == asked
        await b.press("5", "right")
        assert b.app.query_one(AttentionPane).head == (2, 4)
        assert (b.app.state.selection.layer, b.app.state.selection.head) == (2, 4)


async def test_the_cursor_reads_a_pair_and_says_where_a_token_cannot_look(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("2", "enter", "k", "l", "l", "l", "l")
        pane = b.app.query_one(AttentionPane)
        assert (pane.looker, pane.seen) == (7, 8)
        assert b.app.state.selection.token == 7
        assert "cannot look there" in b.readout("attention")
        await b.press("0")
        value = pane.pattern[7, 0]  # type: ignore[index]
        assert f"{value * 100:.1f}%" in b.readout("attention")


async def test_v_paints_the_prompt_by_where_a_token_looks_and_by_who_looks_at_it(
    board: Boards,
) -> None:
    async with board((80, 24)) as b:
        await b.press("2", "enter", "v")
        pane = b.app.query_one(AttentionPane)
        assert b.app.focused is pane.strip
        assert list(pane.strip.values) == pytest.approx(list(pane.pattern[8]))  # type: ignore[index]
        await b.press("h")
        assert list(pane.strip.values) == pytest.approx(list(pane.pattern[7]))  # type: ignore[index]
        assert "7 ·city looks at" in b.screen
        await b.press("v")
        assert list(pane.strip.values) == pytest.approx(list(pane.pattern[:, 4]))  # type: ignore[index]
        assert "who looks at 4 ·located" in b.screen
        await b.press("v", "v")
        assert b.app.focused is pane.grid
        assert pane.grid.cursor == (7, 4)


PAIRS = ("2", "enter", "v", "v", "v")


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_screen_of_the_strongest_pairs(board: Boards, size: tuple[int, int]) -> None:
    async with board(size) as b:
        await b.press(*PAIRS)
        b.matches(f"attention-pairs-{size[0]}x{size[1]}")


async def test_the_strongest_pairs_are_the_librarys_and_the_cursor_reads_them(
    board: Boards,
) -> None:
    async with board((80, 24)) as b:
        await b.press(*PAIRS)
        pane = b.app.query_one(AttentionPane)
        assert b.app.focused is pane.pairs
        assert pane.pattern is not None
        known, _ = top_pairs(pane.pattern[None, None], 44)
        assert pane.listed_pairs == [tuple(pair) for pair in known[0, 0]]
        await b.press("g", "j")
        (query, key) = pane.listed_pairs[1]
        assert b.app.state.selection.token == query
        assert f"  {query} " in b.readout("attention")
        assert f" → {key} " in b.readout("attention")
        assert pane.pairs.bars[1].number in b.readout("attention")
        await b.press("right_square_bracket")  # another head has other pairs
        assert pane.head == (2, 5)
        known, _ = top_pairs(pane.pattern[None, None], 44)
        assert pane.listed_pairs == [tuple(pair) for pair in known[0, 0]]
        chosen = pane.listed_pairs[pane.pairs.cursor]
        await b.press("v")
        assert pane.grid.cursor == chosen


async def test_another_prompt_brings_another_pattern(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("2", "enter", "p")
        await b.write(" x")
        await b.press("enter")
        assert b.app.query_one(AttentionPane).pattern.shape == (10, 10)  # type: ignore[union-attr]


async def test_a_head_of_an_encoder_is_shown_looking_at_later_tokens(
    board: Boards, monkeypatch: pytest.MonkeyPatch
) -> None:
    def both_ways(asked: Asked) -> Answered:
        axes, values = attention_answer(asked)
        return axes, values[
            ..., ::-1, ::-1
        ]  # the last token has all of them before it, the first behind

    monkeypatch.setitem(answers.ANSWERS, "attention", both_ways)
    async with board((120, 40)) as b:
        await b.press("2", "enter", "g", "0", "l")
        pane = b.app.query_one(AttentionPane)
        assert pane.pattern is not None
        assert (pane.looker, pane.seen) == (0, 1)
        value = words.percent(float(pane.pattern[0, 1]))
        assert f"  {value}" in b.readout("attention")
        assert f"/{len(pane.pattern)}" in b.readout("attention")
        assert "cannot look there" not in b.readout("attention")
        assert pane.grid.data is not None
        np.testing.assert_array_equal(pane.grid.data.values, pane.pattern)


async def test_a_head_of_a_decoder_cannot_look_at_later_tokens(board: Boards) -> None:
    async with board((120, 40)) as b:
        await b.press("2", "enter", "g", "0", "l")
        assert "later: it cannot look there" in b.readout("attention")
