"""Fixtures shared by all tests. Each test keeps its state in a folder of its own."""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import itertools
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import forks, proved_once

# Tiny models gain nothing from threads, and engines under test must not fight for the cores.
os.environ["OMP_NUM_THREADS"] = "1"

STUCK_S = 400.0  # by then pytest-timeout has failed the test, unless it is stuck outside Python
RARELY = (100_000, 10, 10)  # Python's own are (700, 10, 10)
FOLDERS = itertools.count()
STDERR = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    assert sys.__stderr__ is not None
    gc.disable()  # until all is imported
    config.stash[STDERR] = os.dup(sys.__stderr__.fileno())  # before it is captured
    proofs = contextlib.ExitStack()
    proofs.enter_context(
        proved_once.folder_of_proofs()
    )  # xdist's processes share that of the first
    config.add_cleanup(proofs.close)


def pytest_collection_finish() -> None:
    _keep_what_lives()
    gc.set_threshold(*RARELY)
    gc.enable()


def _keep_what_lives() -> None:
    """What was imported, and the models that tests share, live on: to look through them for garbage again and
    again, as each plan and each refusal for want of room does, is a sixth of the time."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Iterator[object]:
    """Programs that tests start by ``forks.program`` are forks of this process as it is now."""
    if not getattr(session, "items", ()):  # xdist's controller
        return (yield)
    with proved_once.shared(), forks.served():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """A test that no exception ends ends its process, with the stacks on standard error."""
    faulthandler.dump_traceback_later(STUCK_S, exit=True, file=item.config.stash[STDERR])
    proved_once.anew[0] = proved_once.is_about_proofs(item.path)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()
        if nextitem is not None and nextitem.path != item.path:
            _keep_what_lives()


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the test's own. To number it, pytest's reads the names of all that there are, each time."""
    name = re.sub(r"\W", "_", request.node.name)[:26]
    folder = tmp_path_factory.getbasetemp() / f"{name}{next(FOLDERS):05}"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERPBOARD_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("INTERPBOARD_CONFIG", str(tmp_path / "config.toml"))


@pytest.fixture
def changed_on_purpose(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets runs of ours be made of a model that somebody has changed since it was opened."""
    from interpboard.models.as_opened import AsOpened

    monkeypatch.setattr(AsOpened, "require", lambda _self: None)
