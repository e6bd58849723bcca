"""Commands of the whole app: running, asking, zooming, taking away, leaving."""

from __future__ import annotations

from tests.tui.conftest import Boards
from tui import catalogue as keys
from tui.commands.command import commands
from tui.dialogs.help import HelpScreen
from tui.dialogs.palette import PaletteScreen
from tui.dialogs.pick_token import PickTokenScreen


async def test_everything_runs_by_itself_at_the_start(board: Boards) -> None:
    async with board() as b:
        asked = [request.analysis for request in b.engine.requests]
        assert sorted(asked) == sorted(
            [
                "predictions",
                "integrated_gradients",
                "logit_lens",
                "direct_logit_attribution",
                "head_ablation",
                "head_scores",
                "what_if",
            ]
        )
        assert "engine: idle" in b.lines()[0]


async def test_editing_the_prompt_and_enter_runs_everything_on_the_new_text(
    board: Boards,
) -> None:
    async with board() as b:
        before = len(b.engine.requests)
        await b.press("p")
        await b.write(" q 1z")
        assert b.app.prompt.text.endswith("city of q 1z")
        assert "prompt edited" in b.lines()[0]
        assert len(b.engine.requests) == before
        await b.press("enter")
        assert {request.text for request in b.engine.requests[before:]} == {b.app.prompt.text}
        assert len(b.engine.requests) == before + 7
        assert "prompt edited" not in b.lines()[0]
        assert b.app.panes.focus_name == "tokens"


async def test_enter_and_r_run_again(board: Boards) -> None:
    async with board() as b:
        for key in ("enter", "r"):
            before = len(b.engine.requests)
            await b.press(key)
            assert len(b.engine.requests) == before + 7, key


async def test_ways_out_of_the_prompt_where_backspace_stays_an_editing_key(board: Boards) -> None:
    async with board((80, 24)) as b:
        for pane, key in (("3", "escape"), ("2", "tab"), ("3", "down")):
            await b.press(pane, "p")
            assert b.app.panes.focus_name == "prompt"
            await b.press(key)
            assert b.app.panes.focus_name == {"2": "heads", "3": "lens"}[pane], key
        await b.press("p", "backspace")
        assert b.app.prompt.text.endswith("city o")
        assert b.app.panes.focus_name == "prompt"


async def test_old_results_stay_and_say_that_they_are_old(board: Boards) -> None:
    async with board() as b:
        b.engine.paused = True
        await b.press("p")
        await b.write(" x")
        await b.press("enter", "x")
        assert "·Paris" in b.screen
        answered = [p for p in b.app.panes.views if p.display and p.data.result is not None]
        assert len(answered) > 1
        assert b.screen.count("previous prompt, r runs this one") == len(answered)
        b.engine.release()
        await b.press("enter")
        assert "previous prompt" not in b.screen


async def test_cancel_stops_what_runs_and_says_so_when_nothing_does(board: Boards) -> None:
    async with board() as b:
        b.engine.paused = True
        await b.press("r")
        assert b.engine.busy_slots
        await b.press("x")
        assert not b.engine.busy_slots
        assert not b.app.state.busy
        await b.press("x")
        assert "Nothing is running." in b.messages


