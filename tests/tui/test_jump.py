"""A head by its name from any pane: a layer, a dot, a head."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from textual import events

from tests.tui.conftest import Board, Boards
from tests.tui.fake import FakeEngine
from tui.testing.wait_until_idle import wait_until_idle

SIZES = ((80, 24), (120, 40), (200, 60))


class Large(FakeEngine):
    """48 layers of 32 heads."""

    def __init__(self, listener: Callable[[str, object], None]) -> None:
        super().__init__(listener)
        self.layers, self.heads = 48, 32


def line(b: Board) -> str:
    return b.lines()[-1]


def selected(b: Board) -> tuple[int | None, int | None]:
    return b.app.state.selection.layer, b.app.state.selection.head


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_three_keys_go_to_a_head_from_any_pane_and_it_is_seen(
    board: Boards, size: tuple[int, int]
) -> None:
    async with board(size) as b:
        for pane in range(1, 8) if size == (80, 24) else (1, 4):
            layer, head = pane % 4, 7 - pane
            await b.press(str(pane), "left", str(layer), "full_stop", str(head))
            assert selected(b) == (layer, head)
            assert f"head {layer}.{head}" in line(b)
            assert f"L{layer} H{head}" in "\n".join(b.lines()[:-1])  # a pane in sight says it too
            await b.press("enter")
            assert f"head {layer}.{head}" not in line(b)
            assert selected(b) == (layer, head)


@pytest.mark.parametrize(("keys", "head"), [("3.7", (3, 7)), (".23.17", (23, 17)), ("0.0", (0, 0))])
async def test_keys_that_come_all_at_once_name_the_same_head(
    board: Boards, keys: str, head: tuple[int, int]
) -> None:
    async with board((80, 24), engine=Large) as b:
        await b.press("2")
        b.app.post_message(events.Key("left", None))
        for key in keys:  # as a link that was held up brings them
            b.app.post_message(events.Key("full_stop" if key == "." else key, key))
        await wait_until_idle(b.app)
        assert f"head {keys.lstrip('.')}" in line(b)
        assert selected(b) == head
        assert b.app.panes.active == "heads"
        await b.press("enter", "7")
        assert b.app.panes.active == "neurons"


async def test_the_pane_that_had_the_focus_has_it_again(board: Boards) -> None:
    async with board((120, 40)) as b:
        await b.press("6", "g", "3", "full_stop")
        assert b.app.panes.active == "logits"
        assert b.readout("logits").startswith("L2 H4")
        await b.press("7")
        assert b.app.panes.active == "logits"
        assert b.readout("logits").startswith("L3 H7")
        assert b.readout("heads").startswith("L3 H7")
        await b.press("enter")
        assert b.app.panes.focus_name == "logits"


async def test_attention_shows_the_head_that_was_named(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("5", "g", "1", "full_stop", "2")
        assert b.app.panes.active == "attention"
        assert b.engine.requests[-1].params == {"layers": [1], "heads": [2]}
        assert b.readout("attention").startswith("L1 H2")


async def test_layers_and_heads_of_two_digits(board: Boards) -> None:
    async with board((120, 40), engine=Large) as b:
        for typed, layer, head in (
            (".12.11", 12, 11),
            (".38.0", 38, 0),
            (".20.20", 20, 20),
            ("12.\t11", 12, 11),
            ("38.0\t", 38, 0),  # 8 alone opens the saved runs
            ("20.20\t", 20, 20),  # 0 alone goes to the start of the row
        ):
            await b.press("2", "G", "end", "6", "p", "escape")
            for char in typed:
                await (b.press("down") if char == "\t" else b.write(char))
            assert selected(b) == (layer, head), typed
            assert b.app.panes.active == "logits", typed
            assert b.readout("heads").startswith(f"L{layer} H{head}")
            await b.press("enter")


@pytest.mark.parametrize("at_once", [False, True], ids=["one by one", "all at once"])
async def test_a_head_right_after_a_pane_is_never_one_of_another_layer(
    board: Boards, at_once: bool
) -> None:
    async with board((80, 24), engine=Large) as b:
        for pane in (1, 2, 3, 4):
            keys = (str(pane), "3", "full_stop", "7")
            if at_once:
                for key in keys:
                    b.app.post_message(events.Key(key, "." if key == "full_stop" else key))
                await wait_until_idle(b.app)
            else:
                await b.press(*keys)
            assert selected(b) == (3, 7)
            # Where the pane does not show heads, the first that does has come: the focus is to go back.
            await b.press("down")
            assert selected(b) == (10 * pane + 3, 7)
            assert f"L{pane}3 H7   ↓ layer 3" in line(b)
            await b.press("up")
            assert f"L3 H7   ↓ layer {pane}3" in line(b)
            await b.press("enter")
            assert selected(b) == (3, 7)
            await b.press("7", "j")


async def test_the_pane_that_had_the_focus_before_a_head_keeps_it(board: Boards) -> None:
    async with board((120, 40), engine=Large) as b:
        for pane in (1, 2, 3, 4):
            await b.press(str(pane), "3", "full_stop", "7")
            assert b.app.panes.active == b.app.panes.views[pane - 1].slot.name
            await b.press("enter", "j")


async def test_where_there_is_no_such_layer_no_other_is_offered(board: Boards) -> None:
    async with board((120, 40)) as b:
        await b.press("6", "3", "full_stop", "7")
        assert b.app.panes.active == "logits"
        assert selected(b) == (3, 7)
        assert "L3 H7" in line(b)
        assert "↓" not in line(b)


async def test_what_is_out_of_range_is_said_with_the_range_and_nothing_moves(
    board: Boards,
) -> None:
    async with board((80, 24)) as b:
        await b.press("2", "g", "0", "l")
        for typed, said in (
            ("4.", "there is no layer 4: layers are 0 to 3"),
            ("4.1", "there is no layer 4: layers are 0 to 3"),
            ("3.8", "there is no head 8: a layer has heads 0 to 7"),
            ("3.70", "there is no head 70: a layer has heads 0 to 7"),
            ("3.", "a head of layer 3: 0 to 7"),
            (".", "a layer, a dot and a head: 0.0 to 3.7"),
        ):
            await b.press("p", "escape")
            await b.write(typed)
            assert said in line(b), typed
            await b.press("enter")
            assert selected(b) == (0, 1), typed
            assert b.readout("heads").startswith("L0 H1"), typed


async def test_escape_goes_back_to_pane_cursor_and_selection(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("1", "g", "l")
        before = b.readout("tokens")
        await b.press("3", "full_stop", "7")
        assert b.app.panes.active == "heads"
        await b.press("escape")
        assert b.app.panes.active == "tokens"
        assert b.readout("tokens") == before
        assert selected(b) == (None, None)


async def test_any_other_key_closes_the_line_and_acts(board: Boards) -> None:
    async with board((120, 40)) as b:
        await b.press("2", "g", "3", "full_stop", "6", "space")
        assert "head 3.6" not in line(b)
        assert b.app.state.interventions.text == "3.6=zero"
        await b.press("1", "full_stop", "6", "z")
        assert b.app.screen_stack[0].has_class("-zoomed")


async def test_digits_that_are_not_followed_by_a_dot_go_to_panes_as_always(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("3", "2", "j", "full_stop")
        assert "a layer, a dot and a head" in line(b)  # the digits are no longer just before
        assert b.app.panes.active == "heads"


async def test_in_the_prompt_digits_and_dots_are_text(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("p", "3", "full_stop", "7")
        assert b.app.prompt.text.endswith("of3.7")
        assert selected(b) == (None, None)


async def test_before_a_model_is_there_it_is_said(board: Boards) -> None:
    class Slow(FakeEngine):
        """Never loads."""

        async def start(self) -> None:
            await super().start()
            self.paused = True

    async with board((80, 24), engine=Slow, settle=False) as b:
        await b.press("3", "full_stop", "7")
        assert "no model is loaded yet" in line(b)


async def test_from_a_screen_over_the_panes_it_goes_to_the_panes(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("V", "full_stop", "3", "full_stop", "7", "enter")
        assert b.app.panes.active == "heads"
        assert b.readout("heads").startswith("L3 H7")
