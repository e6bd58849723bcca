"""Interventions: switched on and off by keys, listed, undone, shown beside the clean run."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from interpboard.results import LabelledArray, layer_axis, token_axis
from tests.tui.answers import tokens_of
from tests.tui.conftest import Boards
from tui.session.interventions import InterventionStack, stack_from_text
from tui.slots.lens.view import LensPane
from tui.slots.what_if.view import InterventionsScreen
from tui.testing.wait_until_idle import wait_until_idle
from tui.words import percent, signed, token


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_space_switches_a_head_off_and_both_runs_are_shown(
    board: Boards, size: tuple[int, int]
) -> None:
    async with board(size) as b:
        await b.press("2", "space")
        assert b.engine.requests[-1].params == {"interventions": "2.4=zero"}
        what_if = b.result("what_if")
        clean, edited = what_if.values
        changed = f"{clean:.2f} → {edited:.2f}"
        assert f"{changed} ({signed(edited - clean, 2)})" in b.screen
        words, probs = what_if.extra["top_tokens"].values, what_if.extra["top_probs"].values
        one, other = (f"{token(words[at, 0])} {percent(probs[at, 0])}" for at in (0, 1))
        assert f"says {one} → {other}" in b.screen
        assert b.readout("heads").endswith("off")
        b.matches(f"what-if-{size[0]}x{size[1]}")
        await b.press("3")
        one, other = what_if.extra["lens"].values[:, -1, -1]
        assert one != other
        assert f"{percent(one)} → {percent(other)}" in b.readout("lens")
        await b.press("v", "v")  # entropy, twice as high in the edited run: the colours compare
        clean = b.app.query_one(LensPane).grid.data
        assert clean is not None
        assert clean.below is not None
        assert clean.below.scale == clean.scale
        assert clean.scale.limit == clean.below.values.max() == 2 * clean.values.max()
        await b.press("2", "space")
        assert "(2.4=zero)" in b.screen
        assert changed not in b.screen
        await b.press("3")
        assert "→" not in b.readout("lens")


async def test_an_mlp_undo_redo_and_the_ablation_of_the_pane(board: Boards) -> None:
    async with board() as b:
        await b.press("2", "a", "end", "space")
        assert b.engine.requests[-1].params == {"interventions": "2.mlp=mean"}
        await b.press("0", "space")
        assert b.engine.requests[-1].params == {"interventions": "2.mlp=mean; 2.0=mean"}
        await b.press("u")
        assert b.app.state.interventions.text == "2.mlp=mean"
        await b.press("u")
        assert not b.app.state.interventions.items
        await b.press("u", "ctrl+r", "ctrl+r")
        assert "Nothing to undo." in b.messages
        assert b.app.state.interventions.text == "2.mlp=mean; 2.0=mean"


async def test_the_list_switches_adds_and_lets_go(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("2", "space", "i")
        assert isinstance(b.app.screen, InterventionsScreen)
        alone = float(b.result("what_if").extra["effect"].values)
        assert f"alone {signed(alone)}" in b.screen
        await b.press("a")
        await b.write("1.mlp=mean")
        await b.press("enter")
        assert b.app.state.interventions.text == "2.4=zero; 1.mlp=mean"
        await b.press("space")
        assert b.app.state.interventions.text == "1.mlp=mean"
        await b.press("j", "d", "u", "ctrl+r", "q")
        assert [item.text for item in b.app.state.interventions.items] == ["2.4=zero"]


async def test_what_cannot_be_read_is_a_message_and_is_not_held(board: Boards) -> None:
    async with board() as b:
        await b.press("i", "a")
        await b.write("nonsense")
        await b.press("enter", "q")
        assert b.messages == ["Cannot read that. Write 2.5=zero."]
        assert not b.app.state.interventions.items


async def test_a_word_is_swapped_and_let_go_with_another_prompt(board: Boards) -> None:
    async with board() as b:
        await b.press("g", "l", "w", "ctrl+u")
        await b.write(" Rome")
        await b.press("enter")
        assert b.app.state.interventions.text == '@1=" Rome"'
        await b.press("p")
        await b.write(" x")
        await b.press("enter")
        assert not b.app.state.interventions.items


async def test_the_subject_is_marked_and_traced_and_the_method_and_site_turn(
    board: Boards,
) -> None:
    async with board((200, 60)) as b:
        await b.press("g", "l", "s", "l", "s")
        assert b.engine.requests[-1].analysis == "causal_trace"
        assert b.engine.requests[-1].params == {"subject": [1, 2], "state": "resid"}
        await b.press("4", "v")
        assert b.engine.requests[-1].params == {"subject": [1, 2], "state": "mlp", "window": 1}
        await b.press("m")
        assert "older: d writes the corrupted prompt" in b.screen
        await b.press("d", "end", "backspace", "n")
        assert re.search(r"│ clean +… ·in +·the ·city ·of ", b.screen)
        assert re.search(r"│ corrupted +… ·in +·the ·city ·on ", b.screen)
        assert "9 tokens, as the clean prompt has; 1 differ" in b.screen
        await b.press("space", "x")
        await b.press("enter")
        assert "10 tokens, the clean prompt has 9: write as many" in b.screen
        await b.press("backspace", "backspace", "enter")
        assert b.engine.requests[-1].params == {
            "corrupted": "The Eiffel Tower is located in the city on",
            "site": "mlp_out",
            "preview": True,
        }
        assert "the corrupted prompt says ·Paris" in b.screen
        b.engine.paused = True
        await b.press("r")
        axes = (layer_axis(4), token_axis(tokens_of(b.app.state.question.text)))
        guesses = LabelledArray(axes, np.full((4, 9), 0.5), np.ones((4, 9), dtype=bool))
        b.engine.progress("trace", 0, 36, guesses)
        await b.pilot.pause(0.3)
        assert b.screen.count("~+") == 36
        assert b.readout("trace").endswith("+0.500 est.")
        assert b.app.panes.of("trace").legend().plain.endswith("~ estimates until exact")
        b.engine.release()
        await wait_until_idle(b.app)
        assert "~" not in b.app.panes.of("trace").legend().plain
        await b.press("g", "0", "space")
        held = [r.params for r in b.engine.requests if r.analysis == "what_if"][-1]
        assert held["interventions"] == "0.mlp@0=patch"
        assert held["source"].endswith("city on")
        assert "exact" in b.readout("trace")
        assert b.readout("trace").endswith("patched in")
        await b.press("1", "g", "s")  # a subject is for the causal trace
        assert b.engine.requests[-1].params["subject"] == [0, 1, 2]


async def test_one_selection_is_shared_by_all_panes_and_every_readout_says_how_exact_it_is(
    board: Boards,
) -> None:
    async with board((200, 60)) as b:
        await b.press("g", "l", "s")  # a subject, so that there is a trace

        def reads(**beginnings: str) -> None:
            found = {slot: b.readout(slot) for slot in beginnings}
            for slot, beginning in beginnings.items():
                assert found[slot].startswith(beginning), (slot, found)
                assert "rank" in found[slot]
                assert any(how in found[slot] for how in ("exact", "approximate", " noises"))

        effects, scores, traced, added = (
            b.result(slot).values for slot in ("heads", "tokens", "trace", "logits")
        )
        largest = added[abs(added).argmax()]
        assert effects[0, 1] > 0
        reads(heads="L2 H4", attention="L2 H4")
        await b.press("3", "k")
        reads(heads="L2 H4", lens="L2", trace="out 2", logits="L2 H4", attention="L2 H4")
        await b.press("2", "g", "0", "l")
        reads(
            heads=f"L0 H1  {signed(effects[0, 1])} hurt",
            lens="L0 after 1",
            trace="out 0 at 1",
            logits="L0 H1",
        )
        reads(
            attention="L0 H1  1 ·Eiffel", neurons="L2 N5", tokens=f"1 ·Eiffel  {signed(scores[1])}"
        )
        await b.press("3", "j", "j", "0", "l", "l")
        reads(heads="L2 H1", lens="L2 after 2", trace="out 2 at 2", logits="L2 H1")
        reads(attention="L2 H1  2 ·Tower", neurons="L2 N5", tokens="2 ·Tower")
        await b.press("4", "k", "l")
        reads(
            heads="L1 H1",
            lens="L1 after 3",
            trace=f"out 1 at 3 ·is  {signed(traced[1, 3])}",
            logits="L1 H1",
        )
        reads(attention="L1 H1  3 ·is", neurons="L2 N5", tokens="3 ·is")
        await b.press("5", "right_square_bracket", "j")
        reads(heads="L1 H2", lens="L1 after 4", trace="out 1 at 4", logits="L1 H2")
        reads(attention="L1 H2  4 ·located", tokens="4 ·located")
        await b.press("6", "g")
        reads(
            heads="L2 H4", lens="L2 after 4", trace="out 2 at 4", logits=f"L2 H4  {signed(largest)}"
        )
        reads(attention="L2 H4  4 ·located", neurons="L2 N5")
        await b.press("7", "j")  # a neuron is its layer's MLP
        layer = b.readout("neurons")[:2]
        reads(
            heads=f"{layer} MLP",
            lens=f"{layer} after 4",
            trace=f"out {layer[1:]}",
            logits=f"{layer} MLP",
        )
        await b.press("1", "h")
        reads(lens=f"{layer} after 3", trace=f"out {layer[1:]} at 3", attention="L2 H4  3 ·is")


async def test_a_pane_that_was_out_of_sight_opens_where_the_selection_is(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("g", "l", "s", "3")  # the lens has its first values only now
        assert b.readout("lens").startswith("L3 after 1")
        await b.press("4")
        assert b.readout("trace").startswith("out 0 at 1")
        await b.press("j", "j", "l", "3")
        assert b.readout("lens").startswith("L2 after 2")
        await b.press("2")
        assert b.readout("heads").startswith("L2 H")
        await b.press("k", "5")
        assert b.readout("attention").startswith("L1 H")
        await b.press("1")
        assert b.readout("tokens").startswith("2 ·Tower")


async def test_v_orders_the_logits_and_an_intervention_puts_the_edited_run_beside_them(
    board: Boards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    async with board((80, 24)) as b:
        await b.press("6")
        added = b.result("logits").values
        largest = signed(added[abs(added).argmax()])
        assert b.readout("logits").startswith(f"L2 H4  {largest}  rank 1/{len(added)}")
        await b.press("v")
        assert "in the model's order" in b.screen
        assert b.readout("logits").startswith("L2 H4")  # the cursor stays on its component
        await b.press("2", "space", "6")
        assert b.engine.requests[-1].analysis == "edited_direct_attribution"
        assert b.engine.requests[-1].params == {"interventions": "2.4=zero"}
        edited = b.result("logits_edited")
        change = edited.extra["effect"].values
        order = abs(change).argsort()[::-1]

        def row(rank: int) -> str:
            """The component of the rank in the order of change, as the readout says it."""
            name, at = edited.axes[0].labels[order[rank - 1]], order[rank - 1]
            clean, now = map(signed, edited.values[at])
            return f"{name}  {clean} → {now} ({signed(change[at])})  rank {rank}/{len(change)}"

        assert row(1).startswith(f"L2 H4  {largest} → 0 ")
        assert b.readout("logits").startswith(row(1))
        assert "into logit ·Paris; → edited" in b.screen
        await b.press("v", "v", "v")
        assert "by change" in b.screen
        await b.press("g", "j")
        assert b.readout("logits").startswith(row(2))
        await b.press("Y")
        taken = (tmp_path / "state" / "yank.txt").read_text()
        assert "Direct logit attribution, edited" in taken
        assert "interventions=2.4=zero" in taken
        await b.press("u")
        assert "edited" not in b.screen
        assert "by size" in b.screen


def test_reading_back_the_interventions_loses_nothing() -> None:
    stack = InterventionStack().put('@1="; x"').put("2.4=zero").toggled("1.mlp", "mean")
    assert stack_from_text(stack.text).items == stack.items
