"""Every way out gives the terminal back: keys, signals, a fault of ours, a link that is gone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.tui.terminal import FAKE, LIMIT_S, REAL, Terminal

# What was switched on, and must be off again: other screen, hidden cursor, mouse, bracketed paste.
MODES = ("1049", "25", "1000", "1003", "2004")


@pytest.fixture
def start() -> Iterator[Callable[..., Terminal]]:
    """``start(module, *args)``: a terminal with the app in it."""
    started: list[Terminal] = []

    def make(module: str, *args: str) -> Terminal:
        started.append(Terminal(module, *args))
        return started[-1]

    yield make
    for terminal in started:
        terminal.close()


def assert_given_back(terminal: Terminal) -> None:
    assert terminal.cooked
    for mode in MODES:
        on, off = (f"\x1b[?{mode}{how}".encode() for how in "hl")
        if mode == "25":  # on is what a shell wants
            on, off = off, on
        assert on in terminal.output, mode
        assert terminal.output.rfind(off) > terminal.output.rfind(on), mode


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)]
)
def test_signals_give_the_terminal_back(
    start: Callable[..., Terminal], number: signal.Signals, code: int
) -> None:
    app = start(FAKE)
    app.until("Eiffel", "Paris")
    assert not app.cooked
    os.kill(app.pid, number)
    assert app.wait() == code
    assert_given_back(app)
    assert b"Traceback" not in app.output


def test_what_blocks_the_way_out_does_not_keep_the_process(
    start: Callable[..., Terminal], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUCK", "1")
    app = start(FAKE)
    app.until("Eiffel", "Paris")
    os.kill(app.pid, signal.SIGHUP)
    assert app.wait() == 129


def test_a_signal_in_a_screen_over_the_panes_and_in_the_prompt(
    start: Callable[..., Terminal],
) -> None:
    app = start(FAKE)
    app.until("Eiffel", "Paris")
    app.press("p:")
    app.press("\x10")
    os.kill(app.pid, signal.SIGTERM)
    assert app.wait() == 143
    assert_given_back(app)


def test_a_fault_of_ours_gives_the_terminal_back_and_shows_itself(
    start: Callable[..., Terminal],
) -> None:
    app = start(FAKE)
    app.until("Eiffel", "Paris")
    app.press("\x14")
    assert app.wait() == 1
    assert_given_back(app)
    after = app.output[app.output.rfind(b"\x1b[?1049l") :]
    assert b"boom [/INST]" in after


def test_q_gives_the_terminal_back(start: Callable[..., Terminal]) -> None:
    app = start(FAKE)
    app.until("Eiffel", "Paris")
    app.press("q")
    assert app.wait() == 0
    assert_given_back(app)


def test_a_link_that_is_gone_leaves_no_process(
    start: Callable[..., Terminal], tmp_path: Path
) -> None:
    app = start(REAL)
    app.until("Eiffel", "importing")
    children = Path(f"/proc/{app.pid}/task/{app.pid}/children")
    if not children.exists():
        pytest.skip("this system does not list the children of a process")
    engine = Path(f"/proc/{children.read_text().split()[0]}")
    app.hang_up()
    assert app.wait() in (129, -signal.SIGHUP)
    deadline = time.monotonic() + LIMIT_S
    while _lives(engine) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _lives(engine)


def _lives(process: Path) -> bool:
    try:
        return (process / "stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
