"""At 80x24 a hint is there whole, help has no words left over, and a readout takes rows that are empty."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tui.conftest import Board, Boards
from tui.dialogs.help import flowing


def box(b: Board) -> list[str]:
    """The rows of the box in front, without its frame."""
    rows = [row for row in b.lines() if row.count("│") >= 2]
    return [row[row.index("│") + 1 : row.rindex("│")].strip(" │") for row in rows]


@pytest.mark.parametrize("keys", [("e",), ("o",), ("O",), ("I",), ("d",), ("semicolon",)], ids=str)
async def test_the_hints_of_a_dialog_are_there_whole(board: Boards, keys: tuple[str, ...]) -> None:
    async with board((80, 24)) as b:
        await b.press("4" if keys == ("d",) else "2", *keys)
        hints = box(b)[-1]
        assert "Esc leaves" in "\n".join(box(b))
        assert not hints.endswith("…"), hints
        if keys == ("o",):
            assert any(row.endswith("owner/name of the hub") for row in box(b))


def test_a_sentence_is_broken_by_the_box_alone() -> None:
    lines = (
        "One, a row: the",
        "metric, and whether",
        "it is. Two.",
        "effect = a − b",
        "Three,",
        "Four.",
    )
    assert flowing(lines) == [
        "One, a row: the metric, and whether it is. Two.", "effect = a − b", "Three, Four.",
    ]  # fmt: skip


async def test_help_leaves_no_single_word_on_a_line_in_the_middle_of_a_sentence(
    board: Boards, tmp_path: Path
) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("The capital of France is\n")
    async with board((80, 24)) as b:
        await b.press("O")
        await b.write(str(file))
        await b.press("enter", "question_mark")
        rows = box(b)
        about = rows[: next(at for at, row in enumerate(rows) if row.startswith("Enter"))]
        assert all(len(row.split()) > 1 for row in about[1:-1]), about


async def test_the_readout_of_the_table_is_whole_where_the_table_has_empty_rows(
    board: Boards, tmp_path: Path
) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("The Eiffel Tower is located in the middle of the city of | Paris\n")
    async with board((80, 24)) as b:
        await b.press("O")
        await b.write(str(file))
        await b.press("enter")
        await b.pilot.pause()
        said = b.lines()[-4:-2]
        assert said[0].startswith(" 1 The Eiffel Tower")
        assert said[1].strip()
        assert "…" not in "".join(said)
