"""Tasks one after another in one process, timed on a device that works behind the host's back."""

from __future__ import annotations

import gc
import json
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch


class Bench:
    """Says lines of JSON, each with the ``card`` and the load. ``failed``: what was wrong in this task."""

    def __init__(self, device: str, card: str) -> None:
        self.device, self.card = device, card
        self.failed: list[str] = []

    def say(self, **line: Any) -> None:
        """One line of JSON."""
        print(
            json.dumps({**line, "card": self.card, "load": round(os.getloadavg()[0], 2)}),
            flush=True,
        )

    def run(self, number: int, of: int, name: str, task: Callable[..., None], *given: Any) -> None:
        """A task; one that fails does not end the others. Its parent hears of its begin and its end."""
        self.failed = []
        self.say(begins=number, of=of, task=name)
        try:
            task(self, *given)
        except Exception as error:  # noqa: BLE001  the other measurements count; the end is non-zero
            self.failed.append(name)
            self.say(task=name, error=f"{type(error).__name__}: {error}"[:400])
        self.say(ended=number, failed=self.failed)
        gc.collect()
        if self.device != "cpu":
            torch.cuda.empty_cache()

    def timed(self, do: Callable[[], Any]) -> tuple[float, int, Any]:
        """Seconds, bytes above what was held before, and what it gave."""
        self.settle()
        held = self._allocated(reset=True)
        started = time.perf_counter()
        given = do()
        self.settle()
        seconds = time.perf_counter() - started
        return seconds, self._allocated(peak=True) - held, given

    def settle(self) -> None:
        """Wait for the device."""
        if self.device != "cpu":
            torch.cuda.synchronize()

    def _allocated(self, reset: bool = False, peak: bool = False) -> int:
        if self.device == "cpu":
            return 0
        if reset:
            torch.cuda.reset_peak_memory_stats()
        return torch.cuda.max_memory_allocated() if peak else torch.cuda.memory_allocated()


def in_turns(bench: Bench, rounds: int, **engines: Callable[[], Any]) -> dict[str, Any]:
    """First and best seconds and peak MiB of each, A B A B."""
    took: dict[str, list[float]] = {name: [] for name in engines}
    peaks: dict[str, int] = {}
    for _ in range(rounds):
        for name, do in engines.items():
            seconds, peak, _ = bench.timed(do)
            took[name].append(seconds)
            peaks[name] = max(peak, peaks.get(name, 0))
    return {
        name: {"first": round(all_[0], 4), "best": round(min(all_), 4),
               "peak_mib": round(peaks[name] / 2**20)}
        for name, all_ in took.items()
    }  # fmt: skip


def off(found: Any, expected: Any) -> float:
    """The largest difference as a share of the largest expected value."""
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    return float(np.abs(found - expected).max() / np.abs(expected).max())
