"""A model opened with options by the real engine: the app says what it opened."""

from __future__ import annotations

import pytest

from interpboard.config import Settings
from interpboard.registry.loading import LoadOptions
from tests.models.test_quantised import needs, wide
from tests.tui.conftest import Board
from tui.app import InterpBoardApp
from tui.testing.wait_until_idle import wait_until_idle


@pytest.mark.usefixtures("forked_engines")
async def test_number_format_quantisation_and_device_map_are_those_that_were_asked_for() -> None:
    needs("torchao", "accelerate")
    app = InterpBoardApp(
        text="The Eiffel Tower is in",
        settings=Settings(model=str(wide()), dtype="bfloat16", device="cpu"),
        load=LoadOptions(quantize="int8", device_map="auto"),
    )
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_until_idle(app)
        b = Board(app, pilot)
        model = app.state.model
        assert model is not None
        assert model.info.dtype == "bfloat16"
        assert model.info.quantization == "int8 weights (torchao)"
        assert model.info.options == LoadOptions(quantize="int8", device_map="auto")
        assert "int8 weights (torchao)" in b.lines()[0]
        assert "21 of 22 matrices are packed" in b.screen
        predicted = app.state.slots["predictions"].result
        assert predicted is not None
        assert predicted.metric.target is not None
