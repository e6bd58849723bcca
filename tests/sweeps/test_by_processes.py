"""By processes of this machine: what one process gives, whoever of them dies in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from msgspec.structs import replace

from interpboard.cli import sweeping
from interpboard.cli.compute import ModelChoice
from interpboard.datasets.dataset import open_dataset
from interpboard.errors import BadParameter, MissingPackage, UnknownModel, WorkerLost
from interpboard.models import language_model
from interpboard.models.language_model import open_model
from interpboard.sweeps import by_processes, on_ray
from interpboard.sweeps.by_processes import needs_ray, threads_of_each, worker_processes
from interpboard.sweeps.folder import SweepFolder
from interpboard.sweeps.on_ray import check_cluster
from interpboard.sweeps.pace import SweepPace
from interpboard.sweeps.request import sweep_request
from interpboard.sweeps.shard_worker import OpenedModel, ShardWorker
from interpboard.sweeps.shards import Shards, rows_a_shard
from interpboard.sweeps.standing import SweepWorkers, read_standing
from interpboard.sweeps.sweep import begin_sweep, sweep
from tests.forks import program
from tests.sweeps.swept_by_workers import ROWS, data, here, model, same
from tests.tiny import tiny_model, tiny_tokenizer

__all__ = ["data", "here", "model"]


def children_that_work() -> list[int]:
    """The processes of ours that go through shards."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            line = (place / "cmdline").read_bytes()
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if b"worker_process" in line and parent == os.getpid():
            found.append(int(place.name))
    return found


@pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="processes are looked for in /proc"
)
def test_a_worker_that_is_killed_costs_nothing_and_is_told(
    model: Path, data: Path, here: SweepFolder, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    paces: list[SweepPace] = []

    def kill() -> None:
        shards = out / ".rows-to-do"
        while not list(shards.glob("*.taken-1")):  # it is at a shard of its own
            time.sleep(0.002)
        for child in children_that_work():
            os.kill(child, signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    with worker_processes(1) as beside:
        killer.start()

        def wait_for_it(pace: SweepPace) -> None:
            paces.append(pace)
            if killer.is_alive() and pace.computed:  # this process leaves it something to take
                killer.join(60)

        sweep(
            open_model(model, dtype="float64"), data, ["head_ablation"], out, workers=2,
            opening={"name_or_path": str(model), "dtype": "float64"},
            beside=beside, on_pace=wait_for_it,
        )  # fmt: skip
    assert paces[-1].rows == ROWS
    assert paces[-1].lost == ["a worker was ended by SIGKILL"]
    same(here, SweepFolder.open(out))
    standing = read_standing(out)
    assert standing is not None
    assert standing.by == SweepWorkers(2)
    assert not (out / ".rows-to-do").exists()


def test_workers_that_are_left_alone_write_what_they_have_and_the_rest_is_gone_on_with(
    model: Path, data: Path, here: SweepFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_processes, "COMMAND", program("interpboard.sweeps.worker_process"))
    lm, dataset, out = open_model(model, dtype="float64"), open_dataset([data]), tmp_path / "out"
    folder = begin_sweep(lm, dataset, sweep_request(["head_ablation"]), out)
    shards, pace = Shards.of(folder), SweepPace(ROWS)
    shards.put_down(dataset, folder, folder.finished(), pace, lambda: None, 2)
    with worker_processes(1) as beside:
        beside.begin({"name_or_path": str(model), "dtype": "float64"}, folder)
        while not folder.parts():
            beside.hear(pace, shards, 0.1)
        with pytest.raises(BadParameter, match="Another sweep writes"), folder.alone(wait=0.0):
            pass
        for child in children_that_work():  # as the end of a cluster's job does
            os.kill(child, signal.SIGTERM)
    while beside.working:
        beside.hear(pace, shards, 0.1)
    assert pace.lost == []
    with folder.alone():  # they have ended
        ids = [result.id for result in folder.results()]
    assert len(ids) == len(set(ids)) > 0
    sweep(lm, data, ["head_ablation"], out)
    same(here, SweepFolder.open(out))


def test_one_shard_is_taken_by_one_and_put_back_for_the_others(
    model: Path, data: Path, here: SweepFolder, tmp_path: Path
) -> None:
    folder = SweepFolder(tmp_path, here.manifest)
    (tmp_path / "rows").mkdir()
    shards = Shards.of(folder)
    missing = shards.put_down(
        open_dataset([data]), folder, folder.finished(), SweepPace(ROWS), lambda: None, 3
    )
    assert missing == ROWS
    number = len(shards.places())
    taken: list[Path] = []

    def take_all(worker: int) -> None:
        while (place := shards.take(worker)) is not None:
            taken.append(place)

    threads = [threading.Thread(target=take_all, args=(worker,)) for worker in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len({place.name.partition(".taken")[0] for place in taken}) == number
    of_one = sum(place.name.endswith("-1") for place in taken)
    shards.put_back(1)
    assert len(shards.places()) == of_one


@pytest.mark.parametrize("workers", [2, 3, 7])
def test_shards_become_smaller_to_the_end_and_workers_end_within_one_of_the_last(
    workers: int,
) -> None:
    left, sizes, ends = 1000, [], [0] * workers
    while left:
        sizes.append(min(left, rows_a_shard(left, workers)))
        left -= sizes[-1]
        ends[ends.index(min(ends))] += sizes[-1]
    assert sizes[0] == max(sizes) == 128
    assert sizes[-1] <= 8
    assert sizes == sorted(sizes, reverse=True)
    assert sum(sizes) == 1000
    # The quickest has never waited for longer than the smallest shard takes, and there are few of them.
    assert max(ends) - min(ends) <= 8
    assert sum(size < 64 for size in sizes) <= 4 * workers
    assert rows_a_shard(None, workers) == 128


def test_what_is_left_of_a_sweep_is_divided_and_not_one_shard_of_the_first_size(
    data: Path, here: SweepFolder, tmp_path: Path
) -> None:
    folder = SweepFolder(tmp_path, here.manifest)
    (tmp_path / "rows").mkdir()
    folder.write([result for result in here.results() if result.row < ROWS - 16])
    shards, pace = Shards.of(folder), SweepPace(ROWS)
    missing = shards.put_down(
        open_dataset([data]), folder, folder.finished(), pace, lambda: None, 2
    )
    assert missing == 16
    assert pace.rows == ROWS - 16
    assert len(shards.places()) == 2


def test_where_an_analysis_is_added_to_a_sweep_its_rows_are_in_as_few_shards_as_those_of_a_new_one(
    data: Path, here: SweepFolder, tmp_path: Path
) -> None:
    more = replace(here.manifest.request, analyses=(*here.manifest.request.analyses, "saliency"))
    numbers = []
    for name, manifest, results in (
        ("new", here.manifest, []),
        ("more", replace(here.manifest, request=more), list(here.results())),
    ):
        (tmp_path / name / "rows").mkdir(parents=True)
        folder = SweepFolder(tmp_path / name, manifest)
        folder.write(results)
        shards, pace = Shards.of(folder), SweepPace(ROWS)
        finished = folder.finished()
        dataset = open_dataset([data])
        assert shards.put_down(dataset, folder, finished, pace, lambda: None, 2) == ROWS
        numbers.append(len(shards.places()))
    assert numbers[0] == numbers[1] > 1


def test_what_a_worker_fails_by_reaches_the_user_as_one_line_of_ours(
    here: SweepFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(opening: dict[str, str]) -> None:
        worker = ShardWorker(OpenedModel.of(opening), str(here.path))
        worker.worked(Path("nowhere")).heard_by(SweepPace(None))

    with pytest.raises(UnknownModel, match="nowhere"):
        told({"name_or_path": str(tmp_path / "nowhere")})
    other = tiny_model("gpt2", torch.float64, seed=1)
    other.save_pretrained(tmp_path / "other")
    tiny_tokenizer().save_pretrained(tmp_path / "other")
    with pytest.raises(BadParameter, match="not the model that the sweep began with"):
        told({"name_or_path": str(tmp_path / "other")})

    def broken(*_args: object, **_options: object) -> object:
        raise TypeError("no such thing\n  in a second line")

    monkeypatch.setattr(language_model, "open_model", broken)
    with pytest.raises(WorkerLost) as caught:
        told({})
    assert str(caught.value) == (
        "A worker failed by TypeError: no such thing. What was computed stays; --workers 1 says more."
    )


def test_ray_is_asked_for_other_machines_and_shared_gpus_alone() -> None:
    assert not needs_ray(8, 0.0, "")
    assert not needs_ray(1, 1.0, "")
    assert needs_ray(8, 0.5, "")
    assert needs_ray(1, 0.0, "127.0.0.1:6379")


def test_gpus_that_are_not_there_are_refused_and_not_made_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    check_cluster(4, 0.0, "")
    for workers in (1, 4):
        with pytest.raises(BadParameter, match=r"no GPU.*--gpus-per-worker"):
            check_cluster(workers, 1.0, "")
    check_cluster(4, 1.0, "10.0.0.1:6379")  # of other machines
    with pytest.raises(BadParameter, match=r"not 1\.5"):
        check_cluster(4, 1.5, "10.0.0.1:6379")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    check_cluster(2, 1.0, "")
    check_cluster(6, 0.3, "")  # three on each
    with pytest.raises(
        BadParameter, match=r"7 workers with 0\.3 GPUs each need 3, this machine has 2"
    ):
        check_cluster(7, 0.3, "")
    with pytest.raises(BadParameter, match="need 4"):
        check_cluster(2, 2.0, "")
    monkeypatch.setattr(on_ray, "find_spec", lambda _name: None)
    check_cluster(1, 1.0, "")  # this process has it
    for given in ((2, 1.0, ""), (1, 0.0, "10.0.0.1:6379")):
        with pytest.raises(MissingPackage, match="need Ray"):
            check_cluster(*given)


def test_workers_share_the_cores_unless_the_user_said_how_many_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert threads_of_each(2) == 3
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)))
    assert [threads_of_each(workers) for workers in (1, 2, 3, 16)] == [8, 4, 2, 1]


def test_the_others_open_the_model_while_this_process_does_and_once(
    here: SweepFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    class Sent:
        def __init__(self, number: int, *_: object) -> None:
            self.open, self.begin = asked.append, asked.append

        def leave(self) -> None:
            asked.append("left")

        end = leave

    class Opened(Exception):
        """This process is at its model."""

    def at_its_model(*_: object) -> None:
        assert [type(own) for own in asked] == [dict]
        raise Opened

    monkeypatch.setattr(by_processes, "_Worker", Sent)
    monkeypatch.setattr(sweeping, "opened", at_its_model)
    with pytest.raises(Opened):
        sweeping.swept(
            ModelChoice("demo"), open_dataset(["ioi"]), sweep_request(["logit_lens"]), tmp_path,
            level=0.95, workers=2, gpus_per_worker=0.0, ray="", debug=True,
        )  # fmt: skip
    assert asked[1:] == ["left", "left"]
    asked.clear()
    beside = by_processes.WorkerProcesses(2)
    beside.open({"name_or_path": "demo"})
    beside.begin({"name_or_path": "demo"}, here)
    assert asked == [{"name_or_path": "demo"}] * 2 + [here] * 2


def test_the_others_begin_before_torch_is_imported() -> None:
    said = "import interpboard.sweeps.by_processes, sys; print('torch' in sys.modules)"
    assert subprocess.run(
        [sys.executable, "-c", said], capture_output=True, text=True, check=True
    ).stdout == "False\n"  # fmt: skip
