"""What must not break the app: death of the engine, hostile tokens, no colour, any keys, any size."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from interpboard.config import engine_log
from tests.tui.conftest import Boards
from tests.tui.fake import FakeEngine
from tui import catalogue as keys
from tui.app import InterpBoardApp
from tui.slots.heads.view import HeadsPane
from tui.slots.lens.view import LensPane
from tui.slots.tokens.view import TokensPane
from tui.testing.wait_until_idle import LeftError, wait_until_idle

HOSTILE = (
    "[/INST]",
    "\x1b[31mred",
    "\x07",
    "\u202eevil",
    "日本語",
    "🙂",
    "[bold]",
    "\n",
    "e\u0301",
    "\x9b2J",
)


class Hostile(FakeEngine):
    """A tokenizer of the worst kind."""

    def __init__(self, listener: object) -> None:
        super().__init__(listener)  # type: ignore[arg-type]
        self.tokens = lambda text: HOSTILE


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_hostile_tokens_are_pictures_in_every_pane(
    board: Boards, size: tuple[int, int]
) -> None:
    async with board(size, engine=Hostile, text="[/INST] \x1b[31m [bold") as b:
        for key in ("1", "3", "4", "6", "2"):
            await b.press(key, "g", "l", "j", "l")
            raw = "".join(b.lines())
            assert not any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 for char in raw)
            assert "\u202e" not in raw
        await b.press("1")
        assert "␛[31mred" in b.screen
        assert "[/INST]" in b.screen
        await b.press("t", "escape", "y", "question_mark", "q", "e", "escape")
        assert b.app.state.question.text == "[/INST] \x1b[31m [bold"
        await b.press("r")
        assert b.engine.requests[-1].text == "[/INST] \x1b[31m [bold"


async def test_messages_show_hostile_text_as_it_is(board: Boards) -> None:
    async with board((80, 24), engine=Hostile) as b:
        b.app.controllers.tell("'[/x' is 2 tokens: '[/INST]' '\x1b[31m'.\nShorten it.", "error")
        await b.press("down")
        assert " ✗ '[/x' is 2 tokens: '[/INST]' '␛[31m'.  Shorten it." in b.screen


async def test_wide_characters_keep_lines_as_wide_as_the_screen(board: Boards) -> None:
    async with board((80, 24), engine=Hostile) as b:
        from rich.cells import cell_len

        for strip in b.strips():
            assert sum(cell_len(segment.text) for segment in strip) == 80


async def test_death_of_the_engine_is_said_and_enter_works_after_it(board: Boards) -> None:
    async with board() as b:
        b.engine.paused = True
        await b.press("r")
        b.engine.die()
        await b.pilot.pause()
        assert "engine died: killed by signal 9" in b.lines()[0]
        assert "CUDA error: [/oops" in b.messages[0]
        assert "loading weights" in b.messages[0]
        assert "·Paris" in b.screen
        assert not b.app.state.busy
        b.engine.release()
        await wait_until_idle(b.app)
        assert "restarted: r runs" in b.lines()[0]
        before = len(b.engine.requests)
        await b.press("enter")
        assert len(b.engine.requests) == before + 7
        assert "engine: idle" in b.lines()[0]


@pytest.mark.parametrize("restarting", [True, False])
async def test_only_what_died_with_the_engine_runs_again(board: Boards, restarting: bool) -> None:
    async with board() as b:
        b.engine.paused = True
        await b.press("2", "a")
        lost = [request.analysis for request in b.engine.requests[-2:]]
        b.engine.die(restarting)
        await b.pilot.pause()
        assert b.app.state.engine.lost == ("heads", "mlp_ablation")
        b.engine.release()
        await wait_until_idle(b.app)
        await b.press("8", "q")  # elsewhere: only r brings the jobs back
        assert b.app.state.engine.lost == ("heads", "mlp_ablation")
        before = len(b.engine.requests)
        await b.press("r")
        again = {request.analysis for request in b.engine.requests[before:]}
        assert again >= set(lost) == {"head_ablation", "what_if"}
        if restarting:
            assert len(b.engine.requests) == before + 2
        assert not b.app.state.engine.lost
        assert b.app.state.params["heads"] == {"ablation": "mean"}
        assert not b.app.session.slots["heads"].stale(b.app.state)


async def test_the_log_screen_shows_the_last_words_and_runs_again(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("L")
        assert "The log is empty" in b.screen
        await b.press("L")
        engine_log().write_text("a warning\n\x1b[31mred [/INST]\n50%\r60%\n")
        await b.press("L")
        assert "␛[31mred [/INST]" in b.screen
        assert "60%" in b.screen
        assert "50%" not in b.screen
        await b.press("q")
        b.engine.paused = True
        await b.press("r")
        b.engine.die()
        b.engine.release()
        await wait_until_idle(b.app)
        await b.press("L")
        for words in ("killed by signal 9", "took 2 jobs along", "loading weights", "[/oops"):
            assert words in b.screen
        before = len(b.engine.requests)
        await b.press("r")
        assert len(b.engine.requests) == before + 2
        assert b.app.screen is b.app.screen_stack[0]


async def test_a_long_log_is_cut_at_its_end_and_opens_there(board: Boards) -> None:
    async with board((80, 24)) as b:
        engine_log().write_text("".join(f"line {at} {'x' * 500}\n" for at in range(5000)))
        await b.press("L")
        assert "line 4999" in b.screen
        await b.press("g")
        assert "line 4999" not in b.screen


async def test_enter_tries_again_after_the_engine_gave_up(board: Boards) -> None:
    async with board() as b:
        b.engine.die(restarting=False)
        await b.pilot.pause()
        assert "r tries again" in b.lines()[0]
        await b.press("enter")
        assert "engine: idle" in b.lines()[0]
        assert not b.app.state.busy


async def test_resizing_keeps_cursor_focus_zoom_and_results(board: Boards) -> None:
    async with board((200, 60)) as b:
        await b.press("2", "j", "l")
        lens = b.app.query_one(LensPane).grid
        assert lens.cell_height == 2
        for size in ((80, 24), (60, 20), (120, 24), (120, 40), (150, 45), (200, 60)):
            await b.pilot.resize_terminal(*size)
            await b.pilot.pause()
            await wait_until_idle(b.app)
            assert b.app.panes.active == "heads"
            assert b.app.query_one(HeadsPane).grid.cursor == (3, 5)
            assert b.readout("heads").startswith("L3 H5")
            assert "L3 H5" in b.screen
            alone = size[0] < 110 or size[1] < 34
            assert ("integrated gradients" not in b.screen) == alone
        assert lens.cell_height == 2


async def test_resizing_during_a_job_keeps_the_job_what_came_of_it_and_the_cursor(
    board: Boards,
) -> None:
    from interpboard.results import Axis, LabelledArray, layer_axis

    async with board((120, 40)) as b:
        await b.press("2", "j", "l")
        b.engine.paused = True
        await b.press("a", "p", "x")
        values = np.full((4, 8), np.nan)
        values[3] = -0.75
        axes = (layer_axis(4), Axis("head", tuple("01234567")))
        b.engine.progress("heads", 8, 32, LabelledArray(axes, values))
        for size in ((80, 24), (60, 20), (300, 100), (200, 60), (80, 24)):
            await b.pilot.resize_terminal(*size)
            await b.pilot.pause(0.25)
            # A larger screen has more panes in sight: their jobs come to those that are under way.
            assert {"heads", "mlp_ablation"} <= set(b.app.state.busy) == set(b.engine.busy_slots)
            assert b.app.prompt.text.endswith("ofx")
            assert b.readout("heads").startswith("L3 H5  −0.750")
            assert " 25% " in b.lines()[0]
            for strip in b.strips():
                assert strip.cell_length == size[0]
        b.engine.release()
        await wait_until_idle(b.app)
        assert not b.app.state.busy
        assert "L3 H5" in b.screen


LEAVING = ("quit", "theme")  # a theme repaints all: it is among them once, below
KEYS = sorted({key for c in keys.COMMANDS if c.id not in LEAVING for key in c.keys.split(",")})
KEYS += ["ctrl+t", "1", "x", "日", "9"]
NAMES = {
    "$": "dollar_sign", ":": "colon", "?": "question_mark", "<": "less_than_sign",
    ">": "greater_than_sign",
}  # fmt: skip


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    text=st.text(max_size=60),
    pressed=st.lists(st.sampled_from(KEYS), max_size=25),
    size=st.sampled_from([(80, 24), (120, 40), (40, 10)]),
)
@example(text="a", pressed=["8", "q", "q", "j"], size=(80, 24))
@example(
    text="a",
    pressed=["8", "ctrl+d", "A", "k", "escape", "q", "home", "W", "ctrl+t", "escape"],
    size=(120, 40),
)
async def test_no_text_and_no_keys_raise(
    tmp_path_factory: pytest.TempPathFactory,
    text: str,
    pressed: list[str],
    size: tuple[int, int],
) -> None:
    folder = tmp_path_factory.mktemp("keys")
    os.environ["INTERPBOARD_STATE"] = str(folder)
    before = os.getcwd()
    os.chdir(folder)  # exports land here
    try:
        app = InterpBoardApp(text=text, engine_factory=FakeEngine)
        async with app.run_test(size=size) as pilot:
            await wait_until_idle(app)
            try:
                await pilot.press(*(NAMES.get(key, key) for key in pressed))
                await wait_until_idle(app)
            except LeftError:  # q closes what lies over the panes; on the panes it leaves
                assert "q" in pressed
                assert app.return_value == 0
                return
            assert app.query_one(TokensPane).data is not None
    finally:
        os.chdir(before)


def test_the_app_imports_nothing_heavy_until_its_first_screen_is_painted() -> None:
    code = (
        "import os, sys, tui.controllers.screens, tui.dialogs.help, tui.dialogs.export\n"
        "from tui.app import InterpBoardApp\n"
        "heavy = ('torch', 'transformers', 'numpy', 'typer', 'plotext', 'msgspec', 'sqlite3',\n"
        "  'interpboard.engine.worker', 'interpboard.engine.client', 'interpboard.results',\n"
        "  'interpboard.models', 'interpboard.runs', 'interpboard.attribution')\n"
        "class Painted(InterpBoardApp):\n"
        "    CSS_PATH = os.path.join(os.path.dirname(sys.modules['tui.app'].__file__), 'interpboard.tcss')\n"
        "    def collect_garbage(self):  # the first thing after the first paint\n"
        "        print('painted', *[name for name in heavy if name in sys.modules], flush=True)\n"
        "        os._exit(0)\n"
        "Painted().run(headless=True, size=(120, 40))\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["painted"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_signals_leave_like_q(board: Boards, number: signal.Signals) -> None:
    async with board((80, 24)) as b:
        engine = b.engine
        os.kill(os.getpid(), number)
        await b.pilot.pause(0.1)
    assert b.app.return_value == 128 + number
    assert engine.stopped
