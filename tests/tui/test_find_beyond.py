"""A search finds what a pane has and does not show: of a later rank, unlisted, cut, or summed with others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interpboard.engine import protocol
from interpboard.results import Axis, LabelledArray, text_array
from interpboard.visualization.colors import Scale
from tests.tui.conftest import Board, Boards
from tests.tui.fake import FakeEngine
from tui.dialogs.runs import RunsScreen
from tui.slots.neurons.finding import NeuronSearch
from tui.widgets.cells import Search
from tui.widgets.grid_data import GridData

LONG = (
    "A very long line of prompts that goes on behind any place that there is room for, to its end"
)


def line(b: Board) -> str:
    return b.lines()[-1]


async def search(b: Board, pane: str, query: str) -> str:
    await b.press(pane, "slash")
    await b.write(query)
    return line(b)


class Zanzibar(FakeEngine):
    """One cell of the lens has a token in the third place that no other has anywhere."""

    def event_of(self, request: Any) -> Any:
        event = super().event_of(request)
        if isinstance(event, protocol.Finished) and event.result.analysis == "logit_lens":
            event.result.extra["top_tokens"].values[2, 4, 2] = " Zanzibar"
        return event


async def test_a_token_of_a_later_rank_is_found_in_the_lens_with_its_rank(board: Boards) -> None:
    async with board((80, 24), engine=Zanzibar) as b:
        said = await search(b, "3", "zanz")
        assert "1 of 1: ·Zanzibar is number 3 there" in said, said
        assert b.app.panes.of("lens").cursor == (2, 4)
        await b.press("backspace", "backspace", "backspace", "backspace", "x", "y", "q")
        assert "nothing found here" in line(b)


async def test_a_next_token_below_the_rows_in_sight_is_said_with_its_rank_and_share(
    board: Boards,
) -> None:
    async with board((60, 14)) as b:
        top = b.result("predictions").extra["tokens"].values
        name = str(top[-1]).strip()
        said = await search(b, "1", name)
        assert f"{len(top)} ·{name}  " in said, said
        assert "%" in said


class OfManyTokens(FakeEngine):
    """Says of more next tokens than ten, where it is asked."""

    def event_of(self, request: Any) -> Any:
        event = super().event_of(request)
        if getattr(request, "params", {}).get("top_k", 0) <= 10:
            return event
        result, axes = event.result, (Axis("rank", tuple(str(at + 1) for at in range(400))),)
        names = LabelledArray(axes, text_array([f" far{at}" for at in range(400)]))
        extra = {"tokens": names, "token_ids": LabelledArray(axes, np.arange(400))}
        changed = {"axes": axes, "values": np.linspace(0.1, 0.001, 400), "extra": extra}
        return msgspec.structs.replace(event, result=msgspec.structs.replace(result, **changed))


async def test_a_next_token_behind_the_ten_is_asked_of_the_engine_and_found_with_its_rank(
    board: Boards,
) -> None:
    async with board(engine=OfManyTokens) as b:
        said = await search(b, "1", "far312")
        assert "1 of 1: ·far312 is number 313  2.3%" in said, said
        await b.press("escape", "slash")
        await b.write("no such")
        assert "nothing found here" in line(b)
        await b.press("escape")
        exported = [r.params for r in b.engine.requests if r.params.get("top_k", 0) > 10]
        assert len(exported) == 1  # once for a question
        await b.press("p")
        await b.write(" and")
        await b.press("enter")
        assert len([r for r in b.engine.requests if r.params.get("top_k", 0) > 10]) == 1
        assert "far313" not in await search(b, "1", "zz")
        assert len([r for r in b.engine.requests if r.params.get("top_k", 0) > 10]) == 2


async def test_less_likely_tokens_are_neither_copied_nor_saved(board: Boards) -> None:
    async with board(engine=OfManyTokens) as b:
        await search(b, "1", "far312")
        await b.press("enter", "Y")
        assert "far312" not in b.app.clipboard
        await b.press("8")
        assert "Predictions" not in b.screen or b.screen.count("far") == 0


async def test_a_neuron_is_found_by_its_address_in_the_list_or_not(
    board: Boards, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.slots.neurons.listing._MOST", 3)
    async with board((80, 24)) as b:
        await b.press("7")
        pane = b.app.panes.of("neurons")
        before = pane.chosen
        values = b.result("neurons").values
        shown = len(pane.listed_neurons)
        assert (1, 11) not in pane.listed_neurons
        rank = 1 + int((abs(values) > abs(values[1, 11])).sum())
        for query in ("1.11", "L1 N11", "1n11"):
            said = await search(b, "7", query)
            assert f"number {rank} of {values.size}" in said, said
            assert b.readout("neurons").startswith("L1 N11  ")
            await b.press("escape")
            assert pane.chosen == before
            assert len(pane.listed_neurons) == shown
        assert "nothing found" in await search(b, "7", "1.99")


async def test_a_head_is_found_where_only_the_sum_of_its_layer_is_shown(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("6", "v", "v")
        assert "summed by layer" in b.app.panes.view.legend().plain
        await search(b, "6", "3.7")
        assert b.readout("logits").startswith("L3  ")


async def test_saved_runs_are_found_by_what_their_line_has_no_room_for(board: Boards) -> None:
    async with board() as b:
        await b.press("f")
        await b.write(" Rome")
        await b.press("enter", "8")
        assert isinstance(b.app.screen, RunsScreen)
        for word in ("head_ablation", "Rome"):
            await b.press("slash")
            await b.write(word)
            assert " of " in line(b), word
            await b.press("escape")


async def test_a_prompt_of_the_table_is_found_by_its_end_its_target_and_its_head(
    board: Boards, tmp_path: Path
) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text(f"The cat\n{LONG} => | Rome\n", encoding="utf-8")
    async with board((80, 24)) as b:
        await b.press("O")
        await b.write(str(file))
        await b.press("enter")
        for word in ("to its end", "Rome"):
            await b.press("g", "slash")
            await b.write(word)
            assert " of " in line(b), (word, b.screen)
            assert b.app.screen_stack[-2].grid.cursor[0] == 1  # type: ignore[attr-defined]
            await b.press("escape")


# -- without an app -------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_every_ranked_word_is_found_where_it_stands(data: st.DataObject) -> None:
    shape = (2, 3, 4)
    words = st.sampled_from([" a", "ab", " Abc", "x y", "·"])
    ranked = np.array(data.draw(st.lists(words, min_size=24, max_size=24)), dtype=object).reshape(
        shape
    )
    grid = GridData(
        rows=("L0", "L1"), columns=("one", "two", "six"), values=np.zeros(shape[:2]),
        scale=Scale(1.0), words=ranked[:, :, 0], ranked=ranked,
    )  # fmt: skip
    word = data.draw(words)
    found = {cell.place for cell in grid.beyond(word)}
    assert found >= {at[:2] for at in np.ndindex(*shape) if at[2] and ranked[at] == word}


def test_neurons_go_by_the_order_of_the_list_through_the_one_that_was_found() -> None:
    values = np.array([[5.0, -4.0, 0.1], [3.0, np.nan, 0.2]])
    shown = [(0, 0), (0, 1), (1, 0)]
    went: list[tuple[int, int]] = []
    search = Search(
        NeuronSearch(
            lambda: shown,
            lambda: went[-1] if went else (0, 1),
            lambda _layer: values,
            went.append,
            lambda: ("0", "1"),
        )
    )
    search.typed("1.2")
    assert (went[-1], search.said) == ((1, 2), "1 of 1: number 4 of 5")
    search.typed("1.1")  # it has no value
    assert (went[-1], search.said) == ((0, 1), "nothing found here")
    search.typed("0.")
    search.step(1)
    assert went[-1] == (0, 0)
