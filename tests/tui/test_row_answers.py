"""A dataset without a sweep: answers come for the rows in sight, as long as somebody looks at them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.sweeps.swept_folder import swept
from tests.tui.conftest import Board, Boards
from tests.tui.test_dataset import MODEL, opened
from tui.dialogs.dataset import DatasetScreen
from tui.testing.wait_until_idle import wait_until_idle

MANY = 3000


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    of = ({"text": f"The capital number {at} is", "target": " Paris"} for at in range(MANY))
    path.write_text("\n".join(map(json.dumps, of)), encoding="utf-8")
    return path


def asked(b: Board) -> list[str]:
    return [str(r.text) for r in b.engine.requests if str(r.text).startswith("The capital number")]


def line_with(b: Board, text: str) -> str:
    return next(line for line in b.lines() if text in line)


def line_of(b: Board, number: int) -> str:
    return line_with(b, f"number {number} is")


async def test_rows_in_sight_and_a_page_more_get_answer_share_metric_and_whether_it_is_right(
    rows: Path,
) -> None:
    async with opened(rows) as b:
        table = b.app.screen
        assert isinstance(table, DatasetScreen)
        page = table.table.size.height - 1
        head = next(line for line in b.lines() if "target" in line and "answer" in line)
        assert head.split()[-4:] == ["answer", "prob", "metric", "right"]
        answer, share, metric, right = line_of(b, 0).split()[-4:]
        assert answer.startswith("·")
        assert share.endswith("%")
        assert float(metric)
        assert right in ("yes", "no")
        assert len(asked(b)) == len(set(asked(b))) == 2 * page
        await b.press("G")
        assert line_of(b, MANY - 1).split()[-1] == right
        assert len(asked(b)) == len(set(asked(b))) == 3 * page
        await b.press("g")
        assert len(asked(b)) == 3 * page  # nothing is asked twice


async def test_what_is_asked_when_the_table_is_left_is_cancelled(rows: Path) -> None:
    async with opened(rows) as b:
        b.engine.paused = True
        await b.press("G")
        assert any(slot.startswith("D:") for slot in b.engine.busy_slots)
        before = len(asked(b))
        await b.press("q")
        assert not any(slot.startswith("D:") for slot in b.engine.busy_slots)
        b.engine.release()
        await wait_until_idle(b.app)
        assert len(asked(b)) == before


async def test_answers_are_sorted_and_filtered_by_and_those_of_another_metric_are_asked_anew(
    rows: Path,
) -> None:
    async with opened(rows) as b:
        known = len(asked(b))
        await b.press("f")
        await b.write("right=true or right=false")
        await b.press("enter")
        assert f"{known:,} fit" in b.lines()[0]
        await b.press("q", "M")
        assert b.app.state.question.metric == "prob"
        await b.press("colon")
        await b.write("open a dataset")
        await b.press("enter")
        assert isinstance(b.app.screen, DatasetScreen), b.screen
        assert len(asked(b)) > known, b.screen


async def test_a_table_that_does_not_have_all_rows_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interpboard.sweeps.listed_rows.MOST_LISTED", 3)
    file = tmp_path / "rows.jsonl"
    file.write_text('{"text": "one"}\n' * 5)
    async with opened(file) as b:
        assert "first 3 rows" in b.lines()[0]
        assert "first 3 rows, and a sweep takes all of them" in b.messages[-1]
        file.write_text('{"text": "one"}\n' * 3)
        said = len(b.messages)
        b.app.controllers.datasets.again()
        await wait_until_idle(b.app)
        assert "first" not in b.lines()[0]
        assert len(b.messages) == said


async def test_d_asks_for_rows_and_opens_them(board: Boards, tmp_path: Path) -> None:
    rows = tmp_path / "rows.txt"
    rows.write_text("Some text\nAnother text\n")
    async with board((80, 24)) as b:
        await b.press("D", "ctrl+u")
        await b.write(str(rows))
        await b.press("enter")
        await wait_until_idle(b.app)
        assert isinstance(b.app.screen, DatasetScreen)
        assert "2 rows" in b.lines()[0]
        assert "Another text" in b.screen


async def test_a_file_that_is_read_otherwise_or_has_changed_shows_no_row_of_before(
    tmp_path: Path,
) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("a,b,n\nOne is,Two is,1\nOne and,Two and,2\n")
    async with opened(f"{file} text=a") as b:
        await b.press("f")
        await b.write("n=2")
        await b.press("enter")
        assert "One and" in b.lines()[2]
        assert "One is" not in b.screen
        await b.press("o")
        await b.press("ctrl+e", *["backspace"] * len("a"))  # as it was asked for
        await b.write("b")
        await b.press("enter")
        assert [line.split()[:3] for line in b.lines()[2:4]] == [
            ["1", "Two", "is"],
            ["2", "Two", "and"],
        ]
        before = len(b.engine.requests)
        file.write_text("a,b,n\nOne is,Two is,1\nOne and,Three and,2\n")
        await b.press("o", "enter")
        assert b.lines()[3].split()[:3] == ["2", "Three", "and"]
        assert [str(r.text) for r in b.engine.requests[before:]] == ["Three and"]


async def test_a_filter_by_a_column_that_is_gone_is_left_out_and_said(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("text,n\nOne is,1\nTwo is,2\n")
    async with opened(file) as b:
        await b.press("f")
        await b.write("n=2")
        await b.press("enter")
        file.write_text("text\nOne is\nThree is\n")
        await b.press("o", "enter")
        assert "All rows are listed, without the filter: No row has a column 'n'" in b.messages[-1]
        assert "One is" in b.screen
        assert "Three is" in b.screen


async def test_answers_of_a_file_are_not_shown_in_the_sweep_of_it(tmp_path: Path) -> None:
    folder = swept(tmp_path, MODEL)
    async with opened(tmp_path / "rows.jsonl") as b:
        assert "%" in line_with(b, "France 0")
        await b.press("o", "ctrl+u")
        await b.write(str(folder))
        await b.press("enter")
        assert "Sweep" in b.lines()[0]
        assert line_with(b, "France 2").split()[-6:-4] == ["·Paris", "·Rome"]
        assert "%" not in line_with(b, "France 0")
