"""A real engine process on a tiny model, and a recorder of what it says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from interpboard.engine import protocol
from interpboard.engine.client import EngineClient, Lost
from interpboard.engine.protocol import Event
from tests.forks import program
from tests.tiny import save_tiny

SLOW = "tests.engine.slow_worker"


class Recorder:
    """Keeps every event; ``until`` waits for one of a kind."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Event | Lost]] = []
        self._news = asyncio.Event()

    def __call__(self, slot: str, event: Event | Lost) -> None:
        self.events.append((slot, event))
        self._news.set()

    def of(self, slot: str, kind: type) -> list:
        return [event for where, event in self.events if where == slot and isinstance(event, kind)]

    async def until(self, slot: str, kind: type, count: int = 1):
        async with asyncio.timeout(60):
            while len(self.of(slot, kind)) < count:
                failed = self.of(slot, protocol.Failed)
                assert kind is protocol.Failed or not failed, failed[0].traceback
                self._news.clear()
                await self._news.wait()
        return self.of(slot, kind)[count - 1]


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny") / "gpt2")


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest_asyncio.fixture(loop_scope="module")
async def new_engine(recorder: Recorder, tiny_folder: Path) -> AsyncIterator[EngineClient]:
    """A process of its own, for tests that kill it; the tiny model is loaded."""
    client = EngineClient(recorder, command=program(SLOW))
    await client.start()
    client.load(str(tiny_folder))
    await recorder.until("model", protocol.Ready)
    yield client
    await client.stop()


@pytest.fixture(scope="module")
def engine_command() -> tuple[str, ...]:
    """What is started as the engine that a module shares: a fork, which has imported torch."""
    return program(SLOW)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_engine(
    engine_command: tuple[str, ...], tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[EngineClient]:
    """One process for all tests of a module that leave it alive."""
    recorder = Recorder()
    log = tmp_path_factory.mktemp("log") / "engine.log"
    client = EngineClient(recorder, command=engine_command, log_path=log)
    await client.start()
    client.load(str(tiny_folder))
    await recorder.until("model", protocol.Ready)
    yield client
    await client.stop()


@pytest.fixture
def engine(shared_engine: EngineClient, recorder: Recorder) -> EngineClient:
    """The shared process, heard by this test's recorder."""
    shared_engine.listener = recorder
    return shared_engine
