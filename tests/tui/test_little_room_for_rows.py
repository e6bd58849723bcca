"""What rows and their means say in little room: the words that tell rows apart, and the metric."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.sweeps.swept_folder import swept
from tests.tui.test_dataset import MODEL, opened


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return swept(tmp_path_factory.mktemp("app"), MODEL)


async def test_the_status_line_has_the_metric_of_the_rows_and_no_answer_to_the_prompt(
    folder: Path,
) -> None:
    async with opened(folder) as b:
        await b.press("m")
        assert " logit over rows " in b.lines()[0]
        assert "·" not in b.lines()[0].split("│")[1]  # a target: each row has its own
        await b.press("escape")
        assert "over rows" not in b.lines()[0]


async def test_where_there_is_little_room_rows_show_the_words_in_which_they_differ(
    tmp_path: Path,
) -> None:
    rows = [
        {"text": f"When {a} and {b} went to the {place}, {b} gave a drink to"}
        for a, b, place in (
            ("Mary", "John", "store"), ("Mary", "John", "park"), ("Mary", "Tom", "park"),
        )
    ]  # fmt: skip
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    async with opened(path, (60, 20)) as b:
        shown = [line[5:23] for line in b.lines()[2:5]]
        assert shown == ["…John…store, John…", "…John…park, John… ", "…Tom…park, Tom…   "]
        assert "When Mary and John went to the store, John gave" in b.screen  # below, in full
    async with opened(path, (120, 40)) as b:
        assert "1 When Mary and John went to the store, John gave a drink to " in b.screen
