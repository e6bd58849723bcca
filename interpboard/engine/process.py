"""One engine process: its pipe, its log, its end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from interpboard.engine import protocol
from interpboard.files.atomic import open_private

_LOG_LINES = 40
END_GRACE_S = 2.0


@dataclass
class EngineProcess:
    """Started by ``spawn``; ``read`` hands over its events until it ends and gives the exit code."""

    process: asyncio.subprocess.Process
    log_path: Path
    log_start: int
    killed: bool = False  # by us: its end is no news
    fault: str = ""  # why we ended it although nobody asked for it: that is news

    @classmethod
    async def spawn(cls, command: Sequence[str], log_path: Path) -> EngineProcess:
        """Start ``command`` with its standard error appended to the log."""
        with open(log_path, "ab", opener=open_private) as log:
            start = log.tell()
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # the terminal's ctrl+c and hang-up are the app's business
            )
            return cls(process, log_path, start)

    @property
    def pid(self) -> int | None:
        """Process id, None once it has ended."""
        return self.process.pid if self.process.returncode is None else None

    def send(self, request: protocol.EngineRequest) -> None:
        """Write a request. To a process that is gone it is lost: ``read`` ends and says so."""
        stdin = self.process.stdin
        if stdin is None or stdin.is_closing():
            return
        with contextlib.suppress(ConnectionError):
            stdin.write(protocol.frame(request))

    async def read(self, take: Callable[[protocol.Event], None]) -> int:
        """Hand every event to ``take``; at the end of the stream wait for the exit code.

        A process that says what cannot be read is ended: nothing that it says later could be trusted.
        """
        stdout = self.process.stdout
        assert stdout is not None
        try:
            while True:
                header = await stdout.readexactly(protocol.HEADER.size)
                payload = await stdout.readexactly(protocol.size_of(header))
                event = protocol.decode_event(payload)
                try:
                    take(event)
                except Exception as error:  # noqa: BLE001 - a listener's fault must not end the reading
                    loop = asyncio.get_running_loop()
                    context = {"message": "a listener failed", "exception": error}
                    loop.call_exception_handler(context)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the process is gone or going
        except protocol.BadFrame as error:
            self.end_for(f"it sent {error}")
        return await self.process.wait()

    def end_for(self, fault: str) -> None:
        """End it at once, for ``fault``: its death will be told with this reason."""
        self.fault = fault
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()

    async def kill(self) -> None:
        """End it at once and wait until it has."""
        self.killed = True
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()

    async def end(self) -> None:
        """Ask it to end, and kill it if it does not."""
        self.send(protocol.Shutdown())
        with contextlib.suppress(OSError):
            if self.process.stdin is not None:
                self.process.stdin.close()
        try:
            await asyncio.wait_for(self.process.wait(), END_GRACE_S)
        except TimeoutError:
            await self.kill()

    def log_tail(self) -> tuple[str, ...]:
        """The last lines this process wrote to the log."""
        try:
            with open(self.log_path, "rb") as log:
                log.seek(self.log_start)
                lines = log.read().decode(errors="replace").splitlines()
        except OSError as error:
            return (f"no log: {error}",)
        return tuple(lines[-_LOG_LINES:])
