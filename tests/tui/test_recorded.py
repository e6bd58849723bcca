"""The app on what the real engine answered on the demo model; the answers are still those."""

from __future__ import annotations

import numpy as np
import pytest

from interpboard import open_model
from interpboard.analyze import begin
from interpboard.engine import protocol
from interpboard.runs.watch import SILENT
from tests.tui.conftest import Boards
from tests.tui.recorded import MARK, SWITCH_OFF, RecordedEngine, played

SIZES = ((80, 24), (120, 40), (200, 60))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_an_exploration_of_the_demo_model(board: Boards, size: tuple[int, int]) -> None:
    async with board(size, engine=RecordedEngine) as b:
        name = f"{size[0]}x{size[1]}"
        assert "·Paris" in b.screen
        await b.press(*MARK)
        b.matches(f"recorded-marked-{name}")
        await b.press(*SWITCH_OFF)
        edited = b.app.state.edited("what_if")
        assert edited is not None
        assert float(edited.extra["effect"].values) < -5
        b.matches(f"recorded-off-{name}")


def test_the_engine_still_answers_as_it_was_recorded() -> None:
    lm = open_model("demo", device="cpu", dtype="float32")
    asked = [(r, e) for r, e in played() if isinstance(e, protocol.Finished)]
    assert len(asked) > 20
    for request, event in asked:
        assert isinstance(request, protocol.RunAnalysis)
        begun = begin(lm, request.text, request.analysis, request.metric, request.params)
        prompt, now = begun.prompt, begun.run(SILENT)
        said = protocol.frame(protocol.Finished(0, prompt, now, 0))[protocol.HEADER.size :]
        again = protocol.decode_event(said)
        assert isinstance(again, protocol.Finished)
        then, now = event.result, again.result
        assert again.prompt == event.prompt
        assert (now.axes, now.params, now.metric.name) == (then.axes, then.params, then.metric.name)
        assert set(now.extra) == set(then.extra)
        if now.values.dtype != object:
            np.testing.assert_allclose(now.values, then.values, rtol=1e-3, atol=1e-3)
