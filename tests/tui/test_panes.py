"""Each pane: what it shows, and what each of its keys does."""

from __future__ import annotations

import pytest

from interpboard.registry.component_names import TYPE_LETTERS
from tests.tui.conftest import Boards
from tests.tui.fake import FakeEngine
from tui.slots.heads.view import HeadsPane
from tui.slots.lens.view import LensPane
from tui.slots.tokens.view import TokensPane
from tui.testing.wait_until_idle import wait_until_idle
from tui.words import signed

SIZES = ((80, 24), (120, 40), (200, 60))
PANES = {
    "1": "tokens",
    "2": "heads",
    "3": "lens",
    "4": "trace",
    "5": "attention",
    "6": "logits",
    "7": "neurons",
}
FRESH = "5461237"  # in this order each is as in an app that has just been opened


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_screen_with_each_pane_in_focus(board: Boards, size: tuple[int, int]) -> None:
    async with board(size) as b:
        for key in FRESH:
            await b.press(key)
            b.matches(f"{PANES[key]}-{size[0]}x{size[1]}")


async def test_tokens_cursor_moves_by_token_and_line(board: Boards) -> None:
    text = "one two three four five six seven eight nine ten " * 3
    async with board((80, 24), text=text.strip()) as b:
        strip = b.app.query_one(TokensPane).strip
        last = len(strip.texts) - 1
        assert strip.cursor == last
        for keys, expected in (
            (("h",), last - 1),
            (("left",), last - 2),
            (("l", "right"), last),
            (("g",), 0),
            (("$",), max(p.token for p in strip.lines(78)[0])),
            (("0",), 0),
            (("j",), strip.lines(78)[1][0].token),
            (("k",), 0),
            (("down", "up"), 0),
            (("G",), last),
            (("ctrl+u", "ctrl+u"), strip.cursor),
        ):
            if keys == ("ctrl+u", "ctrl+u"):
                await b.press(*keys)
                assert strip.cursor < last
                continue
            await b.press(*("dollar_sign" if key == "$" else key for key in keys))
            assert strip.cursor == expected, keys


