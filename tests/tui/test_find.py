"""Searching what is shown: the cursor moves as it is typed, in every pane and on every screen."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tui.conftest import Board, Boards
from tests.tui.fake import FakeEngine
from tui import catalogue
from tui.slots.spec import Slot
from tui.widgets.cells import Search, SearchCell, Searched, first_match, fitting_cells, token_cells

SHOWN = [slot for slot in catalogue.SLOTS if slot.kind in ("pane", "screen")]
# What a screen or a pane needs before it shows anything.
BEFORE = {
    "trace": ("1", "g", "right", "s"),
    "steering": ("A", "enter", "o", "k", "enter"),
    "circuit": ("C", "enter"),
    "experts": ("colon", *"experts", "enter"),
}


def line(b: Board) -> str:
    return b.lines()[-1]


def searched(b: Board) -> Searched:
    """What has the cursor; the line itself is over it."""
    over = getattr(b.app.screen, "searched", None)
    found: Searched = over if over is not None else b.app.panes.view.searched
    return found


async def show(b: Board, slot: Slot) -> None:
    """Bring a slot to the front, with something in it."""
    opener = slot.opener.keys if slot.opener is not None else ""
    await b.press(*BEFORE.get(slot.name, (opener,) if opener else ()))
    if slot.place is not None:
        await b.press(str(slot.place.number))


async def test_every_slot_that_is_shown_can_be_searched(board: Boards) -> None:
    async with board((80, 24)) as b:
        for slot in SHOWN:
            await show(b, slot)
            view = searched(b)
            before = view.place
            cells = view.cells(before)
            assert cells, f"{slot.name} says what a search finds in it"
            last = max(cells, key=lambda cell: (-cell.tier, cell.place))
            name = min((name for name in last.names if name.strip()), key=len).strip(" ·")
            await b.press("slash")
            await b.write(name)
            found = fitting_cells(cells, name)
            assert f" /{name}" in line(b)
            assert f"of {len(found)}" in line(b)
            assert view.place in [cell.place for cell in found]
            await b.press("escape")
            assert view.place == before
            await b.press("slash")
            await b.write("zqx")
            assert "nothing found here" in line(b)
            assert view.place == before
            await b.press("escape")
            assert "zqx" not in b.screen
            if slot.kind == "screen":
                await b.press("q")


async def test_the_cursor_goes_on_as_more_is_typed_and_enter_keeps_it(board: Boards) -> None:
    async with board() as b:
        await b.press("g", "slash", "i")
        assert "1 of " in line(b)
        assert b.readout("tokens").startswith("1 ·Eiffel")
        await b.press("n")
        assert b.readout("tokens").startswith("5 ·in")
        await b.press("backspace", "s")
        assert b.readout("tokens").startswith("3 ·is")
        await b.press("enter")
        assert "Find" not in line(b)
        assert " of 1" not in line(b)
        assert b.readout("tokens").startswith("3 ·is")
        assert b.app.state.selection.token == 3


async def test_n_goes_on_and_capital_n_back_round_both_ends_and_escape_returns(
    board: Boards,
) -> None:
    async with board((80, 24)) as b:
        await b.press("3", "slash")
        await b.write("Paris")
        lens = b.app.panes.of("lens")
        total = int(line(b).split(" of ")[1].split()[0])
        assert total > 5
        await b.press("enter", "g", "0")
        seen = []
        for _ in range(total):
            await b.press("n")
            seen.append(lens.cursor)
        assert len(set(seen)) == total
        assert f"1 of {total}" in line(b)  # the embedding's row begins with ·Paris: the last step
        await b.press("N")
        assert f"{total} of {total}" in line(b)
        assert "·Paris" in b.readout("lens")
        await b.press("escape")
        assert lens.cursor == (0, 0)


async def test_after_n_any_other_key_acts_as_always(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("slash")
        await b.write("the")
        await b.press("enter", "n")
        assert "n next" in line(b)
        await b.press("2")
        assert b.app.panes.active == "heads"
        assert "Ablat" in line(b) or "Off/on" in line(b)


async def test_the_last_query_is_gone_on_with_in_another_pane(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("n")
        assert b.messages == ["Nothing was searched for yet: / searches."]
        await b.press("1", "slash")
        await b.write("Paris")
        await b.press("enter", "3", "n")
        assert " of " in line(b)
        await b.press("enter", "2", "n")
        assert "nothing found here" in line(b)


async def test_a_word_of_several_tokens_is_found_where_it_begins(board: Boards) -> None:
    class Pieces(FakeEngine):
        """Tokens of three characters."""

        def __init__(self, listener: Callable[[str, object], None]) -> None:
            super().__init__(listener)
            self.tokens = lambda text: tuple(text[at : at + 3] for at in range(0, len(text), 3))

    async with board((80, 24), engine=Pieces) as b:
        for pane, readout in (("1", "1 ·Ei"), ("3", "·Ei")):
            await b.press(pane, "slash")
            await b.write("eiffel tow")
            assert "1 of 1" in line(b)
            await b.press("enter")
            assert readout in b.readout(b.app.panes.active)


PARTS = (
    ("2", "3.7", "L3 H7"),
    ("2", "l1 mlp", "L1 MLP"),
    ("2", "1.mlp", "L1 MLP"),
    ("2", "induction", "L2 H4"),
    ("6", "3.7", "L3 H7"),
    ("6", "embed", "embed"),
    ("7", "2.1", "L2 N1 "),
    ("3", "L1 city", "L1 after 7 ·city"),
    ("5", "tower", "L2 H4  2 ·Tower → 2 ·Tower"),
)


async def test_parts_are_found_as_they_are_written_and_as_they_are_shown(board: Boards) -> None:
    async with board((80, 24)) as b:
        for pane, query, readout in PARTS:
            await b.press(pane, "slash")
            await b.write(query)
            assert " of " in line(b), (pane, query)
            assert b.readout(b.app.panes.active).startswith(readout), (pane, query)
            await b.press("escape")


async def test_a_token_that_is_only_in_the_list_of_next_ones_is_found_and_marked_there(
    board: Boards,
) -> None:
    async with board((80, 24)) as b:
        before = b.readout("tokens")
        await b.press("slash")
        await b.write("London")
        assert "1 of 1" in line(b)
        rows = [strip for strip in b.strips()[:-1] if "·London" in "".join(s.text for s in strip)]
        styles = [s.style for s in rows[-1] if "·London" in s.text]
        assert styles
        assert styles[0] is not None
        assert styles[0].underline
        assert b.readout("tokens") == before


async def test_a_text_scrolls_to_the_line_that_was_found_and_marks_it(board: Boards) -> None:
    async with board((80, 24)) as b:
        for opened, word, shown in (
            (("question_mark",), "back to the pa", "back to the panes"),
            (("L",), "empty", "empty"),
            (("C", "enter"), "MLP", "[mlp]"),
            (("C",), "0.3", "[h3]"),
        ):
            await b.press(*opened, "slash")
            await b.write(word)
            assert " of " in line(b)
            marked = [
                "".join(s.text for s in strip if s.style is not None and s.style.reverse)
                for strip in b.strips()[:-1]
            ]
            assert any(shown in text.lower() for text in marked), (opened, word)
            await b.press("escape", "q")


async def test_runs_are_found_by_what_their_line_says(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("8", "slash")
        await b.write("next tok")
        assert "1 of 1" in line(b)
        await b.press("enter")
        assert "probability of each of the most likely next tokens" in b.screen


async def test_a_paste_is_searched_for_and_control_characters_stay_out_of_the_line(
    board: Boards,
) -> None:
    from textual import events

    async with board((80, 24)) as b:
        await b.press("slash")
        b.app.post_message(events.Paste("Tower\x1b[2J\n"))
        await b.press("backspace", "backspace", "backspace")
        assert b.readout("tokens").startswith("2 ·Tower")
        assert "\x1b" not in b.screen


# -- the search itself ----------------------------------------------------------------------------


def test_a_capital_in_the_query_asks_for_capitals_and_spaces_do_not_count() -> None:
    cells = token_cells((" Paris", " paris", "Pa", "ris"), range(4))
    assert [cell.place for cell in fitting_cells(cells, "paris")] == [0, 1, 2]
    assert [cell.place for cell in fitting_cells(cells, "Paris")] == [0, 2]
    assert [cell.place for cell in fitting_cells(cells, " Pa ris")] == [0, 2]
    assert [cell.place for cell in fitting_cells(cells, " ")] == [0, 1]
    assert fitting_cells(cells, "") == []


def test_a_head_is_not_found_in_another_whose_layer_ends_alike() -> None:
    cells = [
        SearchCell((layer, head), (f"{layer}.{head}",)) for layer in range(24) for head in range(24)
    ]
    found = fitting_cells(cells, "3.1")
    assert [cell.place for cell in found] == [(3, 1), *((3, head) for head in range(10, 20))]
    assert found[first_match(found, "3.1", (3, 15))].place == (3, 1)  # what is called just so
    assert [cell.place for cell in fitting_cells(cells, "12.11")] == [(12, 11)]


def test_what_stands_in_a_grid_goes_before_its_headers() -> None:
    cells = [
        SearchCell((0, 0), (" of",)),
        SearchCell((1, 4), (" of",), tier=1),
        SearchCell((2, 4), ("L2 of",), 2),
    ]
    assert [cell.place for cell in fitting_cells(cells, "of")] == [(0, 0)]
    assert [cell.place for cell in fitting_cells(cells, "L2 of")] == [(2, 4)]


class Row:
    """The least that can be searched."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens, self.place = tokens, 0

    def cells(self, around: int) -> list[SearchCell]:
        return token_cells(self.tokens, range(len(self.tokens)))

    def beyond(self, query: str) -> list[SearchCell]:
        return []

    def go(self, place: int) -> None:
        self.place = place

    def leave(self) -> None:
        pass


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text(max_size=4), min_size=1, max_size=6), st.text(max_size=5), st.integers(0, 5)
)
def test_any_query_on_any_tokens_either_fits_or_leaves_the_cursor(
    tokens: list[str], query: str, at: int
) -> None:
    row = Row(tokens)
    row.place = here = min(at, len(tokens) - 1)
    search = Search(row)
    search.typed(query)
    if not search.found:
        assert row.place == here
        assert search.said == ("nothing found here" if query else "")
    else:
        assert search.found[search.at].place == row.place
        assert search.said == f"{search.at + 1} of {len(search.found)}"
    search.step(1)
    search.step(-1)
    search.back()
    assert row.place == here


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text("ab ·L3.", max_size=4), min_size=1, max_size=5), st.data())
def test_a_part_of_the_text_is_always_found_at_the_token_where_it_begins(
    tokens: list[str], data: st.DataObject
) -> None:
    text = "".join(tokens)
    if not text:
        return
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    cells = token_cells(tokens, range(len(tokens)))
    assert fitting_cells(cells, text[start:end])
