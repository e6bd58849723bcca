"""The engine process, measured over its real pipe: start, first results, and how soon a cancel is heard.

    python -m benchmarks.engine

The demo model on a prompt that fills its context, so that every step of a job is as long as it gets.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.lines import measured_where
from interpboard.engine import protocol
from interpboard.engine.client import EngineClient, Lost

ROUNDS = 10
# What a head switched off in the app asks: top tokens, metric and lens, clean and edited.
HELD = {
    "what_if, one head off": {"interventions": "0.3=zero"},
    "what_if, three heads off": {"interventions": "0.3=zero; 0.2=zero; 0.1=zero"},
}
PROMPT = "The Eiffel Tower is located in the city of"


class Clock:
    """When each slot last got each kind of event; ``until`` waits for one."""

    def __init__(self) -> None:
        self.news = asyncio.Event()
        self.seen: dict[tuple[str, str], float] = {}

    def __call__(self, slot: str, event: protocol.Event | Lost) -> None:
        self.seen[slot, type(event).__name__] = time.perf_counter()
        self.news.set()

    async def until(self, slot: str, kind: str) -> float:
        while (slot, kind) not in self.seen:
            self.news.clear()
            await self.news.wait()
        return self.seen.pop((slot, kind))


async def measure(folder: Path) -> dict[str, list[float]]:
    """Milliseconds, by what was measured."""
    clock = Clock()
    client = EngineClient(clock, log_path=folder / "log")
    figures: dict[str, list[float]] = {}
    started = time.perf_counter()
    await client.start()
    client.load("demo")
    figures["start to ready"] = [await clock.until("model", "Ready") - started]
    asks: dict[str, dict[str, str]] = {
        "predictions": {}, "integrated_gradients": {}, "logit_lens": {}, "head_ablation": {}, **HELD,
    }  # fmt: skip
    for name, params in asks.items():
        analysis = name.partition(",")[0]
        took = figures.setdefault(f"request to result, {name}", [])
        for _ in range(ROUNDS):
            asked = time.perf_counter()
            client.run(analysis, analysis, PROMPT, params=params)
            took.append(await clock.until(analysis, "Finished") - asked)
    long_prompt = " ".join([PROMPT] * 28)
    heard = figures.setdefault("cancel to stopped, in a job of the longest steps", [])
    for _ in range(ROUNDS):
        clock.seen.clear()  # of the round before, whose last progress nobody took
        client.run("slow", "head_ablation", long_prompt)
        await clock.until("slow", "Progress")
        asked = time.perf_counter()
        client.cancel("slow")
        heard.append(await clock.until("slow", "Stopped") - asked)
    await client.stop()
    return {name: [1000 * value for value in values] for name, values in figures.items()}


def main() -> None:
    """Measure and print a table."""
    print(f"{measured_where()}\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(measure(Path(folder)))
    print("| engine | median ms | worst ms |\n|---|---|---|")
    for name, values in figures.items():
        print(f"| {name} | {statistics.median(values):.1f} | {max(values):.1f} |")


if __name__ == "__main__":
    main()
