"""What the real engine answered the app on the demo model, and an engine that plays it back.

    python -m tests.tui.recorded

records it anew through a real process, where the app asks something else or is answered otherwise.
The file holds frames of the protocol, as the pipe carries them: a request, then its last event.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec

from interpboard.engine import protocol
from interpboard.engine.client import EngineClient
from tests.tui.fake import FakeEngine

FILE = Path(__file__).with_name("recorded.frames.gz")
# One exploration: everything in sight, then what it leads to.
MARK = ("1", "g", "l", "s", "l", "s")
SWITCH_OFF = ("2", "space", "h", "space")
OTHERS = ("V", "q", "3", "s", "s", "s", "s", "s")


def played() -> Iterator[tuple[protocol.EngineRequest, protocol.Event]]:
    """The requests of the file with their events."""
    stream = BytesIO(gzip.decompress(FILE.read_bytes()))
    while (asked := protocol.read_frame(stream)) is not None:
        answer = protocol.read_frame(stream)
        assert answer is not None
        yield protocol.decode_request(asked), protocol.decode_event(answer)


class RecordedEngine(FakeEngine):
    """Answers what was recorded, and nothing else."""

    def __init__(self, listener: Any) -> None:
        super().__init__(listener)
        self.known = {protocol.frame(request): event for request, event in played()}

    def event_of(self, request: Any) -> Any:
        if isinstance(request, protocol.Load):
            self.loaded = request.model
        event = self.known.get(protocol.frame(request))
        if event is None:
            raise KeyError(f"not recorded: {request}. Try: python -m tests.tui.recorded")
        return event


class Recorder(EngineClient):
    """The real engine; the last event of each request is kept."""

    def __init__(self, listener: Any) -> None:
        super().__init__(listener)
        self.pairs: dict[bytes, bytes] = {}

    def _finish(self, job: Any, event: Any) -> None:
        if not isinstance(event, protocol.Stopped):
            asked = msgspec.structs.replace(job.request, job=0)
            self.pairs[protocol.frame(asked)] = protocol.frame(
                msgspec.structs.replace(event, job=0)
            )
        super()._finish(job, event)


async def record() -> None:
    """Explore with the real engine and write the file."""
    from tui.app import InterpBoardApp
    from tui.testing.wait_until_idle import wait_until_idle

    app = InterpBoardApp(engine_factory=Recorder)
    async with app.run_test(size=(200, 60)) as pilot:
        await wait_until_idle(app)
        for key in (*MARK, *SWITCH_OFF, *OTHERS):
            await pilot.press(key)
            await wait_until_idle(app)
        engine = app.session.engine
        assert isinstance(engine, Recorder)
        frames = b"".join(part for pair in engine.pairs.items() for part in pair)
    FILE.write_bytes(gzip.compress(frames, mtime=0))
    print(f"{len(engine.pairs)} answers, {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    asyncio.run(record())
