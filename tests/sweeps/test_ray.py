"""On Ray: two workers, or two nodes of which one dies, give what one process gives."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow
import pytest
import torch

from interpboard.errors import BadParameter, UnknownModel, WorkerLost
from interpboard.models import language_model
from interpboard.models.language_model import open_model
from interpboard.sweeps.folder import SweepFolder
from interpboard.sweeps.on_ray import RowWorker, hear
from interpboard.sweeps.pace import SweepPace
from interpboard.sweeps.sweep import sweep
from tests.tiny import tiny_model, tiny_tokenizer

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # Ray's word for "this machine alone"
ray = pytest.importorskip("ray", reason="Ray is not installed")
ROWS = 96


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that every worker can open."""
    folder = tmp_path_factory.mktemp("model")
    tiny_model("gpt2", torch.float64).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "rows.jsonl"
    words = ("Paris", "Rome", "France", "Italy", "Mary", "John")
    rows = [{"text": f"{words[i % 6]} is the city of {words[i % 5]} and"} for i in range(ROWS)]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def here(model: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> SweepFolder:
    out = tmp_path_factory.mktemp("here") / "out"
    sweep(open_model(model, dtype="float64"), data, ["head_ablation"], out)
    return SweepFolder.open(out)


@pytest.fixture
def two_nodes() -> Iterator[object]:
    """A cluster of a head without work and two nodes of one worker each, on 127.0.0.1 alone."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "node_ip_address": "127.0.0.1", "include_dashboard": False},
    )
    nodes = [cluster.add_node(num_cpus=1, node_ip_address="127.0.0.1") for _ in range(2)]
    cluster.wait_for_nodes()
    try:
        yield cluster, nodes
    finally:
        ray.shutdown()
        cluster.shutdown()


def same(one: SweepFolder, other: SweepFolder) -> None:
    left, right = (sorted(f.results(), key=lambda r: r.row) for f in (one, other))
    assert [r.id for r in left] == [r.id for r in right]
    assert len({r.id for r in left}) == ROWS
    for a, b in zip(left, right, strict=True):
        np.testing.assert_allclose(a.values, b.values, atol=1e-10, rtol=0)


def test_what_a_worker_fails_by_reaches_the_user_as_one_line_of_ours(
    here: SweepFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = pyarrow.table({"shard": ["nowhere"]})
    nowhere = RowWorker({"name_or_path": str(tmp_path / "nowhere")}, str(here.path))
    with pytest.raises(UnknownModel, match="nowhere"):
        hear(SweepPace(None), nowhere(batch))
    other = tiny_model("gpt2", torch.float64, seed=1)
    other.save_pretrained(tmp_path / "other")
    tiny_tokenizer().save_pretrained(tmp_path / "other")
    with pytest.raises(BadParameter, match="not the model that the sweep began with"):
        hear(
            SweepPace(None),
            RowWorker({"name_or_path": str(tmp_path / "other")}, str(here.path))(batch),
        )

    def broken(*_args: object, **_options: object) -> object:
        raise TypeError("no such thing\n  in a second line")

    monkeypatch.setattr(language_model, "open_model", broken)
    with pytest.raises(WorkerLost) as caught:
        hear(SweepPace(None), RowWorker({}, str(here.path))(batch))
    assert str(caught.value) == (
        "A worker failed by TypeError: no such thing. What was computed stays; --workers 1 says more."
    )


def test_an_address_where_no_cluster_is_is_said_at_once(
    model: Path, data: Path, tmp_path: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(WorkerLost, match=f"No Ray cluster answers at {address}"):
            sweep(open_model(model), data, ["logit_lens"], tmp_path / "out", ray=address)


def test_a_node_that_dies_in_the_middle_costs_nothing(
    model: Path, data: Path, here: SweepFolder, two_nodes: tuple, tmp_path: Path
) -> None:
    cluster, nodes = two_nodes
    paces: list[SweepPace] = []
    out = tmp_path / "out"
    killed = threading.Event()

    def kill_one() -> None:
        while not list((out / "rows").glob("*.parquet")):  # the first part is there
            time.sleep(0.02)
        cluster.remove_node(nodes[1], allow_graceful=False)
        killed.set()

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    sweep(
        open_model(model, dtype="float64"), data, ["head_ablation"], out,
        workers=2, ray=cluster.address,
        opening={"name_or_path": str(model), "dtype": "float64"}, on_pace=paces.append,
    )  # fmt: skip
    assert killed.is_set()
    assert paces[-1].rows == ROWS
    same(here, SweepFolder.open(out))
    means = [
        json.loads((f.path / "aggregate.json").read_text()) for f in (here, SweepFolder.open(out))
    ]
    np.testing.assert_allclose(*(m["results"][0]["values"] for m in means), atol=1e-10)
