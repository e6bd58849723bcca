"""Columns of the user's file in the table of rows."""

from __future__ import annotations

import json
from pathlib import Path

from tests.tui.test_dataset import filtered, opened


async def test_columns_of_the_file_are_there_whatever_they_are_called(tmp_path: Path) -> None:
    """Slots of templates are called place, say, and a file's answer is not the model's."""
    rows = tmp_path / "named.jsonl"
    records = [
        {"text": "In a", "place": "store", "answer": "mine"},
        {"text": "In b", "place": "park"},
    ]
    rows.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    async with opened(rows) as b:
        head, first, second = b.lines()[1:4]
        assert "place" in head
        assert "file answer" in head
        assert "store" in first
        assert "mine" in first
        assert "park" in second
        answer = head.index("answer")
        assert head[answer:].startswith("answer ")
        assert not first[answer:].startswith("mine")
        await b.press("right", "s")
        assert "The file has a column 'answer' too" in b.messages[-1]
        await filtered(b, "place=park and answer!=mine")
        assert "In b" in b.lines()[2]
        assert not any("store" in line for line in b.lines())
