"""Pane 7: neurons by contribution, the chosen one's tokens, and its examples from a file."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import numpy as np
import pytest

from interpboard.config import Settings
from tests.tui.conftest import Board, Boards
from tui.session.selection import Selection
from tui.slots.neurons.view import NeuronsPane
from tui.testing.wait_until_idle import wait_until_idle
from tui.words import signed


def _asked(b: Board) -> list[tuple[str, object]]:
    return [
        (str(request.params.get("neuron", "")), request.params.get("layers"))
        for request in b.engine.requests
        if request.analysis == "neurons"
    ]


@pytest.mark.parametrize("width", [40, 44, 60])
async def test_a_number_is_shown_whole_or_not_at_all(board: Boards, width: int) -> None:
    async with board((width, 12)) as b:
        await b.press("7")
        row = next(row for row in b.screen.splitlines() if "L1 N8" in row)
        of_one = b.result("chosen_neuron").extra
        up, down = (
            f"{of_one[name].values[0]:+.2f}".replace("0.", ".")
            for name in ("promoted_by", "suppressed_by")
        )
        whole = rf"·Paris {{3,}}({re.escape(up)})? +·of( +{re.escape(down)})?$"
        assert re.search(whole, row.rstrip())


async def test_the_strongest_neuron_is_under_the_cursor_with_its_tokens(board: Boards) -> None:
    async with board((80, 24)) as b:
        assert not _asked(b)
        await b.press("7")
        assert _asked(b) == [("", None), ("2.5", [2])]
        of_layers, of_one = b.result("neurons"), b.result("chosen_neuron").extra
        values, active = of_layers.values, of_layers.extra["activation"].values
        assert abs(values).argmax() == values[:2].size + 5
        assert b.readout("neurons") == (
            f"L2 N5  {signed(values[2, 5])} raises  rank 1/{values.size}  exact"
            f"  activation {active[2, 5]:.2f}"
        )
        pane = b.app.query_one(NeuronsPane)
        assert [bar.label for bar in pane.promoted.bars[:2]] == ["·Paris", "·London"]
        by = of_one["promoted_by"].values[0], of_one["suppressed_by"].values[0]
        assert pane.promoted.bars[0].number == f"{by[0]:+.2f}".replace("0.", ".")
        assert [bar.label for bar in pane.suppressed.bars[:2]] == ["·of", ","]
        assert pane.suppressed.bars[0].number == f"{by[1]:+.2f}".replace("0.", ".")
        along = of_one["along"].values
        assert f"most active at {along.argmax()} ·of: {along.max():.2f}" in b.screen
        sizes = [abs(values[at]) for at in pane.listed_neurons]
        assert sizes == sorted(sizes, reverse=True)
        assert len(sizes) == values.size


async def test_moving_asks_for_the_neuron_where_the_cursor_rests_and_for_its_layer_only(
    board: Boards,
) -> None:
    async with board((80, 24)) as b:
        await b.press("7", "j")
        layer, neuron = b.app.query_one(NeuronsPane).chosen  # type: ignore[misc]
        assert _asked(b)[-1] == (f"{layer}.{neuron}", [layer])
        assert b.app.state.selection == Selection(None, layer, None, True, (layer, neuron))
        await b.press("j", "G")
        last = b.app.query_one(NeuronsPane).listed_neurons[-1]
        assert _asked(b)[-1] == (f"{last[0]}.{last[1]}", [last[0]])
        await b.press("g")
        assert b.readout("neurons").startswith("L2 N5 ")


async def test_v_lists_one_layer_and_all_of_them_again(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("7", "v")
        pane = b.app.query_one(NeuronsPane)
        assert [at for at in pane.listed_neurons[:16] if at[0] == 2] == pane.listed_neurons[:16]
        assert pane.chosen == (2, 5)
        assert "layer 2" in b.screen
        await b.press("v")
        assert len({layer for layer, _ in pane.listed_neurons[:16]}) > 1
        assert "all layers" in b.screen


async def test_enter_on_an_mlp_opens_the_strongest_neurons_of_its_layer(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("2", "g", "dollar_sign", "enter")
        assert b.app.panes.active == "neurons"
        pane = b.app.query_one(NeuronsPane)
        values = pane.data.result.values  # type: ignore[union-attr]
        assert pane.chosen == (0, int(abs(values[0]).argmax()))
        assert _asked(b)[-1] == (f"0.{pane.chosen[1]}", [0])


async def test_the_mlp_selected_elsewhere_is_met_and_a_neuron_selects_its_layers_mlp(
    board: Boards,
) -> None:
    async with board((200, 60)) as b:
        await b.press("2", "G", "dollar_sign")
        pane = b.app.query_one(NeuronsPane)
        assert pane.chosen is not None
        assert pane.chosen[0] == 3
        await b.press("7", "g")
        assert b.app.panes.of("heads").grid.cursor[0] == 2  # type: ignore[attr-defined]
        assert b.readout("logits").startswith("L2 MLP")


async def test_beside_a_head_the_neuron_stays_that_was_shown_and_nothing_is_asked_of_another(
    board: Boards,
) -> None:
    async with board((200, 60)) as b:
        pane = b.app.query_one(NeuronsPane)
        strongest, asked = pane.chosen, _asked(b)
        await b.press("2", "g", "0", "G")
        assert (pane.chosen, _asked(b)) == (strongest, asked)
        await b.press("dollar_sign")
        of_mlp = pane.chosen
        assert of_mlp is not None
        assert of_mlp[0] == 3
        await b.press("g", "0", "3", "j")
        assert pane.chosen == (0, pane.chosen[1]), "the cursor passed the MLP of layer 0"  # type: ignore[index]
        assert _asked(b)[-1][0] == f"0.{pane.chosen[1]}"  # type: ignore[index]


async def test_the_tokens_of_the_neuron_before_are_taken_away_unless_the_answer_comes_soon(
    board: Boards, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with board((200, 60)) as b:
        await b.press("7", "g")
        pane = b.app.query_one(NeuronsPane)
        shown = []
        monkeypatch.setattr(pane.promoted, "show", lambda bars, *_: shown.append(len(bars)))
        await b.press("j")
        assert shown
        assert all(shown), "cleared on the way from one answer to the next"
        monkeypatch.undo()
        monkeypatch.setattr("tui.terminal.timers.SOON_S", 0.002)
        b.engine.paused = True
        await b.press("j")
        async with asyncio.timeout(5):
            while pane.promoted.bars or pane.suppressed.bars:
                await asyncio.sleep(0.002)
        assert pane.details().plain == " …"
        b.engine.release()
        await wait_until_idle(b.app)
        assert pane.promoted.bars
        assert pane.suppressed.bars


async def test_a_metric_that_is_no_sum_of_parts_is_explained_by_its_logit(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("7", "M")
        assert {r.metric.name for r in b.engine.requests[-3:] if r.analysis == "neurons"} == {
            "logit"
        }


def examples_file(path: Path, model: str = "demo") -> Path:
    """Two examples of each of 16 neurons of layer 2, collected from a made-up text."""
    import msgspec
    from safetensors.numpy import save_file

    from interpboard.results.examples import EXAMPLES_SCHEMA, KEY, ExamplesInfo, ExamplesMetadata

    info = ExamplesInfo(
        schema=EXAMPLES_SCHEMA, model=model, dtype="float32", corpus="corpus.txt",
        files=(("corpus.txt", 99),), layers=(2,), top_k=2, length=8, batch=1, before=2, after=1,
        tokens=1000,
    )  # fmt: skip
    said = ExamplesMetadata(info, {0: "In ", 1: "\x1b[31mParis", 2: " now"})
    activation = np.tile([4.5, -np.inf], (16, 1))
    activation[5] = [7.25, 3.5]
    context = np.tile(np.array([-1, 0, 1, 2]), (16, 2, 1))
    save_file(
        {
            "2.activation": activation.astype(np.float32),
            "2.context": context,
            "2.place": np.zeros((16, 2, 2), dtype=np.int64),
            "2.positive": np.full(16, 30, dtype=np.int64),
        },
        path,
        metadata={KEY: msgspec.json.encode(said).decode()},
    )
    return path


async def test_examples_of_the_chosen_neuron_come_from_the_file_of_the_settings(
    board: Boards, tmp_path: Path
) -> None:
    path = examples_file(tmp_path / "e.safetensors")
    async with board((80, 24), settings=Settings(examples_file=str(path))) as b:
        await b.press("7")
        assert "L2 N5 in corpus.txt: above 0 at 3.0% of 1,000 tokens" in b.screen
        assert "7.25  In ␛[31mParis now" in b.screen
        assert "3.50  In" in b.screen
        await b.press("v", "j")
        assert "4.50  In" in b.screen
        assert "7.25" not in b.screen
        await b.press("2", "G", "7")
        assert "Layer 3 is not in" in b.screen


async def test_without_a_file_the_command_that_makes_one_is_shown_and_key_e_opens_one(
    board: Boards, tmp_path: Path
) -> None:
    path = examples_file(tmp_path / "e.safetensors")
    async with board((80, 24)) as b:
        await b.press("7")
        assert "interpboard max-activating -m demo --corpus TEXT --out" in b.screen
        await b.press("E")
        await b.write(str(path))
        await b.press("enter")
        assert "7.25  In" in b.screen
        assert len(_asked(b)) == 2


@pytest.mark.parametrize(
    ("model", "complaint"), [("other", "another model: other."), (None, "Cannot read")]
)
async def test_a_file_that_does_not_fit_says_why(
    board: Boards, tmp_path: Path, model: str | None, complaint: str
) -> None:
    path = tmp_path / "e.safetensors"
    if model is not None:
        examples_file(path, model)
    async with board((120, 60), settings=Settings(examples_file=str(path))) as b:
        await b.press("7", "z")
        assert complaint in " ".join(b.screen.split())
