"""Started by tests in place of ``python -m MODULE``: the module runs in a fork of the tests' process.

Standard library only, and few of it: this process takes 20 ms. Its streams become the fork's; signals go on
to it; when this process is killed the fork is too, and as the fork ends, so does this process.
``tests/forks.py`` makes the fork and says when it serves.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import sys
from types import FrameType

FORWARDED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGCONT")


def main(path: str, module: str, *args: str) -> None:
    """Ask the server at ``path`` for a fork that runs ``module``, and end as it ends."""
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(path)
        asked = {"module": module, "args": args, "cwd": os.getcwd(), "env": dict(os.environ)}
        payload = json.dumps(asked).encode()
        socket.send_fds(server, [struct.pack("!I", len(payload))], [0, 1, 2])
        server.sendall(payload)
        pid = read_number(server)

        def forward(number: int, _frame: FrameType | None) -> None:
            os.kill(pid, number)

        for name in FORWARDED:
            signal.signal(getattr(signal, name), forward)
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):  # whoever reads them sees their end when the fork ends
            os.dup2(nothing, stream)
        status = read_number(server)
    if status < 0:
        signal.signal(-status, signal.SIG_DFL) if -status != signal.SIGKILL else None
        os.kill(os.getpid(), -status)
    os._exit(status)


def read_number(server: socket.socket) -> int:
    """The next number that the server says; without one this process ends."""
    said = b""
    while len(said) < 4:
        part = server.recv(4 - len(said))
        if not part:
            os._exit(1)
        said += part
    number: int = struct.unpack("!i", said)[0]
    return number


if __name__ == "__main__":
    main(*sys.argv[1:])
