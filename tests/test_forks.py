"""A program that tests start as a fork is to them what a process of its own is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.forks import program

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there programs are not forked")


def started(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        program("tests.saying", "one", "two three"), cwd=folder, env={**os.environ, "SAID": "so"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def first_line(process: subprocess.Popen[bytes]) -> list[str]:
    assert process.stdout is not None
    return process.stdout.readline().decode().split()


@pytest.mark.parametrize(
    ("word", "status", "says"),
    [
        (b"exit 7\n", 7, b"on the other stream\n"),
        (b"end\n", 0, b"on the other stream\n"),
        (b"fail\n", 1, b"ZeroDivisionError: on purpose\n"),
        (b"die\n", -signal.SIGKILL, b"on the other stream\n"),
    ],
)
def test_it_has_its_own_folder_environment_and_streams_and_its_end_is_told(
    word: bytes, status: int, says: bytes, tmp_path: Path
) -> None:
    with started(tmp_path) as process:
        pid, *rest = first_line(process)
        assert rest == [str(tmp_path), "so", "one", "two", "three"]
        assert int(pid) != os.getpid()
        out, err = process.communicate(word, timeout=60)
    assert (process.returncode, out) == (status, b"")
    assert err.endswith(says)
    assert err.startswith(b"on the other stream\n")


def test_signals_go_on_to_it_and_it_dies_with_what_stands_for_it(tmp_path: Path) -> None:
    with started(tmp_path) as process:
        first_line(process)
        assert process.stdin is not None
        process.stdin.write(b"wait\n")
        process.stdin.flush()
        assert first_line(process) == ["waiting"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 3
    with started(tmp_path) as process:
        pid = int(first_line(process)[0])
        process.kill()
        assert process.wait(60) == -signal.SIGKILL
        deadline = time.monotonic() + 60
        while Path(f"/proc/{pid}").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_it_is_a_fork_of_what_has_imported_already(tmp_path: Path) -> None:
    """Otherwise these programs prove what they prove, and nothing is gained."""
    with started(tmp_path) as process:
        pid = int(first_line(process)[0])
        assert pid != process.pid
        parent = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
        server = int(Path(f"/proc/{parent}/stat").read_text().rsplit(")", 1)[1].split()[1])
        assert server == os.getpid()
        process.kill()
