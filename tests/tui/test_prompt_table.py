"""O's file of prompts as a table: rows in the background, sorted, opened, exported; reasons where none."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from interpboard.engine import protocol
from tests.tui.conftest import Board
from tests.tui.fake import FakeEngine
from tui.app import InterpBoardApp
from tui.dialogs.prompt_table import PromptTableScreen
from tui.files.prompt_file import read_prompt_file
from tui.testing.wait_until_idle import wait_until_idle

LINES = """# capitals
The capital of France is => The capital of Italy is | Paris | Rome
The capital of Italy is => | Rome
A plain prompt of five
# and one that cannot be
Refuse this one
{"clean": "In JSON => as it stands", "target": " Paris"}
"""


class ByRow(FakeEngine):
    """The metric is the number of tokens; one prompt is refused."""

    def event_of(self, request: Any) -> Any:
        if isinstance(request, protocol.RunAnalysis) and request.text.startswith("Refuse"):
            return protocol.Failed(0, "bad_prompt", "This prompt leaves float32.", "Shorten it.")
        event = super().event_of(request)
        if isinstance(event, protocol.Finished) and event.result.analysis == "logit_lens":
            known = event.result.extra["convergence"]
            settled = msgspec.structs.replace(known, values=np.full(known.values.shape, 2))
            extra = {**event.result.extra, "convergence": settled}
            event = msgspec.structs.replace(
                event, result=msgspec.structs.replace(event.result, extra=extra)
            )
        if isinstance(event, protocol.Finished) and event.result.analysis == "predictions":
            length = float(len(self.tokens(request.text)))
            result = msgspec.structs.replace(event.result, baseline=length)
            event = msgspec.structs.replace(event, result=result)
        return event


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "capitals.txt"
    found.write_text(LINES, encoding="utf-8")
    return found


@asynccontextmanager
async def opened(path: Path, size: tuple[int, int] = (120, 40)) -> AsyncIterator[Board]:
    app = InterpBoardApp("Some text of", prompts=None, engine_factory=ByRow)
    async with app.run_test(size=size) as pilot:
        await wait_until_idle(app)
        b = Board(app, pilot)
        await b.press("O")
        await b.write(str(path))
        await b.press("enter")
        yield b


def row(b: Board, prompt: str) -> list[str]:
    return next(line for line in b.lines()[2:] if prompt in line).split()


def test_a_line_may_name_a_target_and_comments_are_no_prompts(path: Path) -> None:
    file = read_prompt_file(path)
    assert file.texts == (
        "The capital of France is",
        "The capital of Italy is",
        "A plain prompt of five",
        "Refuse this one",
        "In JSON => as it stands",
    )
    assert file.targets == (" Paris", " Rome", None, None, " Paris")


@pytest.mark.parametrize(
    ("line", "prompt", "target"),
    [
        ("a | b", "a", " b"),
        ("a \\| b", "a | b", None),
        ("a => b =>  c", "a", " c"),
        (" a ", " a ", None),
        ("2 \\=> 3", "2 => 3", None),
        ("a => b | 'x' | y", "a", "x"),
        ("a => b | #161", "a", "#161"),
        ("a => | x/y", "a", " x"),
        ("#hashtag is", "#hashtag is", None),
        ('{"clean": 5}', '{"clean": 5}', None),
    ],
)
def test_lines_are_read_as_those_of_a_dataset(
    line: str, prompt: str, target: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "one.txt"
    path.write_text(f"{line}\n", encoding="utf-8")
    file = read_prompt_file(path)
    assert (file.texts, file.target(0)) == ((prompt,), target)


async def test_each_row_shows_answer_metric_settled_layer_strongest_head_and_whether_it_is_right(
    path: Path,
) -> None:
    async with opened(path) as b:
        assert isinstance(b.app.screen, PromptTableScreen)
        assert "5 prompts" in b.lines()[0]
        assert row(b, "France")[-1] == "yes"
        assert row(b, "Italy")[-1] == "no"
        assert row(b, "A plain")[-1] == "·"
        assert row(b, "France")[-7:] == ["·Paris", "62.0%", "5.000", "2", "L2", "H4", "yes"]
        assert "exact" in b.screen


async def test_a_row_that_cannot_be_used_shows_its_reason_and_no_number(path: Path) -> None:
    async with opened(path) as b:
        cells = row(b, "Refuse this one")
        assert "!" in cells
        assert cells[-1] == "·"
        await b.press("j", "j", "j")
        assert "This prompt leaves float32. Shorten it." in b.screen


async def test_a_line_that_holds_no_prompt_is_a_row_with_its_reason_and_is_not_run(
    path: Path,
) -> None:
    path.write_text("a => b | c | d | e\nThe capital of\n", encoding="utf-8")
    async with opened(path) as b:
        assert "!" in row(b, "a => b")
        assert "Line 1 of capitals.txt" in b.screen
        before = b.app.state.question.text
        await b.press("enter")
        assert isinstance(b.app.screen, PromptTableScreen)
        assert b.app.state.question.text == before
        assert {r.text for r in b.engine.requests} == {before, "The capital of"}
        await b.press("q", "greater_than_sign", "greater_than_sign")
        assert b.app.state.question.text == "The capital of"
    path.write_text("a =>\n", encoding="utf-8")
    async with opened(path) as b:
        await b.press("q", "greater_than_sign")
        assert "nothing behind its arrow" in b.screen


async def test_rows_are_sorted_by_any_column_both_ways_and_back(path: Path) -> None:
    async with opened(path) as b:

        def order() -> list[str]:
            return [line.split()[0] for line in b.lines()[2:12] if line.split()[:1] and
                    line.split()[0].isdigit()]  # fmt: skip

        first = order()
        await b.press("l", "l", "s")  # the metric: tokens of the prompt
        assert order() == ["1", "2", "3", "5", "4"]
        await b.press("s")
        assert order() == ["5", "1", "2", "3", "4"]
        assert "by metric ↓" in b.lines()[0]
        await b.press("s")
        assert order() == first


async def test_enter_opens_the_row_as_the_prompt_with_its_target(path: Path) -> None:
    async with opened(path) as b:
        await b.press("j", "enter")
        assert not isinstance(b.app.screen, PromptTableScreen)
        assert b.app.state.question.text == "The capital of Italy is"
        assert b.app.state.question.target == " Rome"
        assert "capitals.txt 2/5" in b.screen
        await b.press("greater_than_sign")
        assert b.app.state.question.text == "A plain prompt of five"


async def test_rows_are_computed_once_each_and_can_be_stopped_and_gone_on_with(
    path: Path,
) -> None:
    async with opened(path) as b:
        asked = [(r.text, r.analysis) for r in b.engine.requests]
        assert len(asked) == len(set(asked))
        await b.press("q")
        await b.app.action_perform("prompt_table")
        await b.press("r")
        assert len(b.engine.requests) == len(asked)
    app = InterpBoardApp("Some text of", prompts=read_prompt_file(path), engine_factory=ByRow)
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_until_idle(app)
        b = Board(app, pilot)
        b.engine.paused = True
        await b.app.action_perform("prompt_table")
        while not b.engine.busy_slots:
            await pilot.pause()
        await b.press("x")
        b.engine.paused = False
        assert b.engine.busy_slots == ()
        await b.press("j")
        assert "0 of 5 prompts done, stopped: r goes on" in b.lines()[0]
        await b.press("r")
        assert "5 prompts" in b.lines()[0]


async def test_another_model_begins_the_table_anew(path: Path) -> None:
    async with opened(path) as b:
        before = len(b.engine.requests)
        await b.press("q")
        b.app.session.load("other")
        await b.press("1")
        await b.app.action_perform("prompt_table")
        await b.press()
        again = [r.text for r in b.engine.requests[before:] if r.analysis == "logit_lens"]
        assert "The capital of France is" in again


async def test_other_targets_and_another_metric_begin_it_anew(path: Path) -> None:
    """Numbers of two metrics do not stand in one column, nor an answer against a target of before."""
    async with opened(path) as b:
        assert "no" in row(b, "The capital of Italy is")
        path.write_text(LINES.replace("is => | Rome", "is => | Paris"), encoding="utf-8")
        await b.press("q", "O", "ctrl+u")
        await b.write(str(path))
        await b.press("enter")
        assert "no" not in row(b, "The capital of Italy is")
        before = len(b.engine.requests)
        await b.press("q", "M")
        await b.app.action_perform("prompt_table")
        await b.press()
        asked = [r for r in b.engine.requests[before:] if r.text == "The capital of Italy is"]
        assert {r.metric.name for r in asked} == {"prob"}
        assert {r.analysis for r in asked} == {"predictions", "logit_lens", "head_ablation"}


async def test_the_table_is_written_to_a_file(path: Path, tmp_path: Path) -> None:
    async with opened(path) as b:
        for form in ("csv", "json", "md", "html"):
            out = tmp_path / f"out.{form}"
            await b.press("e")
            field: Any = b.app.screen.query_one("Input")
            field.value = str(out)
            await b.press("enter")
            assert f"out.{form}" in b.messages[-1]
            assert "Written" in b.messages[-1]
            text = out.read_text(encoding="utf-8")
            for word in ("The capital of France is", "This prompt leaves float32", "L2 H4"):
                assert word in text, form
            if form == "json":
                rows = json.loads(text)["rows"]
                assert [each["right"] for each in rows] == [True, False, None, None, True]
                assert rows[3]["metric"] is None


async def test_without_a_file_it_says_how_to_open_one(path: Path) -> None:
    app = InterpBoardApp("Some text of", engine_factory=ByRow)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until_idle(app)
        b = Board(app, pilot)
        await b.app.action_perform("prompt_table")
        await b.press()
        assert "No file of prompts is open" in b.messages[-1]
