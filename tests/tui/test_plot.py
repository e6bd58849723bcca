"""Z draws a pane as lines: its own numbers, with letters, and as a figure in a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from textual.widgets import Input

from interpboard.config import Settings
from tests.tui.conftest import Boards
from tests.tui.test_steering import steer
from tui.dialogs.plot import PlotScreen
from tui.slots.circuit.view import CircuitScreen
from tui.slots.steering.view import SteeringScreen

PANES = (
    (("1",), "Integrated gradients: logit of ·Paris", "position"),
    (("2",), "Head ablation: logit of ·Paris", "layer"),
    (("3",), "Logit lens, after 8 ·of", "layer"),
    (("6",), "Direct logit attribution", "layer"),
    (("5",), "8 ·of", "position"),
    (("7",), "logit of ·Paris", "layer"),
    (("1", "g", "l", "s", "4"), "Causal trace: logit of ·Paris", "layer"),
)


async def test_each_pane_with_lines_is_drawn_and_q_leads_back(board: Boards) -> None:
    async with board((80, 24)) as b:
        for keys, title, across in PANES:
            await b.press(*keys)
            before = b.screen
            await b.press("Z")
            assert isinstance(b.app.screen, PlotScreen)
            assert title in b.screen
            assert any(line.strip() == across for line in b.lines())
            assert len(b.lines()) == 24
            await b.press("q")
            assert b.screen == before


async def test_the_lens_is_drawn_at_the_cursors_position_with_its_own_numbers(
    board: Boards,
) -> None:
    async with board((120, 40)) as b:
        await b.press("3", "0", "l", "Z")
        assert "after 1 ·Eiffel" in b.screen
        screen = b.app.screen
        assert isinstance(screen, PlotScreen)
        assert screen.plotted is not None
        result = b.app.state.slots["lens"].result
        assert result is not None
        np.testing.assert_array_equal(screen.plotted.curves.lines[0].values, result.values[:, 1])


async def test_heads_are_drawn_with_the_mlps_that_the_pane_shows(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("2", "Z")
        assert "c " in b.screen
        assert "MLP" in b.screen


async def test_the_plot_is_in_the_palette_and_a_pane_without_lines_says_so(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("4", "colon")
        await b.write("draw pane lines")
        assert "Trace has nothing to draw yet" in b.screen  # instead of what it does
        await b.press("enter")
        assert not isinstance(b.app.screen, PlotScreen)
        assert any("nothing to draw yet" in said for said in said_in(b))


async def test_steering_is_drawn_against_the_scale_with_its_own_numbers(board: Boards) -> None:
    async with board((80, 24)) as b:
        await steer(b)
        await b.press("Z")
        screen = b.app.screen
        assert isinstance(screen, PlotScreen)
        assert any(line.strip() == "scale" for line in b.lines())
        result = b.app.state.slots["steering"].result
        assert screen.plotted is not None
        assert result is not None
        np.testing.assert_array_equal(screen.plotted.curves.lines[0].values, result.values)
        await b.press("q")
        assert isinstance(b.app.screen, SteeringScreen)


async def test_faithfulness_against_size_fills_the_screen(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("C", "enter", "Z")
        assert isinstance(b.app.screen, PlotScreen)
        assert "faithfulness" in b.screen
        assert any(line.strip() == "edges" for line in b.lines())
        await b.press("q")
        assert isinstance(b.app.screen, CircuitScreen)


async def test_e_writes_the_figure_and_never_over_a_file(board: Boards, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("plotly")
    async with board((80, 24)) as b:
        await b.press("3", "Z")
        for ending, begins in (("svg", b"<?xml"), ("html", b"<!doctype html>")):
            path = tmp_path / f"plot.{ending}"
            await b.press("e")
            b.app.screen.query_one(Input).value = str(path)
            await b.press("enter")
            await b.app.workers.wait_for_complete()
            data = path.read_bytes()
            assert data.startswith(begins)
            await b.press("e")
            b.app.screen.query_one(Input).value = str(path)
            await b.press("enter")
            await b.app.workers.wait_for_complete()
            assert path.read_bytes() == data
            assert any(f"plot.{ending} exists" in said for said in said_in(b))


async def test_an_ending_that_is_no_figure_is_refused_in_a_line(
    board: Boards, tmp_path: Path
) -> None:
    async with board((80, 24)) as b:
        await b.press("3", "Z", "e")
        b.app.screen.query_one(Input).value = str(tmp_path / "plot.docx")
        await b.press("enter")
        await b.app.workers.wait_for_complete()
        assert not list(tmp_path.glob("plot*"))
        assert any("no figure in plot.docx" in said for said in said_in(b))


async def test_in_ascii_it_is_ascii(board: Boards) -> None:
    async with board((80, 24), settings=Settings(ascii=True)) as b:
        await b.press("3", "Z")
        assert b.screen.isascii()
        assert "a _Paris" in b.screen


def said_in(b: object) -> list[str]:
    return b.messages + b.lines()  # type: ignore[attr-defined,no-any-return]
