"""On Ray: two workers, or two nodes of which one dies, give what one process gives."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from interpboard.errors import WorkerLost
from interpboard.models.language_model import open_model
from interpboard.sweeps.folder import SweepFolder
from interpboard.sweeps.pace import SweepPace
from interpboard.sweeps.sweep import sweep
from tests.sweeps.swept_by_workers import ROWS, data, here, model, same

__all__ = ["data", "here", "model"]

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # Ray's word for "this machine alone"
ray = pytest.importorskip("ray", reason="Ray is not installed")


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
    at_sigterm = set()
    out = tmp_path / "out"

    def hear(pace: SweepPace) -> None:
        paces.append(pace)
        at_sigterm.add(signal.getsignal(signal.SIGTERM))

    killed = threading.Event()

    def kill_one() -> None:
        while not list((out / "rows").glob("*.parquet")):  # the first part is there
            time.sleep(0.02)
        cluster.remove_node(nodes[1], allow_graceful=False)
        killed.set()

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    of_the_cluster = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sweep(
        open_model(model, dtype="float64"), data, ["head_ablation"], out,
        workers=2, ray=cluster.address,
        opening={"name_or_path": str(model), "dtype": "float64"}, on_pace=hear,
    )  # fmt: skip
    assert killed.is_set()
    assert len(at_sigterm) == 1  # Ray has not taken the signal
    assert signal.signal(signal.SIGTERM, of_the_cluster) == signal.SIG_DFL not in at_sigterm
    assert paces[-1].rows == ROWS
    same(here, SweepFolder.open(out))
    means = [
        json.loads((f.path / "aggregate.json").read_text()) for f in (here, SweepFolder.open(out))
    ]
    np.testing.assert_allclose(*(m["results"][0]["values"] for m in means), atol=1e-10)
