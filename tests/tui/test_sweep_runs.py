"""A sweep begun from the app: its plan, its process, how far it is, how it is stopped and how it ends."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

import msgspec
import pytest

from interpboard.files import atomic
from interpboard.sweeps.pace import MAY_PASS
from interpboard.sweeps.standing import SweepStanding, SweepWorkers
from tests.sweeps.swept_folder import NUMBER, swept
from tests.tui.conftest import Board
from tests.tui.test_dataset import MODEL, opened


class Process:
    """A sweep that does what the test says."""

    def __init__(self) -> None:
        self.code: int | None = None
        self.words: Sequence[str] = ()
        self.said: IO[bytes] | None = None

    def spawn(self, words: Sequence[str], said: IO[bytes]) -> Process:
        self.words, self.said = words, said
        return self

    def poll(self) -> int | None:
        return self.code


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Process:
    found = Process()
    monkeypatch.setattr("tui.controllers.sweep_runs.spawn_sweep", found.spawn)
    monkeypatch.setattr("tui.controllers.sweep_runs.LOOKS_EVERY", 0.005)
    return found


def stands(
    out: Path, state: str, rows: int, failed: int = 0, passing: int = 0, workers: int = 1
) -> None:
    standing = SweepStanding(
        state=state, rows=rows, of=NUMBER, failed=failed, passing=passing, rate=2.0, left=4.0,
        by=SweepWorkers(workers),
        pid=os.getpid(), reasons={"The row has no text.": failed} if failed else {},
        host=socket.gethostname(),
    )  # type: ignore[arg-type] # fmt: skip
    atomic.write_bytes(out / "standing.json", msgspec.json.encode(standing))


async def until(b: Board, there: Callable[[], bool]) -> None:
    for _ in range(2000):
        if there():
            break
        await asyncio.sleep(0.005)
        await b.pilot.pause()
    assert there(), b.screen


@asynccontextmanager
async def begun(folder: Path) -> AsyncIterator[tuple[Board, Path]]:
    """Rows in ``folder``, and a sweep of them that was just asked for."""
    swept(folder, MODEL)
    async with opened(folder / "rows.jsonl") as b:
        out = folder / "new"
        await b.press("r")
        assert "Sweep these rows" in b.screen
        await b.press("tab", "tab", "ctrl+u")
        await b.write(str(out))
        await b.press("enter")
        yield b, out


async def test_the_box_says_what_it_takes_and_begins_a_process_with_the_panes_analyses(
    tmp_path: Path, process: Process
) -> None:
    swept(tmp_path, MODEL)
    async with opened(tmp_path / "rows.jsonl") as b:
        await b.press("r")
        await until(b, lambda: "12 rows × " in b.screen)
        await b.press("escape")
        assert not process.words
    async with begun(tmp_path) as (b, out):
        words = list(process.words)
        assert words[:3] == ["sweep", "--model", "demo"]
        assert "head_ablation" in words
        assert words[words.index("--output") + 1] == str(out)
        assert words[-1].endswith("rows.jsonl")
        assert "sweep: opening the model" in b.lines()[0]
        await b.press("r")
        assert "runs already" in b.messages[-1]


async def test_how_far_it_is_stands_in_the_table_the_status_line_and_the_log(
    tmp_path: Path, process: Process
) -> None:
    async with begun(tmp_path) as (b, out):
        (tmp_path / "swept").rename(out)
        stands(out, "running", 5, failed=1)
        await until(
            b, lambda: "sweep 5 of 12 rows, 1 result failed, 2 rows/s, 4.0 s left" in b.lines()[0]
        )
        await until(b, lambda: b.lines()[0].strip().startswith("Sweep  new"))
        await b.pilot.resize_terminal(50, 20)
        # Where there is no room for all of it, how far it is stays.
        await until(
            b, lambda: b.lines()[0].rstrip() == " Sweep  new  sweep 5 of 12 rows, 1 result failed"
        )
        await b.pilot.resize_terminal(120, 40)
        await b.press("q")
        assert "sweep 5 of 12 rows" in b.lines()[0]
        await b.press("L")
        assert "sweep 5 of 12 rows, 1 result failed" in b.screen
        await b.press("q", "x")
        assert "Only a sweep runs" in b.messages[-1]
        stands(out, "done", NUMBER, failed=1, passing=1)
        process.code = 0
        await until(b, lambda: "The sweep is done: 12 rows of 12." in b.messages[-1])
        assert "The row has no text." in b.messages[-1]
        assert f"1 failed {MAY_PASS}: r in Dataset tries again." in b.messages[-1]
        assert "sweep" not in b.lines()[0]


async def test_a_process_that_cannot_begin_says_why(tmp_path: Path, process: Process) -> None:
    async with begun(tmp_path) as (b, _out):
        assert process.said is not None
        process.said.write(b"importing torch\nerror: Cannot open demo. Check it.\n")
        process.said.flush()
        process.code = 2
        await until(b, lambda: "The sweep ended: Cannot open demo. Check it." in b.messages[-1])


async def test_a_sweep_whose_process_was_killed_says_that_what_it_wrote_is_kept(
    tmp_path: Path, process: Process
) -> None:
    out = swept(tmp_path, MODEL)
    min((out / "rows").glob("part-*.parquet")).unlink()
    stands(out, "running", 5, workers=3)
    async with opened(out) as b:  # begun elsewhere: it is watched
        await until(b, lambda: "sweep 5 of 12 rows" in b.lines()[0])
        await b.press("x")
        assert "No sweep writes" in b.messages[-1]  # nobody holds its lock
        gone = msgspec.json.decode((out / "standing.json").read_bytes()) | {"pid": 2**22 + 1}
        atomic.write_bytes(out / "standing.json", msgspec.json.encode(gone))
        await until(b, lambda: "process is gone" in b.messages[-1])
        await b.press("r")
        assert process.words[-1].endswith("rows.jsonl")  # goes on with what the manifest says
        assert "--group=label" in process.words
        assert process.words[process.words.index("--workers") + 1] == "3"
        assert "The sweep goes on, by 3 workers as before" in b.messages[-1]


async def test_a_sweep_of_another_machine_goes_on_by_no_more_workers_than_cores_here(
    tmp_path: Path, process: Process
) -> None:
    out, cores = swept(tmp_path, MODEL), len(os.sched_getaffinity(0))
    min((out / "rows").glob("part-*.parquet")).unlink()
    stands(out, "stopped", 5, workers=cores + 30)
    there = msgspec.json.decode((out / "standing.json").read_bytes()) | {"host": "elsewhere"}
    atomic.write_bytes(out / "standing.json", msgspec.json.encode(there))
    async with opened(out) as b:
        await b.press("r")
        words = process.words
        given = words[words.index("--workers") + 1] if "--workers" in words else "1"
        assert given == str(cores)
        assert f"one a core here, of {cores + 30} on another machine" in b.messages[-1]


async def test_a_folder_that_holds_something_else_is_refused_in_the_box(
    tmp_path: Path, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept(tmp_path, MODEL)
    monkeypatch.chdir(tmp_path)
    async with opened(tmp_path / "rows.jsonl") as b:
        await b.press("r", "tab", "tab", "ctrl+u")
        await b.write(".")
        await b.press("enter")
        assert "holds no sweep" in b.screen
        assert not process.words


async def test_a_finished_sweep_is_not_begun_again_and_says_why(
    tmp_path: Path, process: Process
) -> None:
    out = swept(tmp_path, MODEL)
    async with opened(out) as b:
        await b.press("r")
        assert "Nothing is left to compute" in b.messages[-1]
        assert not process.words
    part = min((out / "rows").glob("part-*.parquet"))
    part.unlink()  # as after a lost node
    place = out / "manifest.json"
    asked = msgspec.json.decode(place.read_bytes()) | {"level": 0.8}
    place.write_bytes(msgspec.json.encode(asked))
    async with opened(out) as b:
        await b.press("r")
        assert process.words[0] == "sweep"
        assert process.words[process.words.index("--level") + 1] == "0.8"


async def test_stop_is_offered_only_while_a_sweep_runs(tmp_path: Path, process: Process) -> None:
    async with begun(tmp_path) as (b, out):
        await until(b, lambda: "x Stop" in b.lines()[-1])
        stands(out, "done", NUMBER) if out.exists() else None
        process.code = 0
        await until(b, lambda: "x Stop" not in b.lines()[-1])
