"""Programs under test that start without importing anything: forks of the tests' process.

To import torch and transformers is nine tenths of the start of an engine (4 s of processor time), and tests
start dozens. Where the start itself is not what a test is about, ``program(MODULE)`` is the command to give
in place of ``python -m MODULE``. A server is forked from the tests' process when all tests are collected and
none has run; it forks itself for each program, which so has what the tests import, and nothing that a test
has done. Otherwise a program is a process like any other: own pipes, folder, environment and signals.

What a library reads from the environment as it is imported was read before. Tests of imports, of peaks of
memory and of the command as users start it start real ones.
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import gc
import json
import logging
import os
import runpy
import selectors
import shutil
import signal
import socket
import struct
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path

WHERE = "FORKS_OF_TESTS"  # programs that start programs find the server by it
START = Path(__file__).with_name("forked.py")


def program(module: str, *args: str) -> tuple[str, ...]:
    """The command that runs ``module`` in a fork; in a process of its own where there is no server."""
    path = os.environ.get(WHERE)
    if path is None:
        return (sys.executable, "-m", module, *args)
    return (sys.executable, "-I", "-S", str(START), path, module, *args)


@contextlib.contextmanager
def served() -> Iterator[None]:
    """A server that forks this process as it is now."""
    if (
        sys.platform != "linux"
    ):  # elsewhere a fork of what has loaded torch is not safe, or there is none
        yield
        return
    folder = tempfile.mkdtemp(prefix="forks-")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(f"{folder}/server")
    listening.listen(64)
    ours, theirs = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # of threads: the server uses none of theirs
        pid = os.fork()
    if pid == 0:
        os.close(theirs)
        _Server(listening, ours).serve()
    os.close(ours)
    listening.close()
    os.environ[WHERE] = f"{folder}/server"
    try:
        yield
    finally:
        del os.environ[WHERE]
        os.close(theirs)  # by which the server knows
        os.waitpid(pid, 0)
        shutil.rmtree(folder)


class _Server:
    """Forks, and tells of each fork's end; ends with the process whose end ``owner`` shows."""

    def __init__(self, listening: socket.socket, owner: int) -> None:
        os.setsid()  # ctrl+c is for the tests
        self.listening, self.owner = listening, owner
        self.running: dict[int, tuple[int, socket.socket]] = {}  # by process: what shows its end

    def serve(self) -> None:
        """Until the owner ends."""
        status = 1
        try:
            _forget_the_tests({self.listening.fileno(), self.owner})
            while self._waits():
                pass
            status = 0
        except BaseException:  # noqa: BLE001 - nothing may return into the tests
            traceback.print_exc()
        finally:
            for pid in self.running:
                os.kill(pid, signal.SIGKILL)
            os._exit(status)

    def _waits(self) -> bool:
        with selectors.DefaultSelector() as wait:
            wait.register(self.owner, selectors.EVENT_READ, None)
            wait.register(self.listening, selectors.EVENT_READ, self._fork)
            for pid, (ended, told) in self.running.items():
                wait.register(ended, selectors.EVENT_READ, lambda pid=pid: self._tell(pid))
                wait.register(told, selectors.EVENT_READ, lambda pid=pid: self._kill(pid))
            found = [key.data for key, _ in wait.select()]
        for act in found:
            if act is None:
                return False
            act()
        return True

    def _fork(self) -> None:
        told, _ = self.listening.accept()
        try:
            asked, streams = _read(told)
        except ConnectionError:  # who asked was killed
            told.close()
            return
        pid = os.fork()
        if pid == 0:
            _become(asked, streams)
        for stream in streams:
            os.close(stream)
        _say(told, pid)
        self.running[pid] = os.pidfd_open(pid), told

    def _tell(self, pid: int) -> None:
        _, status = os.waitpid(pid, 0)
        ended, told = self.running.pop(pid)
        _say(told, os.waitstatus_to_exitcode(status))
        os.close(ended)
        told.close()

    def _kill(self, pid: int) -> None:
        if pid in self.running:
            os.kill(pid, signal.SIGKILL)


def _say(told: socket.socket, number: int) -> None:
    with contextlib.suppress(ConnectionError):  # who asked was killed: then the fork is too
        told.sendall(struct.pack("!i", number))


def _read(told: socket.socket) -> tuple[dict, list[int]]:
    head, streams, _, _ = socket.recv_fds(told, 4, 3)
    if len(head) < 4:
        raise ConnectionAbortedError
    (size,) = struct.unpack("!I", head)
    payload = b""
    while len(payload) < size:
        part = told.recv(size - len(payload))
        if not part:
            raise ConnectionAbortedError
        payload += part
    return json.loads(payload), streams


def _forget_the_tests(kept: set[int]) -> None:
    """Pytest's own: its descriptors (xdist waits for the end of one), log handlers, watch and exits."""
    faulthandler.cancel_dump_traceback_later()
    faulthandler.disable()
    logging.root.handlers.clear()
    atexit._clear()
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    for each in sorted(int(name) for name in os.listdir("/proc/self/fd")):
        if each > 2 and each not in kept:
            with contextlib.suppress(OSError):  # the one that listed them
                os.close(each)


def _become(asked: dict, streams: list[int]) -> None:
    """Run a module as ``python -m`` would, and end."""
    status: object = 1
    try:
        for own, stream in enumerate(streams):
            os.dup2(stream, own)
        os.closerange(3, 256)
        gc.set_threshold(700, 10, 10)  # as it is where nobody has set it
        os.chdir(asked["cwd"])
        os.environ.clear()
        os.environ.update(asked["env"])
        sys.stdin = sys.__stdin__ = os.fdopen(0, closefd=False)
        sys.stdout = sys.__stdout__ = os.fdopen(1, "w", closefd=False)
        sys.stderr = sys.__stderr__ = os.fdopen(2, "w", 1, errors="backslashreplace", closefd=False)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.argv = ["-m", *asked["args"]]
        warnings.resetwarnings()
        for each in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", each)
        warnings.filterwarnings(
            "ignore", category=RuntimeWarning, module="runpy"
        )  # imported already
        runpy.run_module(asked["module"], run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as end:
        status = end.code
    except BaseException:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(_code(status))


def _code(status: object) -> int:
    if status is None or isinstance(status, int):
        return status or 0
    print(status, file=sys.stderr, flush=True)
    return 1
