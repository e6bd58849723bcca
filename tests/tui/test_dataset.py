"""A dataset or a finished sweep in the app: a table, a filter, a row in the panes, and means."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from interpboard.engine import protocol
from interpboard.results.info import ModelInfo
from tests.sweeps.swept_folder import NUMBER, swept
from tests.tui.conftest import Board
from tests.tui.fake import FakeEngine
from tui.app import InterpBoardApp
from tui.dialogs.dataset import DatasetScreen
from tui.testing.wait_until_idle import wait_until_idle

MODEL = ModelInfo("demo", None, "gpt2", 4, 8, "float32", "cpu", weights="w")


class WithSpans(FakeEngine):
    """Prompts know which characters their tokens are made of."""

    def event_of(self, request: Any) -> Any:
        event = super().event_of(request)
        if isinstance(event, protocol.Finished):
            ends = list(itertools.accumulate(map(len, event.prompt.tokens)))
            spans = tuple(zip([0, *ends], ends, strict=False))
            prompt = msgspec.structs.replace(event.prompt, spans=spans)
            event = msgspec.structs.replace(event, prompt=prompt)
        return event


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return swept(tmp_path_factory.mktemp("app"), MODEL)


@asynccontextmanager
async def opened(path: Path | str, size: tuple[int, int] = (120, 40)) -> AsyncIterator[Board]:
    app = InterpBoardApp("Some text of", engine_factory=WithSpans, dataset=str(path))
    async with app.run_test(size=size) as pilot:
        await wait_until_idle(app)
        yield Board(app, pilot)


def titles(b: Board) -> list[str]:
    return [str(pane.border_title) for pane in b.app.panes.views if pane.display]


async def filtered(b: Board, where: str) -> None:
    await b.press("f")
    await b.write(where)
    await b.press("enter")


async def test_a_file_is_a_table_with_the_reason_of_each_row_that_cannot_be_used(
    folder: Path,
) -> None:
    async with opened(folder.parent / "rows.jsonl") as b:
        assert isinstance(b.app.screen, DatasetScreen)
        assert f"{NUMBER} rows, 1 cannot be used" in b.lines()[0]
        assert "! The row has no text." in b.screen
        first = next(line for line in b.lines() if "France 0" in line)
        assert first.split()[-4:] == ["yes", "0", "A", "France"]


async def test_a_sweep_shows_answer_metric_and_whether_it_is_right(folder: Path) -> None:
    async with opened(folder) as b:
        assert "Sweep" in b.lines()[0]
        assert "head ablation" in b.lines()[0]
        row = next(line for line in b.lines() if "France 2" in line)
        assert row.split()[-6:] == ["·Paris", "·Rome", "12.000", "no", "2", "A"]
        await b.press("j", "j", "j")
        said = " ".join(line.strip() for line in b.lines())
        assert "activation_patching: The prompts differ in length." in said


async def test_rows_are_sorted_by_the_column_under_the_cursor_and_those_without_come_last(
    folder: Path,
) -> None:
    async with opened(folder) as b:
        await b.press("l", "l", "l", "s", "s")
        numbers = [line.split()[0] for line in b.lines()[2 : 2 + NUMBER]]
        assert numbers == [*map(str, range(NUMBER - 1, 0, -1)), str(NUMBER)]
        await b.press("s")
        assert b.lines()[2].split()[0] == "1"


async def test_a_filter_lists_what_fits_and_a_bad_one_says_what_is_wrong(folder: Path) -> None:
    async with opened(folder) as b:
        await filtered(b, 'label == "B" and metric > 14')
        assert "3 fit" in b.lines()[0]
        assert "France 0" not in b.screen
        await filtered(b, "lable=A")
        assert "No row has a column 'lable'" in b.messages[-1]
        assert "3 fit" in b.lines()[0]


async def test_a_search_goes_to_the_row_that_has_the_text(folder: Path) -> None:
    async with opened(folder) as b:
        await b.press("slash")
        await b.write("France 7")
        await b.press("enter")
        screen = b.app.screen
        assert isinstance(screen, DatasetScreen)
        assert screen.table.row is not None
        assert screen.table.row.number == 7


@pytest.mark.parametrize("first", [(), ("m", "D")])
async def test_enter_puts_the_row_into_the_panes_as_it_says(folder: Path, first: Any) -> None:
    async with opened(folder) as b:
        await b.press(*first, "j", "j", "enter")
        await wait_until_idle(b.app)
        state = b.app.state
        assert (state.question.text, state.question.target) == (
            "The capital of France 2 is",
            " Paris",
        )
        assert (state.question.metric, state.question.foil) == (
            "logit",
            " Rome",
        )  # the sweep's metric
        assert state.corrupted == "The capital of Italy 2 is"
        prompt = state.slots["predictions"].prompt
        assert prompt is not None
        assert [prompt.tokens[at].strip() for at in state.subject] == ["France"]
        assert state.analyses["trace"] == "activation_patching"
        assert not isinstance(b.app.screen, DatasetScreen)


async def test_a_row_of_a_file_with_a_foil_is_contrasted_with_it(folder: Path) -> None:
    async with opened(folder.parent / "rows.jsonl") as b:
        await b.press("enter")
        assert b.app.state.question.metric == "logit_diff"


async def test_a_row_that_cannot_be_used_is_not_run_and_says_why(folder: Path) -> None:
    async with opened(folder) as b:
        await b.press("G", "enter")
        assert isinstance(b.app.screen, DatasetScreen)
        assert "has no text" in b.messages[-1]
        assert b.app.state.question.text == "Some text of"


async def test_rows_of_a_sweep_whose_dataset_changed_are_not_opened(tmp_path: Path) -> None:
    out = swept(tmp_path, MODEL)
    (tmp_path / "rows.jsonl").write_text('{"text": "another"}')
    async with opened(out) as b:
        assert any("another file than was swept" in said for said in b.messages)
        await b.press("enter")
        assert b.app.state.question.text == "Some text of"


async def test_a_chat_row_is_opened_as_the_chat_that_it_is(tmp_path: Path) -> None:
    path = tmp_path / "chats.jsonl"
    chat = [{"role": "user", "content": "Hello there"}]
    path.write_text(json.dumps({"messages": chat}))
    async with opened(path) as b:
        assert "Hello there" in b.screen
        await b.press("enter")
        question = b.app.state.question
        assert question.kind == "chat"
        assert json.loads(question.text)[-1]["content"] == "Hello there"


async def test_means_stand_in_every_pane_with_how_many_rows_they_are_of(folder: Path) -> None:
    async with opened(folder) as b:
        await b.press("m")
        assert all("mean over" in title for title in titles(b))
        of = {pane.slot.name: str(pane.border_title) for pane in b.app.panes.views}
        assert "mean over 11 rows (1 left out)" in of["heads"]
        assert "mean over 10 rows (2 left out)" in of["trace"]
        assert "Not in this sweep, which has: head ablation" in b.screen
        assert "means over rows" in b.lines()[2]
        heads = b.app.panes.of("heads")
        assert "L1 H3  mean −5.0" in heads.shown_readout().plain
        assert "100% of rows on its side  11 rows" in heads.shown_readout().plain


async def test_a_cell_whose_interval_crosses_zero_has_a_mark_that_is_no_colour(
    folder: Path,
) -> None:
    async with opened(folder) as b:
        await b.press("m", "2", "z")
        rows = [line for line in b.lines() if "┃L" in line]
        assert rows[1].split()[4].startswith("-5.")  # far from 0: no mark
        assert sum("?" in line for line in rows) == len(rows)
        assert "? the interval contains 0" in b.screen


async def test_a_lens_is_a_trajectory_with_its_band_and_other_roles_are_beside_it(
    folder: Path,
) -> None:
    async with opened(folder) as b:
        await b.press("m", "3", "z")
        assert "logit lens, probability" in b.screen  # whatever the metric of the sweep
        assert "at 2 ←→" in b.screen
        assert b.screen.count("●") >= 5
        assert "├" in b.screen
        await b.press("h")
        assert "at 1 ←→" in b.screen


async def test_one_key_goes_back_to_the_prompt_and_so_does_running_it(folder: Path) -> None:
    async with opened(folder) as b:
        for back in ("escape", "r"):
            await b.press("m" if back == "escape" else "colon")
            if back == "r":
                await b.write("means")
                await b.press("enter")
            assert b.app.state.means is not None
            await b.press(back)
            assert b.app.state.means is None
            assert not any("mean over" in title for title in titles(b))
            assert "means over rows" not in b.screen


async def test_what_acts_on_a_prompt_is_refused_while_means_are_shown(folder: Path) -> None:
    async with opened(folder) as b:
        await b.press("m", "2")
        before = b.app.state
        for key in ("space", "t", "f", "semicolon", "c", "I"):
            said = len(b.messages)
            await b.press(key)
            assert "Means over rows are shown" in b.messages[-1], key
            assert len(b.messages) == said + 1
        assert b.app.state.interventions == before.interventions
        assert b.app.state.question == before.question


async def test_groups_go_from_b_less_a_to_a_to_b_to_all_rows(folder: Path) -> None:
    async with opened(folder) as b:
        await b.press("m", "2")
        heads = b.app.panes.of("heads")
        await b.press("equals_sign")
        assert "B − A" in b.lines()[2]
        said = heads.shown_readout().plain
        assert "B − A +2." in said  # in B, whose label is B, the head helps less
        assert "p 0.0" in said
        assert "over all cells" in said
        await b.press("equals_sign")
        assert "A label=A" in b.lines()[2]
        assert "mean over 6 of 12 rows" in str(heads.border_title)
        await b.press("equals_sign")
        assert "B label=B" in b.lines()[2]
        await b.press("equals_sign")
        assert "mean over 11 rows" in str(heads.border_title)


async def test_groups_by_another_column_are_taken_anew(folder: Path) -> None:
    async with opened(folder) as b:
        await b.press("b", "ctrl+a", "ctrl+k")
        await b.write("nowhere")
        await b.press("enter")
        assert "No row has a column" in b.messages[-1]


async def test_means_are_of_the_rows_that_the_filter_leaves(folder: Path) -> None:
    async with opened(folder) as b:
        await filtered(b, "size<4")
        await b.press("m")
        assert "where size<4" in b.lines()[2]
        assert any("mean over 4 of 12 rows" in title for title in titles(b))


async def test_rows_that_are_not_swept_have_no_means_and_say_so(folder: Path) -> None:
    async with opened(folder.parent / "rows.jsonl") as b:
        await b.press("m")
        assert b.app.state.means is None
        assert "not swept yet" in b.messages[-1]


async def test_what_cannot_be_read_is_said_in_a_line(tmp_path: Path) -> None:
    async with opened(tmp_path / "nothing.csv") as b:
        assert "There is no file" in b.messages[-1]
        await b.press("q", "o")


@pytest.mark.parametrize("size", [(60, 20), (80, 24)])
async def test_where_there_is_little_room_a_mean_still_says_that_it_is_one(
    folder: Path, size: tuple[int, int]
) -> None:
    async with opened(folder, size) as b:
        await b.press("m")
        for key in "236":
            await b.press(key)
            shown = " ".join(b.lines()[3:6])
            assert "mean over 1" in shown, shown


async def test_what_is_copied_of_a_mean_says_of_how_many_rows_it_is(folder: Path) -> None:
    async with opened(folder) as b:
        await b.press("m", "2", "Y")
        assert "rows of rows.jsonl" in b.app.clipboard
        assert "rows=11" in b.app.clipboard
        await b.press("y")
        assert "mean" in b.app.clipboard
        assert "11 rows" in b.app.clipboard


async def test_a_row_of_a_sweep_is_asked_with_the_parameters_of_the_sweep(tmp_path: Path) -> None:
    params = {"head_ablation": {"ablation": "mean"}, "logit_lens": {"site": "attn_out"}}
    async with opened(swept(tmp_path, MODEL, params=params)) as b:
        b.app.session.set_param("heads", "ablation", "resample")
        await b.press("j", "enter")
        await wait_until_idle(b.app)
        asked = {request.analysis: request.params for request in b.engine.requests}
        assert asked["head_ablation"]["ablation"] == "mean"
        assert asked["logit_lens"]["site"] == "attn_out"
        await b.press("2")
        assert "mean ablation" in b.screen
