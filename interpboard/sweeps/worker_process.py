"""A process that goes through shards beside another: ``python -m interpboard.sweeps.worker_process``.

It imports what it needs as soon as it starts, reads from standard input which model it will be and opens it,
and then what is asked of it (pickled words of ``open_model`` and a ``ShardOrder``, from the process that
started it). It takes shards until there are none, and says on standard output how each went. Where standard
input ends, who asked is gone: it writes what it has computed, and ends. SIGTERM, which the end of a cluster's
job sends to every process of it, is for who asked.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import msgspec

from interpboard.config.garbage import look_as_usual, look_seldom


class ShardOrder(NamedTuple):
    """The folder of the sweep, and the number by which shards are taken."""

    folder: str
    number: int


def main() -> None:
    """Work until nothing is left, or nobody asks any more."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    said = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no word of ours
    look_seldom()
    import interpboard.models.language_model
    import interpboard.sweeps.row_work  # noqa: F401 - while the other process opens its model
    from interpboard.errors import Cancelled
    from interpboard.runs.watch import Watch
    from interpboard.sweeps.folder import SweepFolder
    from interpboard.sweeps.shard_worker import OpenedModel, ShardWorker
    from interpboard.sweeps.shards import Shards
    from interpboard.sweeps.told import Told

    try:
        opening: Mapping[str, Any] = pickle.load(sys.stdin.buffer)
        opened = OpenedModel.of(opening)
        order: ShardOrder = pickle.load(sys.stdin.buffer)
    except EOFError:
        return
    left_alone = threading.Event()
    threading.Thread(target=_wait_for_the_end, args=(left_alone,), daemon=True).start()

    def tell(told: Told) -> None:
        write_answer(said, msgspec.msgpack.encode(told))

    folder = SweepFolder.open(Path(order.folder))
    with folder.among_workers():
        worker = ShardWorker(opened, order.folder, Watch(cancelled=left_alone.is_set))
        look_as_usual()
        if worker.failed is not None:
            tell(Told(failed=worker.failed))
            return
        shards = Shards.of(folder)
        while not left_alone.is_set() and (place := shards.take(order.number)) is not None:
            try:
                told = worker.worked(place)
            except Cancelled:
                return
            if told.failed is None:
                place.unlink(missing_ok=True)
            tell(told)
            if told.failed is not None:
                return


def write_answer(pipe: IO[bytes], payload: bytes) -> None:
    """``payload`` behind its length."""
    pipe.write(len(payload).to_bytes(4, "big") + payload)
    pipe.flush()


def read_answer(pipe: IO[bytes]) -> bytes | None:
    """What ``write_answer`` wrote; None at the end, or where the other side broke off."""
    head = pipe.read(4)
    size = int.from_bytes(head, "big")
    payload = pipe.read(size) if len(head) == 4 else b""
    return payload if payload and len(payload) == size else None


def _wait_for_the_end(left_alone: threading.Event) -> None:
    while os.read(0, 1):
        pass
    left_alone.set()


if __name__ == "__main__":
    try:
        main()
        os._exit(0)  # all is written and said: torch's modules need not be taken apart
    except BrokenPipeError:  # nobody listens any more
        os._exit(1)
