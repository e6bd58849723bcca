"""Neither end of the pipe is at the other's mercy: what cannot be read, other versions, a deaf end."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import interpboard
from interpboard.engine import protocol
from interpboard.engine.client import EngineClient, Lost
from interpboard.results import MetricRequest
from tests.engine.broken_worker import FATES
from tests.engine.conftest import SLOW, Recorder
from tests.forks import program

WORKER = (sys.executable, "-m", "interpboard.engine.worker")
on_one_loop = pytest.mark.asyncio(loop_scope="module")


def broken(fate: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "tests.engine.broken_worker", fate)


@on_one_loop
@pytest.mark.parametrize("fate", [*FATES, "an endless frame"])
async def test_what_cannot_be_read_counts_as_a_death_frees_the_slot_and_starts_anew(
    fate: str, recorder: Recorder, tmp_path: Path
) -> None:
    client = EngineClient(recorder, command=broken(fate), log_path=tmp_path / "log")
    await client.start()
    client.run("pane", "slow", "text")
    lost = await recorder.until("", Lost)
    assert lost.slots == ("pane",)
    assert lost.restarting
    assert lost.reason.startswith(
        "it sent a frame of 4294967295 bytes" if "frame" in fate else "it sent a message that"
    )
    assert client.idle.is_set()
    await recorder.until("", protocol.Hello, 2)
    client.command = WORKER  # the next one is whole
    await client.restart()
    client.run("pane", "slow", "text")
    failed = await recorder.until("pane", protocol.Failed)
    assert failed.kind == "no_model"
    await client.stop()


@on_one_loop
@pytest.mark.parametrize(("fate", "said"), [("another version", "0.2.0"), ("no version", "0.0.9")])
async def test_an_engine_of_another_version_is_ended_and_both_versions_are_named(
    fate: str, said: str, recorder: Recorder, tmp_path: Path
) -> None:
    client = EngineClient(recorder, command=broken(fate), log_path=tmp_path / "log")
    client.run("pane", "slow", "text")
    lost = await recorder.until("", Lost)
    assert lost.reason == (
        f"the engine is {said}, the app {interpboard.__version__}: restart the app"
    )
    assert not lost.restarting  # the same would be started again
    assert lost.slots == ("pane",)
    assert client.pid is None
    await client.stop()


def test_ends_of_one_version_with_other_protocols_are_told_apart() -> None:
    ours, theirs = protocol.Hello(1), protocol.Greeting(protocol=99)
    assert protocol.mismatch(ours, protocol.Greeting()) == ""
    assert protocol.mismatch(ours, theirs).endswith("the app 99: restart the app")


@pytest.mark.parametrize(
    "first",
    [protocol.Greeting("0.2.0"), protocol.Tokenize(1, "an owner from before greetings")],
    ids=["another version", "none"],
)
def test_an_owner_of_another_version_is_not_served(first: protocol.EngineRequest) -> None:
    process = subprocess.Popen(
        WORKER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = process.communicate(protocol.frame(first), timeout=60)
    assert process.returncode == 3
    assert len(out) == protocol.HEADER.size + protocol.size_of(out[: protocol.HEADER.size])
    assert f"the engine is {interpboard.__version__}, the app" in err.decode()


@pytest.mark.parametrize("payload", [b"\xc1", b"\x81\xa4type\xa3abc", bytes(range(200, 250))])
def test_a_request_that_cannot_be_read_ends_the_engine_with_a_line_in_the_log(
    payload: bytes,
) -> None:
    frame = protocol.HEADER.pack(len(payload)) + payload
    done = subprocess.run(WORKER, input=frame, capture_output=True, timeout=60)
    assert done.returncode == 1
    assert b"a message that cannot be read" in done.stderr


@on_one_loop
async def test_sigint_does_not_end_the_engine(engine: EngineClient, recorder: Recorder) -> None:
    engine.run("pane", "slow", "The", params={"steps": 30})
    await recorder.until("pane", protocol.Progress)
    os.kill(engine.pid, signal.SIGINT)
    await recorder.until("pane", protocol.Finished)
    assert not recorder.of("", Lost)


@on_one_loop
async def test_a_listener_that_fails_does_not_end_the_reading(
    engine: EngineClient, recorder: Recorder
) -> None:
    def failing(slot: str, event: protocol.Event | Lost) -> None:
        recorder(slot, event)
        if isinstance(event, protocol.Progress):
            raise ZeroDivisionError("on purpose")

    said: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: said.append(context["exception"]))
    engine.listener = failing
    engine.run("pane", "slow", "The", params={"steps": 5})
    await recorder.until("pane", protocol.Finished)
    loop.set_exception_handler(None)
    assert said
    assert all(isinstance(error, ZeroDivisionError) for error in said)


@on_one_loop
async def test_an_error_about_a_long_text_is_a_short_line(
    engine: EngineClient, recorder: Recorder
) -> None:
    engine.run("pane", "slow", "The", MetricRequest(target="a " * 50_000))
    failed = await recorder.until("pane", protocol.Failed)
    assert failed.kind == "bad_target"
    assert len(failed.message) < 2000
    assert len(failed.traceback) < 20_000


@on_one_loop
async def test_a_text_that_no_frame_can_hold_fails_by_name(
    engine: EngineClient, recorder: Recorder
) -> None:
    engine.run("pane", "predictions", "a \ud800 b")
    failed = await recorder.until("pane", protocol.Failed)
    assert failed.message == "The text is not valid UTF-8."
    assert not engine.busy_slots


def test_an_owner_that_stops_reading_does_not_stop_the_engine_from_hearing(
    tiny_folder: Path,
) -> None:
    process = subprocess.Popen(program(SLOW), stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def say(*requests: protocol.EngineRequest) -> None:
        process.stdin.write(b"".join(map(protocol.frame, requests)))
        process.stdin.flush()

    # Progress of 300 kB each fills the pipe; then cancels of jobs that wait, and an end.
    say(protocol.Greeting(), protocol.Load(1, str(tiny_folder)))
    say(protocol.RunAnalysis(2, "slow", "The", params={"steps": 20_000}))
    say(*(protocol.RunAnalysis(job, "slow", "The") for job in range(3, 40)))
    _wait_until_full(process)
    say(*(protocol.Cancel(job) for job in range(3, 40)))
    say(protocol.Shutdown())
    assert process.wait(30) == 0  # the reader was not blocked by the answers
    process.stdin.close()
    process.stdout.close()


def _wait_until_full(process: subprocess.Popen[bytes]) -> None:
    """Until what can be read without reading it is as much as a pipe holds."""
    import array
    import fcntl
    import termios

    held, since = -1, time.monotonic()
    while time.monotonic() - since < 60:
        select.select([process.stdout], [], [], 1)
        count = array.array("i", [0])
        fcntl.ioctl(process.stdout.fileno(), termios.FIONREAD, count)
        if count[0] == held and held >= 4096 * 15:
            return
        held = count[0]
        time.sleep(0.3)
    raise AssertionError(f"the pipe holds {held} bytes")


def test_an_engine_whose_output_is_full_ends_with_a_line() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            WORKER, input=b"", stdout=full, stderr=subprocess.PIPE, timeout=60, check=False
        )
    assert done.returncode in (0, 1)  # the end of its input may come first
    assert b"Traceback" not in done.stderr
