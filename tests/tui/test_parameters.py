"""Parameters of a method from the app: shown, checked, kept for that method, and back after a restart."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpboard.errors import BadParameter
from interpboard.registry import ANALYSES
from tests.tui.conftest import Boards
from tui.dialogs.parameters import read_params, written_params
from tui.slots.tokens.methods import painting, token_methods


async def test_they_are_asked_checked_and_kept_for_their_method(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("1", "P")
        b.matches("parameters-80x24")
        before = len(b.engine.requests)
        await b.write("n_steps=none")
        await b.press("enter")
        assert "Parameter n_steps takes a whole number or auto" in b.screen
        await b.press("backspace")
        assert "takes a whole number" not in b.screen
        await b.press("ctrl+u")
        await b.write("steps=3")
        await b.press("enter")
        assert "Integrated gradients has no steps. It has: n_steps" in b.screen
        assert len(b.engine.requests) == before
        await b.press("ctrl+u")
        await b.write("n_steps=auto 'baseline_text= the'")
        await b.press("enter")
        chosen = {"n_steps": "auto", "baseline_text": " the"}
        assert b.engine.requests[-1].params == chosen
        await b.press("m")
        assert b.engine.requests[-1].analysis != "integrated_gradients"
        assert b.engine.requests[-1].params == {}
        await b.press("colon")
        await b.write("integrated")
        assert "Paint Tokens: n_steps, baseline" in b.screen
        await b.press("enter")
        assert b.engine.requests[-1].params == chosen
        await b.press("P")
        assert "n_steps=auto 'baseline_text= the'" in b.screen


async def test_the_trace_keeps_its_site_beside_its_parameters(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("1", "g", "l", "s", "4", "P")
        assert "subject=" not in b.screen
        await b.write("samples=3 noise=2")
        await b.press("enter")
        traced = {"subject": [1], "state": "resid", "samples": 3, "noise": 2.0}
        assert b.engine.requests[-1].params == traced
        await b.press("v")
        assert b.engine.requests[-1].params == {**traced, "state": "mlp", "window": 1}


async def test_saved_results_bring_their_parameters_back(board: Boards) -> None:
    async with board((120, 40)) as b:
        await b.press("1", "P")
        await b.write("n_steps=64")
        await b.press("enter", "8", "j", "g", "enter", "1", "m")
        assert b.engine.requests[-1].params == {}
        await b.press("P", "escape")
        assert b.app.state.params["integrated_gradients"] == {"n_steps": 64}


async def test_the_palette_has_every_method_and_paints_by_the_chosen_one(board: Boards) -> None:
    offered = painting()
    assert [command.id for command in offered] == [f"paint_{name}" for name in token_methods()]
    async with board((80, 24)) as b:
        await b.press("3", "colon")
        await b.write("gradient input")
        await b.press("enter")
        assert b.engine.requests[-1].analysis == "grad_x_input"
        assert b.app.panes.focus_name == "tokens"


@given(st.dictionaries(st.sampled_from(("baseline_text", "n_steps")), st.integers(1, 99)))
def test_what_is_written_reads_back(params: dict[str, int]) -> None:
    known = ANALYSES["integrated_gradients"].parameters
    text = {k: f" \"{v}' " if k == "baseline_text" else v for k, v in params.items()}
    assert read_params(written_params(text), known, "x") == text


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(BadParameter):
        found = read_params(text, ANALYSES["noise_tunnel"].parameters, "Noise tunnel")
        assert set(found) <= {parameter.name for parameter in ANALYSES["noise_tunnel"].parameters}


def test_nothing_is_no_parameter() -> None:
    assert read_params("", (), "x") == {}
    with pytest.raises(BadParameter, match="Write name=value"):
        read_params("noise", (), "x")