async def test_target_is_asked_and_empty_means_the_top_token(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("t")
        assert isinstance(b.app.screen, PickTokenScreen)
        await b.write(" Rome")
        await b.press("enter")
        assert b.engine.requests[-1].metric.target == " Rome"
        assert "logit ·Rome" in b.lines()[0]
        await b.press("t", "ctrl+u", "enter")
        assert b.engine.requests[-1].metric.target is None


async def test_a_wrong_target_is_a_message_and_nothing_changes(board: Boards) -> None:
    async with board((80, 24)) as b:
        before, screen = b.app.state.question, b.lines()[:12]
        await b.press("t")
        await b.write("nonsense")
        await b.press("enter")
        assert b.messages == ["'nonsense' is 2 tokens: '[/INST]' 'x'. Choose one."]
        assert b.app.state.question == before
        assert b.lines()[:12] == screen


async def test_foil_makes_the_metric_a_difference_and_metrics_turn(board: Boards) -> None:
    async with board((80, 24)) as b:
        for expected in ("prob", "logprob", "logit"):
            await b.press("M")
            assert b.engine.requests[-1].metric.name == expected
        await b.press("f")
        await b.write(" Rome")
        await b.press("enter")
        assert b.engine.requests[-1].metric.name == "logit_diff"
        assert "logit ·Paris − ·Rome" in b.lines()[0]
        for expected in ("prob", "logprob", "logit", "logit_diff"):
            await b.press("M")
            assert b.engine.requests[-1].metric.name == expected


async def test_another_model_replaces_results_and_a_wrong_one_does_not(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("o")
        await b.write("nosuch")
        await b.press("enter")
        assert b.messages == ["There is no model 'nosuch'. Is it a folder?"]
        assert b.lines()[0].startswith(" demo")
        assert "·Paris" in b.screen
        await b.press("o")
        await b.write("other")
        await b.press("enter")
        assert b.lines()[0].startswith(" other")
        assert "·Paris" in b.screen


async def test_zoom_and_three_ways_out_and_tab_goes_round_by_number(board: Boards) -> None:
    async with board() as b:
        assert "4 Trace" in b.screen
        for key in ("z", "escape", "backspace"):
            await b.press("2", "z")
            assert "1 Tokens │ 2 Heads" in b.screen
            assert "L2 H4" in b.screen
            assert "integrated gradients" not in b.screen
            await b.press(key)
            assert "integrated gradients" in b.screen
        await b.press("1")
        seen = []
        for _ in range(7):
            await b.press("tab")
            seen.append(b.app.panes.active)
        assert seen == ["heads", "lens", "trace", "attention", "logits", "neurons", "tokens"]
        await b.press("shift+tab")
        assert b.app.panes.active == "neurons"


async def test_help_names_the_keys_of_the_pane(board: Boards) -> None:
    async with board((80, 24)) as b:
        for key in ("question_mark", "f1"):
            await b.press("2", key)
            assert isinstance(b.app.screen, HelpScreen)
            assert "2 Heads" in b.screen
            assert "What replaces an output" in b.screen
            await b.press("j", "k", "G", "g", "q")
            assert not isinstance(b.app.screen, HelpScreen)


async def test_palette_finds_and_runs_commands(board: Boards) -> None:
    async with board((80, 24)) as b:
        for key, dark in (("colon", False), ("ctrl+p", True)):
            await b.press(key)
            assert isinstance(b.app.screen, PaletteScreen)
            await b.write("light")
            await b.press("enter")
            assert b.app.current_theme.dark == dark
            await b.press(key, "down", "up", "escape")
            assert not isinstance(b.app.screen, PaletteScreen)


async def test_theme_changes_by_key(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("ctrl+t")
        assert not b.app.current_theme.dark
        await b.press("ctrl+t")
        assert b.app.current_theme.dark


async def test_q_and_ctrl_q_leave_with_zero_and_end_the_engine(board: Boards) -> None:
    for key in ("q", "ctrl+q"):
        async with board((80, 24)) as b:
            engine = b.engine
            await b.pilot.press(key)
        assert b.app.return_value == 0
        assert engine.stopped


async def test_ctrl_q_leaves_from_the_prompt_and_from_screens(board: Boards) -> None:
    for opened in ("p", "i", "e", "question_mark"):
        async with board((80, 24)) as b:
            await b.press(opened)
            await b.pilot.press("ctrl+q")
        assert b.app.return_value == 0


async def test_ctrl_c_says_what_quits(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("ctrl+c")
        assert "quits" in b.messages[0]


def test_no_two_commands_of_one_place_share_a_key_and_ids_are_unique() -> None:
    assert len({command.id for command in keys.COMMANDS}) == len(keys.COMMANDS)
    for slot in ("tokens", "heads", "lens", "trace", "logits"):
        used = [k for c in commands("app", "move", slot) for k in c.keys.split(",") if k]
        assert len(used) == len(set(used))


def test_no_key_that_multiplexers_take_or_terminals_confuse() -> None:
    forbidden = {f"ctrl+{letter}" for letter in "abhijm"}
    for command in keys.COMMANDS:
        for key in command.keys.split(","):
            assert key not in forbidden
            assert not key.startswith(("alt+", "super+", "ctrl+shift"))
