"""The app with the small T5: what a person sees of source and target, of neurons, and of a vector's layer."""

from __future__ import annotations

from pathlib import Path

import pytest

from interpboard.config import Settings
from tests.tui.conftest import Board
from tui.app import InterpBoardApp
from tui.testing.wait_until_idle import wait_until_idle

TEXT = "The Eiffel Tower is located in the city of Rome. ||| The Eiffel Tower is in"


@pytest.mark.usefixtures("forked_engines")
async def test_source_and_target_stand_on_two_lines_and_neurons_go_by_their_group(
    tmp_path: Path,
) -> None:
    app = InterpBoardApp(TEXT, Settings(model="demo-t5"))
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until_idle(app)
        b = Board(app, pilot)
        await b.press("W")
        await wait_until_idle(app)
        lines = [line.strip() for line in b.screen.splitlines()]
        assert lines[1].startswith("source▏The·Eiffel·Tower·is·located")
        assert lines[2] == "target▏<pad>The·Eiffel·Tower·is·in·Rome.</s>"
        assert "from 17 ·in  target" in b.screen
        await b.press(*["left"] * 9)
        assert "from 8 ·of  source" in b.screen
        await b.press("q", "7")
        await wait_until_idle(app)
        first = next(line for line in b.screen.splitlines() if "N194" in line)
        assert "X1 N194" in first
        assert "promoted" in b.screen
        chosen = app.state.slots["chosen_neuron"].result
        assert chosen is not None
        assert chosen.params["neuron"] == "X1.194"
        assert "no neuron" not in b.screen
        await b.press("2")  # a layer whose MLP writes nothing into the logits leaves the cursor
        await b.press("home", "7")
        await wait_until_idle(app)
        assert "X1 N194" in b.screen

        await b.press("6")
        await wait_until_idle(app)
        assert "The encoder writes nothing here itself" in " ".join(
            b.app.panes.of("logits").lines_in_full()
        )
        await b.press(*["up"] * 20, "down")
        assert "X1 H3" in b.readout("logits")
        assert (app.state.selection.layer, app.state.selection.head) == (5, 3)

        app.session.change(
            "steering",
            params={
                **app.state.params,
                "steering": {"positive": "The Eiffel Tower", "negative": "The house", "layer": 0,
                             "scales": (0.0, 2.0), "new_tokens": 2},
            },
        )  # fmt: skip
        await b.press("A")
        await wait_until_idle(app)
        assert "added behind layer E0" in b.screen
        await b.press("space")
        await wait_until_idle(app)
        assert [item.text.split("=")[0] for item in app.state.interventions.items] == ["E0.resid"]
