"""A large model and a long prompt at every size: what is cut ends at a word, and is one key away in full."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.style import Style
from rich.text import Text

from tests.tui.conftest import Board, Boards
from tests.tui.fake import FakeEngine
from tests.tui.test_kept_cells import told
from tui import words
from tui.catalogue import pane_slots
from tui.dialogs.help import HelpScreen
from tui.session.job import Job
from tui.slots.pane import Pane
from tui.widgets.line import OPTIONAL, GrowingLine, in_rows
from tui.widgets.lines import standing

SIZES = [(60, 20), (80, 24), (120, 40), (200, 60)]
LONG = " ".join(
    f"The {word} is in the city of" for word in ["tower", "Eiffel", "Paris", "Rome"] * 11
)
# A number without its unit or what it is of, a sign or an arrow that leads nowhere.
CUT_WRONGLY = re.compile(r"\d ?…|[→+−│] ?…")


class Large(FakeEngine):
    """48 layers of 32 heads."""

    def __init__(self, listener: Callable[[str, Any], None]) -> None:
        super().__init__(listener)
        self.layers, self.heads = 48, 32


def said(b: Board) -> str:
    """The screen below the prompt as running text."""
    return " ".join(" ".join(b.lines()[2:]).translate(str.maketrans("┃│", "  ")).split())


def what_if_line_of(b: Board) -> str:
    return next(line for line in b.lines() if "→" in line and "exact" in line)


async def check_pane(b: Board, name: str) -> None:
    """No line of the pane is cut wrongly, and what is cut is whole in its help."""
    assert not [line for line in b.lines()[2:] if CUT_WRONGLY.search(line)]
    pane = b.app.panes.of(name)
    assert isinstance(pane, Pane)
    lines = list(pane.query(GrowingLine))
    cut = [line for line in lines if line.size and line.render().plain.rstrip().endswith("…")]
    if not cut:
        return
    await b.press("question_mark")
    assert isinstance(b.app.screen, HelpScreen)
    whole = " ".join(" ".join(b.app.screen.shown).split())
    for line in cut:
        assert " ".join(line.text.plain.split()) in whole
    await b.press("escape")


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_no_line_of_any_pane_ends_inside_a_number_and_what_is_cut_is_a_key_away(
    board: Boards, size: tuple[int, int]
) -> None:
    async with board(size, text=LONG, engine=Large) as b:
        await b.press("1", "home", "s")
        for slot in pane_slots():
            assert slot.place is not None
            await b.press(str(slot.place.number))
            await check_pane(b, slot.name)
            if (
                slot.name == "trace"
            ):  # the number, and how it was come by, whatever else has no room
                value = b.readout("trace").split("  ")[1]
                assert re.search(rf"{re.escape(value)}.* \d+ noises", said(b))
            if slot.name == "neurons":
                assert "exact" in said(b)
                await b.press("question_mark")
                assert "--out examples.safetensors" in " ".join(b.app.screen.shown)  # type: ignore[attr-defined]
                await b.press("escape")
                if size == (80, 24):
                    assert "--out examples.safetensors" in said(b)
        await b.press("2", "space")
        edited = b.app.state.edited("what_if")
        assert edited is not None
        before, after = (words.unsigned(float(value), 2) for value in edited.values)
        answers = [words.token(str(row[0])) for row in edited.extra["top_tokens"].values]
        assert f"{before} → {after}" in what_if_line_of(b)
        assert re.search(rf"{answers[0]}( \S+%)? → {answers[1]}", what_if_line_of(b))
        await b.press(*["right", "space"] * 4)
        assert f"→ {answers[1]}" in what_if_line_of(b)
        if size[0] > 80:
            assert "lists" in what_if_line_of(b) or what_if_line_of(b).count("=zero") == 5
        for key, name in (("2", "heads"), ("3", "lens"), ("6", "logits")):
            await b.press(key)
            await check_pane(b, name)


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_the_frame_of_a_pane_whose_job_runs_says_how_far_it_is_and_no_key_is_cut(
    board: Boards, size: tuple[int, int]
) -> None:
    async with board(size, text=LONG, engine=Large) as b:
        await b.press("2")
        b.engine.paused = True
        await b.press("p", "x", "enter", "2")
        await told(b)
        b.engine.compute("heads", 7, 4000.0)
        await told(b)
        (frame, *_) = [line for line in b.lines()[1:] if "running" in line] or [b.screen]
        assert re.search(r"running 0%.* x stops", frame)
        assert "…" not in frame.partition("running")[2]
        assert re.search(r"head ablation .*0%.* x stops", b.lines()[0])
        assert "…" not in b.lines()[0]
        b.engine.release()


def test_in_less_room_a_job_says_less_and_never_half_a_word() -> None:
    job = Job(7, 1536, left_s=1254.0, whole_s=1260.0, unit="heads", runs=True)
    full = standing(job)
    assert full == "running 0% of 1,536 heads, 20 min 54 s left, x stops"
    for room in range(len(full) + 1):
        assert standing(job, room) in (
            full, "running 0%, 20 min 54 s left, x stops", "running 0%, x stops", "running 0%"
        )  # fmt: skip
        assert len(standing(job, room)) <= max(room, len("running 0%"))


@settings(max_examples=100, deadline=None)
@given(st.integers(12, 60), st.integers(1, 2))
def test_optional_parts_go_before_the_others_do_and_leave_no_mark(width: int, height: int) -> None:
    text = Text.assemble(
        " L3 H7  +0.125", ("  rank 12/1,536", Style(bold=True) + OPTIONAL), "  exact"
    )
    shown = in_rows(text, width, height).plain
    if "rank" in shown:
        assert "rank 12/1,536" in " ".join(shown.split())
    if width >= len(" L3 H7  +0.125  exact"):
        assert "exact" in shown
        assert "…" not in shown


READOUT = " L3 after 8 ·of  p ·Paris 95.0% rank 1 exact  entropy 0.15 KL 0.10 nats  14.20 → 9.99"
TOGETHER = ("entropy 0.15", "KL 0.10 nats", "rank 1", "·Paris 95.0%", "→ 9.99", "after 8 ·of")


@settings(max_examples=100, deadline=None)
@given(st.integers(18, 90), st.integers(2, 4))
def test_no_row_ends_between_a_number_and_its_unit_or_its_name(width: int, height: int) -> None:
    rows = in_rows(Text(READOUT), width, height).plain.split("\n")
    assert all(len(row) <= width for row in rows)
    for said in TOGETHER:
        first, *_, last = said.split()
        for row, following in pairwise(rows):
            ends = row.split()[-1:] == [first] or row.endswith(said.rsplit(" ", 1)[0])
            assert not (ends and following.split()[:1] == [last]), (said, rows)


def test_rows_end_with_whole_parts_where_all_of_them_fit_so() -> None:
    rows = in_rows(Text(READOUT.partition("  14")[0]), 68, 2).plain.split("\n")
    assert rows == [
        " L3 after 8 ·of  p ·Paris 95.0% rank 1 exact",
        " entropy 0.15 KL 0.10 nats",
    ]