async def test_tokens_readout_says_token_score_share_and_rank(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("g", "l")
        scores = b.result("tokens").values
        assert b.readout("tokens").startswith(f"1 ·Eiffel  {signed(scores[1])}")
        rank = int((abs(scores) > abs(scores[1])).sum()) + 1
        assert f"rank {rank}/{len(scores)}" in b.readout("tokens")


async def test_explained_position_moves_to_the_cursor_and_back(board: Boards) -> None:
    async with board() as b:
        await b.press("g", "l", "l", "space")
        assert b.engine.requests[-1].metric.position == 2
        assert "@2" in b.lines()[0]
        assert "after 2 ·Tower" in b.screen
        await b.press("space")
        assert b.engine.requests[-1].metric.position == -1
        assert "@2" not in b.lines()[0]


async def test_heads_cursor_starts_on_the_strongest_head_and_reads_it_exactly(
    board: Boards,
) -> None:
    async with board() as b:
        await b.press("2")
        heads, mlps, types = map(b.result, ("heads", "mlp_ablation", "head_types"))
        layer, head = divmod(int(abs(heads.values).argmax()), heads.values.shape[1])
        effect, clean = heads.values[layer, head], heads.baseline
        named = types.axes[0].labels.index("induction"), layer, head
        score, z = types.values[named], types.extra["z"].values[named]
        assert types.extra["label"].values[layer, head] == "induction"
        cells = heads.values.size + mlps.extra["alone"].values.size
        read = (
            f"L{layer} H{head}  {signed(effect)} helped  rank 1/{cells}"
            f"  exact  {clean:.2f} → {clean + effect:.2f}  induction {score:.2f}"
        )
        assert b.readout("heads") == read
        await b.press("z")
        assert b.readout("heads") == f"{read} z {z:.1f}"


def test_every_type_of_head_has_a_letter_of_its_own() -> None:
    from interpboard.circuits.heads.encoder_types import ENCODER_SCORES
    from interpboard.circuits.heads.strip_types import STRIP_SCORES
    from interpboard.circuits.heads.types import SCORES

    assert set(TYPE_LETTERS) == {*SCORES, *ENCODER_SCORES, *STRIP_SCORES}
    assert len(set(TYPE_LETTERS.values())) == len(TYPE_LETTERS)


async def test_types_of_heads_are_asked_after_their_effects_and_shown_as_letters(
    board: Boards,
) -> None:
    async with board((80, 24)) as b:
        assert "head_scores" not in [r.analysis for r in b.engine.requests]
        await b.press("2")
        asked = [r.analysis for r in b.engine.requests]
        assert asked.index("head_scores") > asked.index("head_ablation")
        assert f" i {b.result('heads').values.min():.2f} " in b.screen
        assert " p +4e-4" in b.screen
        assert "L2 H4  i" in b.screen
        assert "p previous token  i induction" in b.screen
        types = b.app.state.slots["head_types"].result
        assert types is not None
        labels, pane = types.extra["label"].values, b.app.query_one(HeadsPane)
        labels[0, 1:4] = "copying", "duplicate_token", "name_mover"
        pane.refresh_words()
        await b.pilot.pause()
        assert (
            "p previous token  d duplicate token  i induction  c copying  n name mover" in b.screen
        )
        labels[0, 2] = "duplicate_token"
        await b.pilot.resize_terminal(120, 40)
        await wait_until_idle(b.app)
        assert "p previous  d duplicate  i induction" in b.screen
        await b.pilot.resize_terminal(80, 24)
        await wait_until_idle(b.app)
        labels[0, 1:4] = ""
        await b.press("1", "2")
        await b.press("h")
        assert "induction" not in b.readout("heads")
        await b.press("a")
        assert asked.count("head_scores") == 1


MOVES = (
    ("h", (2, 3)),
    ("left", (2, 3)),
    ("l", (2, 5)),
    ("right", (2, 5)),
    ("j", (3, 4)),
    ("down", (3, 4)),
    ("k", (1, 4)),
    ("up", (1, 4)),
    ("g", (0, 4)),
    ("G", (3, 4)),
    ("0", (2, 0)),
    ("home", (2, 0)),
    ("dollar_sign", (2, 8)),
    ("end", (2, 8)),
    ("ctrl+u", (0, 4)),
    ("pageup", (0, 4)),
    ("ctrl+d", (3, 4)),
    ("pagedown", (3, 4)),
)


async def test_every_key_that_moves_in_a_grid(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("2")
        grid = b.app.query_one(HeadsPane).grid
        for key, cell in MOVES:
            grid.put((2, 4))
            await b.press(key)
            assert grid.cursor == cell, key


async def test_cursor_stays_inside_the_grid(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("2", *("h" * 12), *("k" * 12))
        assert b.app.query_one(HeadsPane).grid.cursor == (0, 0)
        await b.press(*("l" * 12), *("j" * 12))
        assert b.app.query_one(HeadsPane).grid.cursor == (3, 8)


async def test_ablation_toggles_and_runs_heads_only(board: Boards) -> None:
    async with board() as b:
        before = len(b.engine.requests)
        await b.press("2", "a")
        request, mlps = b.engine.requests[before:]
        assert mlps.params["interventions"].startswith("0.mlp=mean; 1.mlp=mean")
        assert request.analysis == "head_ablation"
        assert request.params == {"ablation": "mean", "preview": True}
        assert "mean ablation" in b.screen
        await b.press("a")
        assert "zero ablation" in b.screen


async def test_partial_values_show_as_they_come_and_unknown_ones_as_dots(board: Boards) -> None:
    import numpy as np

    from interpboard.results import Axis, LabelledArray, layer_axis

    async with board(settle=True) as b:
        b.engine.paused = True
        await b.press("2", "r")
        values = np.full((4, 8), np.nan)
        values[0] = -0.5
        axes = (layer_axis(4), Axis("head", tuple("01234567")))
        b.engine.progress("heads", 8, 32, LabelledArray(axes, values))
        await b.pilot.pause(0.3)
        grid = b.app.query_one(HeadsPane).grid
        assert grid.data is not None
        assert grid.data.values[0, 0] == -0.5
        assert "·    ·    ·" in b.screen
        assert " 25% " in b.lines()[0]
        assert "x Cancel" in b.lines()[-1]
        b.engine.release()
        await wait_until_idle(b.app)
        assert "·    ·    ·" not in b.screen


async def test_estimates_come_first_marked_and_exact_values_take_their_place_one_by_one(
    board: Boards,
) -> None:
    import numpy as np

    from interpboard.results import Axis, LabelledArray, layer_axis

    async with board((80, 24)) as b:
        b.engine.paused = True
        await b.press("2", "r")
        values, marks = np.full((4, 8), -0.5), np.ones((4, 8), dtype=bool)
        axes = (layer_axis(4), Axis("head", tuple("01234567")))

        async def come(done: int) -> HeadsPane:
            partial = LabelledArray(axes, values.copy(), marks.copy())
            b.engine.progress("heads", done, 32, partial)
            await b.pilot.pause(0.3)
            return b.app.query_one(HeadsPane)

        pane = await come(0)
        assert b.screen.count("~-.50") == 32
        assert b.screen.count("~−0.500") > 0
        assert "−0.500 est." in b.readout("heads")
        assert "~ estimates until exact" in pane.legend().plain
        values[0, 0], marks[0, 0] = -0.75, False
        pane = await come(1)
        assert b.screen.count("~-.50") == 31
        assert "est." not in b.readout("heads")
        marks[2, 4] = False  # an estimate that was right: only its mark goes
        pane = await come(2)
        assert b.screen.count("~-.50") == 30
        b.engine.release()
        await wait_until_idle(b.app)
        assert "~" not in b.screen
        assert "hurt  exact" in pane.legend().plain


@pytest.mark.parametrize(("heads", "mark"), [(16, "~-5"), (24, "-~"), (34, "-~")])
async def test_an_estimate_shows_in_cells_of_every_width(
    board: Boards, heads: int, mark: str
) -> None:
    import numpy as np

    from interpboard.results import Axis, LabelledArray, layer_axis

    class Wide(FakeEngine):
        def __init__(self, listener: object) -> None:
            super().__init__(listener)  # type: ignore[arg-type]
            self.heads = heads

    async with board((80, 24), engine=Wide) as b:
        b.engine.paused = True
        await b.press("2", "r")
        axes = (layer_axis(4), Axis("head", tuple(map(str, range(heads)))))
        values = np.full((4, heads), -5.0)
        b.engine.progress(
            "heads", 0, 9, LabelledArray(axes, values, np.ones((4, heads), dtype=bool))
        )
        await b.pilot.pause(0.3)
        row = next(line for line in b.lines() if line.startswith("┃L0"))
        assert row.count(mark) == heads
        b.engine.release()
        await wait_until_idle(b.app)


async def test_a_position_selected_in_one_pane_is_met_by_the_other(board: Boards) -> None:
    async with board() as b:
        await b.press("1", "g", "l", "3")
        assert b.app.query_one(LensPane).grid.cursor[1] == 1
        await b.press("l", "1")
        assert b.app.query_one(TokensPane).strip.cursor == 2


async def test_wide_models_scroll_with_headers_in_sight(board: Boards) -> None:
    class Large(FakeEngine):
        def __init__(self, listener: object) -> None:
            super().__init__(listener)  # type: ignore[arg-type]
            self.layers, self.heads = 80, 64

    async with board((80, 24), engine=Large) as b:
        await b.press("2", "g", "0")
        assert "L0" in b.screen
        await b.press("G", "dollar_sign")
        assert "L79" in b.screen
        assert "H0" in b.screen or "H6" in b.screen
        assert b.readout("heads").startswith("L79 MLP")
