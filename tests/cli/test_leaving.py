"""A command ends at once, after everything that was registered for the end and with its own exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

MADE = "import atexit, sys; from interpboard.cli.leaving import LastOfAll; last = LastOfAll(); "
APART = """
class TakenApart:
    def __del__(self, write=sys.stderr.write):
        write("taken apart")
kept = TakenApart()
"""


def ended(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", MADE + code], capture_output=True, text=True)


def test_what_was_registered_for_the_end_is_done_and_what_was_written_arrives() -> None:
    done = ended("atexit.register(lambda: print('at the end')); print('before'); last.code = 3")
    assert (done.returncode, done.stdout) == (3, "before\nat the end\n")


def test_threads_that_the_process_waits_for_are_waited_for() -> None:
    done = ended(
        "import threading, time\n"
        "def late():\n    time.sleep(0.2); print('late')\n"
        "threading.Thread(target=late).start(); last.code = 0"
    )
    assert (done.returncode, done.stdout) == (0, "late\n")


@pytest.mark.parametrize(("code", "said"), [("last.code = 0", ""), ("", "taken apart")])
def test_memory_is_taken_apart_only_where_no_code_is_known(code: str, said: str) -> None:
    assert ended(f"{APART}\n{code}").stderr == said


def test_an_error_behind_the_command_keeps_its_own_exit_code() -> None:
    done = ended("raise RuntimeError('nothing')")
    assert done.returncode == 1
    assert "RuntimeError: nothing" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device here")
def test_a_stream_that_cannot_be_written_at_the_end_is_not_passed_over() -> None:
    code = MADE + "print('x'); last.code = 0"
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=buffered,
        )
    assert done.returncode == 120
    assert "No space left" in done.stderr


@pytest.mark.parametrize(("words", "code"), [(["list"], 0), (["list", "--nothing"], 2)])
def test_the_command_ends_with_its_own_exit_code(words: list[str], code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "interpboard", *words], capture_output=True, text=True
    )
    assert done.returncode == code
    assert (done.stdout != "") == (code == 0)
