"""The lens: its readout, what colours it, its sites, and a tuned lens in its place."""

from __future__ import annotations

from pathlib import Path

from interpboard.engine import protocol
from tests.tui.conftest import Boards
from tui.slots.lens.view import LensPane
from tui.slots.tokens.view import TokensPane
from tui.words import percent


async def test_lens_readout_says_target_rank_and_ten_tokens(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("3")
        lens = b.result("lens")
        sure, rank = lens.values[-1, -1], lens.extra["rank"].values[-1, -1]
        assert b.readout("lens").startswith(f"L3 after 8 ·of  p ·Paris {percent(sure)} rank {rank}")
        details = b.app.query_one(LensPane).details().plain
        assert details.count("%") == lens.extra["top_probs"].values.shape[-1]
        await b.press("k", "h")
        assert b.readout("lens").startswith("L2 after 7 ·city")


async def test_next_tokens_follow_the_lens_cursor_only_while_the_lens_has_the_focus(
    board: Boards,
) -> None:
    async with board() as b:
        tokens = b.app.query_one(TokensPane)
        own = tokens.next_tokens()
        await b.press("3", "k")
        assert "L2 after 8 ·of" in b.screen
        assert tokens.next_tokens() != own
        await b.press("2")
        assert tokens.next_tokens() == own


async def test_v_turns_what_colours_the_lens(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("3")
        for words in (
            "probability of the token shown",
            "probability of ·Paris",
            "entropy in nats",
            "KL to the final layer",
            "rank of ·Paris",
            "the final token from here on",
            "probability of the token shown",
        ):
            assert words in b.screen
            await b.press("v")


async def test_s_turns_the_site_of_the_lens_and_the_cursor_stays_on_its_layer(
    board: Boards,
) -> None:
    async with board((80, 24)) as b:
        await b.press("3", "k")
        assert b.readout("lens").startswith("L2 after 8 ·of")
        for site, words, where in (
            ("resid_pre", "if the model ended before the layer", "L2 pre after 8 ·of"),
            ("attn_out", "of what attention adds", "L2 attn after 8 ·of"),
            ("resid_mid", "if the model ended between attention and MLP", "L2 mid after 8 ·of"),
            ("mlp_out", "of what the MLP adds", "L2 MLP after 8 ·of"),
        ):
            await b.press("s")
            asked = b.engine.requests[-1]
            assert (asked.analysis, asked.params) == ("logit_lens", {"site": site})
            assert f"top token {words}" in b.screen
            assert b.readout("lens").startswith(where)
            assert b.screen.count(where) == 2  # the ten likeliest of the cell are below the grid
        await b.press("j", "j")
        assert b.readout("lens").startswith("out after 8 ·of")
        assert b.app.state.selection.layer == 3
        await b.press("s")
        assert b.readout("lens").startswith("L3 after 8 ·of")


async def test_a_tuned_lens_is_opened_turned_off_and_on_and_made_by_a_command_that_is_said(
    board: Boards,
) -> None:
    async with board((80, 24)) as b:
        await b.press("3", "m")
        command = "interpboard tune-lens -m demo --corpus TEXT --out LENS"
        assert b.messages == ["F trains a tuned lens on a text; T opens one that there is."]
        await b.press("T")
        assert command in b.screen
        await b.write("~/lens")
        await b.press("enter")
        asked = b.engine.requests[-1]
        assert asked.analysis == "tuned_lens"
        assert asked.params == {"translators": str(Path("~/lens").expanduser())}
        assert "tuned lens: top token after the layer" in b.screen
        assert "by trained maps" in b.screen
        await b.press("2", "space", "3")
        held = {"interventions": "2.4=zero"}
        assert b.engine.requests[-1].params == {**held, **asked.params}
        assert "; → edited" in b.screen
        before = len(b.engine.requests)
        await b.press("s")
        assert len(b.engine.requests) == before
        await b.press("m")
        assert [r.analysis for r in b.engine.requests[-2:]] == ["logit_lens", "what_if"]
        assert b.engine.requests[-1].params == held
        assert "; → edited" in b.screen
        await b.press("m")
        assert b.engine.requests[-2].analysis == "tuned_lens"
        await b.press("m")
        failing = protocol.Failed(0, "bad_parameter", "~/lens holds no translators.", "Train some.")
        b.engine.refused["tuned_lens"] = failing
        shown = b.app.state.slots["lens"].result
        await b.press("m")
        assert b.app.state.slots["lens"].result is shown
        assert "~/lens holds no translators. Train some." in b.messages[-1]
        assert "top token if the model ended after the layer" in b.screen
        assert not b.app.session.slots["lens"].stale(b.app.state)
        await b.press("s", "s")
        assert b.engine.requests[-1].params == {**held, "lens_site": "attn_out"}
        assert "top token of what attention adds; → edited" in b.screen
