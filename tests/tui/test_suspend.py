"""Stopped and brought back by a shell, as people do with ctrl+z and fg: the terminal is given and painted."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from tests.tui.terminal import FAKE, Terminal
from tests.tui.test_terminal import assert_given_back
from tui.terminal.suspend import Suspension

SHELL = shutil.which("bash")
needs_shell = pytest.mark.skipif(SHELL is None, reason="no shell with job control")
OTHER_SCREEN, OWN_SCREEN = b"\x1b[?1049h", b"\x1b[?1049l"


class Shell(Terminal):
    """An interactive shell in a terminal, from which the app is started as a job."""

    def __init__(self, command: str) -> None:
        assert SHELL is not None
        super().__init__("tests.tui.shell", SHELL)
        self.until("ready> ")
        self.press(f"{command}\n")
        self.until("Eiffel", "Paris", "engine: idle")

    @property
    def app(self) -> int:
        """The process of the app: the shell's newest child's leaf."""
        pid = self.pid
        while children := _children(pid):
            pid = children[-1]
        return pid

    def stopped(self) -> None:
        """Wait until the shell says that it has a stopped job, and has the terminal."""
        self.until_after(OWN_SCREEN, "topped")
        self.until_after(b"topped", "ready> ")

    def brought_back(self) -> None:
        """``fg``, and wait until everything is on the screen."""
        self.output = b""
        self.press("fg\n")
        for word in ("Eiffel", "engine: idle", "Help"):
            self.until_after(OTHER_SCREEN, word)

    def close(self) -> None:
        """The app too: killed with its shell it would live on without a terminal."""
        left = [self.app] if self.pid else []
        super().close()
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(child) for child in file.read().split()]


@pytest.fixture
def shell() -> Iterator[Callable[[str], Shell]]:
    started: list[Shell] = []

    def make(command: str) -> Shell:
        started.append(Shell(command))
        return started[-1]

    yield make
    for each in started:
        each.close()


RUN = f"{sys.executable} -m {FAKE}"
# As a job itself; in a script that is a job; in a shell that has no jobs of its own.
WAYS = {"job": RUN, "script": f"sh -c '{RUN}; true'", "env": f"env LINES= {RUN}"}


@needs_shell
@pytest.mark.parametrize("way", WAYS)
def test_ctrl_z_gives_the_terminal_to_the_shell_and_fg_paints_the_app_anew(
    shell: Callable[[str], Shell], way: str
) -> None:
    own = shell(WAYS[way])
    for _ in range(2):
        own.press("\x1a")
        own.stopped()
        assert own.cooked
        own.press("echo a$((6*7))b\n")
        own.until_after(b"a42b", "ready> ")
        own.brought_back()
        assert not own.cooked
    own.press("8q2q")
    own.until_after(OWN_SCREEN, "ready> ")
    assert own.cooked


@needs_shell
@pytest.mark.parametrize("number", [signal.SIGTSTP, signal.SIGSTOP])
def test_a_stop_from_outside_is_survived_too(
    shell: Callable[[str], Shell], number: signal.Signals
) -> None:
    own = shell(RUN)
    os.kill(own.app, number)
    own.until_after(b"topped", "ready> ")
    own.brought_back()
    own.press("q")
    own.until_after(OWN_SCREEN, "ready> ")
    assert_given_back(own)


@pytest.mark.parametrize("number", [signal.SIGTSTP, signal.SIGCONT])
async def test_a_signal_in_the_middle_of_a_write_waits_for_its_end(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    writing, could_write, stopped = threading.Lock(), [], []

    class Driver:
        def suspend_application_mode(self) -> None:
            could_write.append(not writing.locked())

        resume_application_mode = suspend_application_mode

    monkeypatch.setattr("tui.terminal.suspend.os.kill", lambda _pid, sent: stopped.append(sent))
    Suspension(cast(Any, Driver()), back=lambda: None)
    try:
        with writing:
            signal.raise_signal(number)
        await asyncio.sleep(0.05)
    finally:
        for each in (signal.SIGTSTP, signal.SIGCONT):
            asyncio.get_running_loop().remove_signal_handler(each)
    assert could_write
    assert all(could_write)
    assert stopped == ([signal.SIGSTOP] if number == signal.SIGTSTP else [])


async def test_a_shell_that_brings_the_job_back_at_once_is_not_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[object] = []

    class Driver:
        def suspend_application_mode(self) -> None:
            done.append("given")

        def resume_application_mode(self) -> None:
            done.append("taken")

    def stopped_and_brought_back(_group: int, number: signal.Signals) -> None:
        done.append(number)
        signal.raise_signal(signal.SIGCONT)

    monkeypatch.setattr("tui.terminal.suspend.os.killpg", stopped_and_brought_back)
    monkeypatch.setattr("tui.terminal.suspend.os.kill", lambda _pid, number: done.append(number))
    suspension = Suspension(cast(Any, Driver()), back=lambda: done.append("painted"))
    try:
        suspension.begin()
        await asyncio.sleep(0.05)
    finally:
        for each in (signal.SIGTSTP, signal.SIGCONT):
            asyncio.get_running_loop().remove_signal_handler(each)
    assert done == ["given", signal.SIGTSTP, "taken", "painted"]


def test_where_no_shell_waits_ctrl_z_says_so_and_goes_on() -> None:
    app = Terminal(FAKE)
    try:
        app.until("Eiffel", "Paris")
        app.press("\x1a")
        app.until("No shell waits behind the app")
        app.press("q")
        assert app.wait() == 0
    finally:
        app.close()
