"""An engine that says what no client can read, by the name of what is wrong with it.

It greets, hears its first job and answers that. ``python -m tests.engine.broken_worker FATE``.
"""

from __future__ import annotations

import sys
import time

import msgspec

from interpboard.engine import protocol

FATES = {
    "no msgpack": b"\xc1\xc1\xc1",
    "an unknown event": msgspec.msgpack.encode({"type": "sorcery", "job": 1}),
    "a field of another type": msgspec.msgpack.encode({"type": "stopped", "job": "one"}),
    "an array that does not fit": msgspec.msgpack.encode(
        {
            "type": "progress", "job": 1, "done": 1, "total": 2,
            "partial": {"axes": [{"name": "a", "labels": ["1"]}],
                        "values": {"dtype": "<f8", "shape": [7], "raw": b"12345678"}},
        }
    ),
}  # fmt: skip


def main(fate: str) -> None:
    """Greet, hear one job, say what is wrong."""
    out = sys.stdout.buffer
    if fate == "another version":
        out.write(protocol.frame(protocol.Hello(1, version="0.2.0")))
    elif fate == "no version":
        payload = msgspec.msgpack.encode({"type": "hello", "pid": 1, "version": "0.0.9"})
        out.write(protocol.HEADER.pack(len(payload)) + payload)
    else:
        out.write(protocol.frame(protocol.Hello(1)))
    out.flush()
    while True:  # the greeting, then a job
        payload = protocol.read_frame(sys.stdin.buffer)
        if payload is None:
            return
        if not isinstance(protocol.decode_request(payload), protocol.Greeting):
            break
    if fate == "an endless frame":
        out.write(protocol.HEADER.pack(0xFFFFFFFF))
    else:
        said = FATES[fate]
        out.write(protocol.HEADER.pack(len(said)) + said)
    out.flush()
    time.sleep(60)  # it does not end by itself


if __name__ == "__main__":
    main(sys.argv[1])
