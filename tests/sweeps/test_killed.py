"""A sweep that is killed has every row once in the end; a full disk costs nothing that was there."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interpboard.datasets.dataset import open_dataset
from interpboard.errors import BadParameter, BadResultFile
from interpboard.sweeps import folder as sweep_folder
from interpboard.sweeps import in_process as folder_rows
from interpboard.sweeps.aggregate import aggregate
from interpboard.sweeps.folder import SweepFolder
from interpboard.sweeps.in_process import sweep_in_process
from interpboard.sweeps.row_results import RowResult
from tests.forks import program
from tests.sweeps.quick_rows import begun, quick_work

ROWS = 400


def put(folder: Path) -> Path:
    path = folder / "rows.jsonl"
    path.write_text(
        "\n".join(json.dumps({"text": f"row {i}"}) for i in range(ROWS)), encoding="utf-8"
    )
    return path


def every(folder: SweepFolder) -> list[RowResult]:
    return sorted(folder.results(), key=lambda r: (r.row, r.analysis))


def test_ten_kills_at_random_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    data, out = put(tmp_path), tmp_path / "out"
    chance = random.Random(1)
    kills = 0
    command = program("tests.sweeps.quick_rows", str(data), str(out))
    while kills < 10:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        time.sleep(chance.uniform(0.0, 0.06))
        process.send_signal(signal.SIGKILL)
        kills += 1
        process.wait()
        process.stdout.close()
        folder = SweepFolder.open(out)
        ids = [r.id for r in folder.results()]  # every part that is there is whole
        assert len(ids) == len(set(ids))
    assert subprocess.run(command, check=True, stdout=subprocess.DEVNULL).returncode == 0
    found = every(SweepFolder.open(out))
    assert [(r.row, r.analysis) for r in found] == [
        (row, name) for row in range(ROWS) for name in ("head_ablation", "occlusion")
    ]
    for result in found:
        np.testing.assert_array_equal(result.values, quick_work(result.row))
    leftovers = {p.suffix for p in (out / "rows").iterdir() if not p.name.startswith(".")}
    assert leftovers == {".parquet"}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full device here")
def test_a_full_disk_is_said_in_a_line_and_what_was_there_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out = put(tmp_path), tmp_path / "out"
    folder, work = begun(data, out)
    writes = [0]
    real = SweepFolder.write

    def full_in_the_third(self: SweepFolder, results: list[RowResult]) -> None:
        writes[0] += 1
        if writes[0] == 3:
            with open("/dev/full", "wb", buffering=0) as disk:
                try:
                    disk.write(b"x")
                except OSError as error:
                    raise BadResultFile(f"Cannot write {self.path}: {error.strerror}.") from error
        real(self, results)

    monkeypatch.setattr(SweepFolder, "write", full_in_the_third)
    with pytest.raises(BadResultFile, match="No space left"):
        sweep_in_process(work, open_dataset([data]), folder, flush_after=0.0)
    before = len(every(folder))
    assert before == 2 * 2  # the two parts that had room
    monkeypatch.setattr(SweepFolder, "write", real)
    pace = sweep_in_process(work, open_dataset([data]), folder)
    assert pace.computed == 2 * ROWS - before
    assert len(every(folder)) == 2 * ROWS


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_interrupt_in_the_middle_of_writing_loses_no_row_that_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    data, out = put(tmp_path), tmp_path / "out"
    folder, work = begun(data, out)
    writes = [0]
    real = sweep_folder._write_table

    def interrupted(*given: Any) -> None:
        writes[0] += 1
        if writes[0] == 3 and when == "before":
            raise KeyboardInterrupt
        real(*given)
        if writes[0] == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(sweep_folder, "_write_table", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sweep_in_process(work, open_dataset([data]), folder, flush_after=0.0)
    assert [result.row for result in every(folder)] == [0, 0, 1, 1, 2, 2]


def test_two_sweeps_do_not_write_to_one_folder(tmp_path: Path) -> None:
    data, out = put(tmp_path), tmp_path / "out"
    folder, _ = begun(data, out)
    with folder.alone(), pytest.raises(BadParameter, match="Another sweep"), folder.alone():
        pass


def test_a_part_that_is_damaged_is_named(tmp_path: Path) -> None:
    data, out = put(tmp_path), tmp_path / "out"
    folder, work = begun(data, out)
    sweep_in_process(work, open_dataset([data], limit=3), folder)
    part = folder.parts()[0]
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(BadResultFile, match=part.name):
        folder.finished()


def test_rows_that_were_read_otherwise_before_do_not_count_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out = put(tmp_path), tmp_path / "out"
    folder, work = begun(data, out)
    sweep_in_process(work, open_dataset([data]), folder)
    monkeypatch.setattr(
        folder_rows, "row_id", lambda row, request: f"{row.number:028d}{request[:4]}"
    )
    sweep_in_process(work, open_dataset([data]), folder)
    with pytest.raises(BadParameter, match="has 1,600 results of 800: rows were read otherwise"):
        aggregate(folder)
