"""The engine for real, over its real pipe."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from interpboard.engine import protocol
from interpboard.engine.client import EngineClient, Lost
from interpboard.results import MetricRequest
from tests.engine.conftest import SLOW, Recorder
from tests.forks import program

TEXT = "The Eiffel Tower is"


on_one_loop = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def engine_command() -> tuple[str, ...]:
    """Here the engine is started as users start it."""
    return (sys.executable, "-m", SLOW)


@on_one_loop
async def test_a_model_is_loaded_and_an_analysis_gives_its_result(
    engine: EngineClient, recorder: Recorder, tiny_folder: Path
) -> None:
    engine.load(str(tiny_folder))
    ready = await recorder.until("model", protocol.Ready)
    stages = [event.fraction for event in recorder.of("model", protocol.Loading)]
    assert stages == sorted(stages)
    assert len(stages) >= 4
    assert (ready.model.family, ready.model.layers, ready.model.heads) == ("gpt2", 3, 4)
    engine.run("heads", "head_ablation", TEXT, MetricRequest(target=" Tower"))
    finished = await recorder.until("heads", protocol.Finished)
    assert finished.prompt.tokens == ("The", " Eiffel", " Tower", " is")
    assert finished.result.values.shape == (3, 4)
    assert np.isfinite(finished.result.values).all()
    assert finished.result.metric.target.token == " Tower"
    async with asyncio.timeout(5):
        await engine.idle.wait()


@on_one_loop
async def test_bad_input_fails_by_name_and_the_next_job_works(
    engine: EngineClient, recorder: Recorder
) -> None:
    engine.run("heads", "head_ablation", "")
    assert (await recorder.until("heads", protocol.Failed, 1)).kind == "bad_prompt"
    engine.run("heads", "head_ablation", TEXT, MetricRequest(target="Eiffel Tower"))
    failed = await recorder.until("heads", protocol.Failed, 2)
    assert failed.kind == "bad_target"
    assert "Traceback" in failed.traceback
    engine.load("no/such/folder/anywhere")
    assert (await recorder.until("model", protocol.Failed)).kind == "unknown_model"
    engine.run("after", "head_ablation", TEXT)  # the old model is still in use
    await recorder.until("after", protocol.Finished)


@on_one_loop
async def test_progress_brings_partial_values_and_then_the_whole(
    engine: EngineClient, recorder: Recorder
) -> None:
    engine.run("pane", "slow", TEXT, params={"steps": 60})
    finished = await recorder.until("pane", protocol.Finished)
    seen = recorder.of("pane", protocol.Progress)
    assert len(seen) >= 3
    known = [int(np.isfinite(event.partial.values).sum()) for event in seen]
    assert known == [event.done for event in seen] == sorted(known)
    assert list(finished.result.values) == list(range(60))


@on_one_loop
async def test_a_cancel_is_heard_in_the_middle_of_a_job(
    engine: EngineClient, recorder: Recorder
) -> None:
    engine.run("pane", "slow", TEXT, params={"steps": 100_000})
    await recorder.until("pane", protocol.Progress)
    pid = engine.pid
    engine.cancel("pane")
    await recorder.until("pane", protocol.Stopped)
    assert engine.idle.is_set()
    engine.run("pane", "slow", TEXT)
    await recorder.until("pane", protocol.Finished)
    assert engine.pid == pid  # it stopped by itself: nobody killed it


@on_one_loop
async def test_a_newer_job_replaces_the_older_one_of_its_slot(
    engine: EngineClient, recorder: Recorder
) -> None:
    engine.run("pane", "slow", TEXT, params={"steps": 100_000})
    await recorder.until("pane", protocol.Progress)
    engine.run("pane", "slow", TEXT, params={"steps": 90_000})  # replaced while it waits
    newest = engine.run("pane", "slow", TEXT, params={"steps": 2})
    other = engine.run("other", "slow", TEXT, params={"steps": 2})
    finished = await recorder.until("pane", protocol.Finished)
    assert finished.job == newest
    assert (await recorder.until("other", protocol.Finished)).job == other
    assert not recorder.of("pane", protocol.Stopped)  # the end of a replaced job is not news


@on_one_loop
async def test_kill_9_in_the_middle_of_a_job_is_noticed_and_the_engine_comes_back(
    new_engine: EngineClient, recorder: Recorder
) -> None:
    new_engine.run("pane", "slow", TEXT, params={"steps": 100_000})
    await recorder.until("pane", protocol.Progress)
    before = new_engine.pid
    os.kill(before, signal.SIGKILL)
    lost = await recorder.until("", Lost)
    assert lost.exit_code == -signal.SIGKILL
    assert lost.reason == "killed by signal 9"
    assert lost.slots == ("pane",)
    assert lost.restarting
    await recorder.until("model", protocol.Ready, 2)  # the same model again
    assert new_engine.pid != before
    new_engine.run("pane", "slow", TEXT)
    await recorder.until("pane", protocol.Finished)


@on_one_loop
async def test_a_worker_deaf_to_a_cancel_is_killed_and_other_jobs_run_again(
    new_engine: EngineClient, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interpboard.engine.client.CANCEL_GRACE_S", 0.2)
    new_engine.run("pane", "slow", TEXT, params={"fate": "deaf"})
    new_engine.run("other", "slow", TEXT)
    new_engine.cancel("pane")
    await recorder.until("pane", protocol.Stopped)
    await recorder.until("other", protocol.Finished)
    assert not recorder.of("", Lost)  # we killed it: it was not lost


@on_one_loop
async def test_restarted_twice_at_once_it_starts_once_and_a_later_death_is_noticed(
    new_engine: EngineClient, recorder: Recorder
) -> None:
    before = new_engine.pid
    await asyncio.gather(new_engine.restart(), new_engine.restart())
    await recorder.until("model", protocol.Ready, 2)
    assert len(recorder.of("", protocol.Hello)) == 2
    assert new_engine.pid != before
    os.kill(new_engine.pid, signal.SIGKILL)
    assert (await recorder.until("", Lost)).exit_code == -signal.SIGKILL
    await recorder.until("model", protocol.Ready, 3)


@on_one_loop
async def test_a_cancelled_load_is_not_taken_up_again_after_a_restart(
    new_engine: EngineClient, recorder: Recorder, tiny_folder: Path
) -> None:
    new_engine.run("pane", "slow", TEXT, params={"steps": 100_000})
    await recorder.until("pane", protocol.Progress)
    new_engine.load("no/such/folder/anywhere")
    new_engine.cancel("model")
    await recorder.until("model", protocol.Stopped)
    assert new_engine.model_request.model == str(tiny_folder)
    await new_engine.restart()
    ready = await recorder.until("model", protocol.Ready, 2)
    assert ready.model.name == str(tiny_folder)


@on_one_loop
async def test_what_libraries_print_reaches_the_log_and_not_the_stream(
    engine: EngineClient, recorder: Recorder
) -> None:
    engine.run("pane", "slow", TEXT, params={"fate": "print"})
    await recorder.until("pane", protocol.Finished)
    log = engine.log_path.read_text()
    assert "a library that prints" in log
    assert "and its child too" in log


@on_one_loop
async def test_a_bug_in_a_job_is_reported_and_the_worker_lives(
    engine: EngineClient, recorder: Recorder
) -> None:
    pid = engine.pid
    engine.run("pane", "slow", TEXT, params={"fate": "bug"})
    failed = await recorder.until("pane", protocol.Failed)
    assert failed.kind == "bug"
    assert "ZeroDivisionError" in failed.traceback
    engine.run("after", "slow", TEXT)
    await recorder.until("after", protocol.Finished)
    assert engine.pid == pid


@on_one_loop
async def test_after_five_deaths_it_gives_up_and_a_request_brings_it_back(
    recorder: Recorder,
) -> None:
    client = EngineClient(recorder, command=(sys.executable, "-c", "print('no', file=1/0)"))
    await client.start()
    last = await recorder.until("", Lost, 5)
    assert not last.restarting
    assert last.exit_code == 1
    assert any("ZeroDivisionError" in line for line in last.log_tail)
    assert client.pid is None
    client.command = (sys.executable, "-m", "interpboard.engine.worker")
    client.run("pane", "head_ablation", TEXT)
    assert (await recorder.until("pane", protocol.Failed)).kind == "no_model"
    await client.stop()


def test_the_worker_ends_when_its_input_ends_in_the_middle_of_a_job(tiny_folder: Path) -> None:
    process = subprocess.Popen(program(SLOW), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdin.write(protocol.frame(protocol.Greeting()))
    process.stdin.write(protocol.frame(protocol.Load(1, str(tiny_folder))))
    job = protocol.RunAnalysis(2, "slow", TEXT, params={"steps": 1_000_000})
    process.stdin.write(protocol.frame(job))
    process.stdin.flush()
    while not isinstance(
        protocol.decode_event(protocol.read_frame(process.stdout)), protocol.Progress
    ):
        pass
    process.stdin.close()
    assert process.wait(10) == 0
    process.stdout.close()


def test_the_client_side_imports_no_torch() -> None:
    code = (
        "import sys, interpboard, interpboard.engine.client, interpboard.registry, "
        "interpboard.visualization.colors; "
        "print([m for m in ('torch', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@on_one_loop
async def test_hello_comes_before_torch_could_have_been_imported(recorder: Recorder) -> None:
    code = (
        "import sys; from interpboard.engine import worker; "
        "assert 'torch' not in sys.modules; worker.main()"
    )
    client = EngineClient(recorder, command=(sys.executable, "-c", code))
    await client.start()
    hello = await recorder.until("", protocol.Hello)
    assert hello.pid == client.pid
    started = time.monotonic()
    await client.stop()
    assert client.pid is None
    assert time.monotonic() - started < 10  # not a timing: it did not have to be waited out


@pytest.mark.skipif(not hasattr(os, "getpriority"), reason="no priorities here")
@on_one_loop
async def test_where_both_want_a_core_the_app_has_it(
    engine: EngineClient, recorder: Recorder, tiny_folder: Path
) -> None:
    engine.load(str(tiny_folder))
    await recorder.until("model", protocol.Ready)
    assert engine.pid is not None
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, engine.pid) == min(19, own + 5)
    if hasattr(os, "SCHED_BATCH"):
        assert os.sched_getscheduler(engine.pid) == os.SCHED_BATCH
