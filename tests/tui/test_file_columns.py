"""Columns of the user's file in the table of rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.tui.test_dataset import filtered, opened


async def test_columns_of_the_file_are_there_whatever_they_are_called(tmp_path: Path) -> None:
    """Slots of templates are called place, say, and a file's answer is not the model's."""
    rows = tmp_path / "named.jsonl"
    records = [
        {"text": "In a", "place": "store", "answer": "mine", "probability": 2.5},
        {"text": "In b", "place": "park"},
    ]
    rows.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    async with opened(rows) as b:
        head, first, second = b.lines()[1:4]
        assert "place" in head
        assert "file answer" in head
        assert "store" in first
        assert "mine" in first
        assert "2.500" in first  # as it stands: no share
        assert "park" in second
        answer = head.index("answer")
        assert head[answer:].startswith("answer ")
        assert not first[answer:].startswith("mine")
        await b.press("right", "s")
        assert "The file has a column 'answer' too" in b.messages[-1]
        await filtered(b, "place=park and answer!=mine")
        assert "In b" in b.lines()[2]
        assert not any("store" in line for line in b.lines())


@pytest.mark.parametrize(
    ("foils", "metric"), [((" b", " c"), "logit_diff"), ((" b", None), "logit")]
)
async def test_a_sweep_is_measured_as_its_rows_are_in_the_panes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, foils: tuple[str | None, ...], metric: str
) -> None:
    """Rows with foils are contrasted with them there: their mean is of the same quantity."""
    begun: list[Sequence[str]] = []
    monkeypatch.setattr(
        "tui.controllers.sweep_runs.spawn_sweep", lambda words, _: begun.append(words) or Ended()
    )
    rows = tmp_path / "foils.jsonl"
    records = [{"text": f"In {i}", "target": " a", "foil": foil} for i, foil in enumerate(foils)]
    rows.write_text("\n".join(map(json.dumps, [*records, {"text": 7}])), encoding="utf-8")
    async with opened(rows) as b:
        await b.press("r")
        assert f"Sweep these rows by {metric} " in b.screen
        await b.press("tab", "tab", "ctrl+u")
        await b.write(str(tmp_path / "out"))
        await b.press("enter")
        (words,) = begun
        assert words[words.index("--metric") + 1] == metric


class Ended:
    """A process that is over."""

    def poll(self) -> int:
        return 0
