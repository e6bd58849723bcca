"""The terminal app, measured from outside: start, bytes, key latency, idling, memory, imports.

    python -m benchmarks.app            # the table of benchmarks/README.md, about six minutes
    python -m benchmarks.app --quick    # 80x24 only
    python -m benchmarks.app --only keys --sizes 120x40    # parts: paint, rest, moves, toggles, keys

The app runs in a pty of its own with the real engine and the demo model, as in a terminal; what it
writes is counted, not drawn. Bytes are the same on every machine; times are those of this one, and
mean little where others use its cores: the load is printed with them. *First paint* is when the
frames and the prompt have been written. A move's bytes are those of the key itself and then, up to
a quarter of a second of silence, of what follows once the cursor rests: other panes, the engine's
answers. A run of keys costs the first number a key, and the second once.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.app_terminal import RESTED_S, ROOT, Terminal, cpu_s, resident, terminal

SIZES = ((80, 24), (120, 40), (200, 60))
FIRST_KB = dict(zip(SIZES, (40, 60, 100), strict=True))
FRAMES = (b"Tokens", b"Eiffel Tower")
PROMPT = "The Eiffel Tower is located in the city of"
LONG = " ".join([PROMPT] * 28)  # fills the demo model's context: its head grid takes seconds
SUBJECT = "1gs"  # Tokens, the first token, mark it: then Trace has something to show
PANES = ("Tokens", "Heads", "Lens", "Trace", "Attention", "Logits", "Neurons", "Runs")
MOVES = "hljkhljkllhhjjkk"
SCREENS = {"help": "?", "palette": ":", "what if": "i", "export": "e", "circuit": "C", "log": "L"}
BUSY_KEYS = 240
STARTS = 9

MODULES = """
import asyncio, json, sys
from tui.app import InterpBoardApp
from tui.testing.wait_until_idle import wait_until_idle
async def main():
    app = InterpBoardApp()
    async with app.run_test(size=(200, 60)):
        await wait_until_idle(app)
        assert app.state.slots["heads"].result is not None
        heavy = ("torch", "transformers", "safetensors", "tokenizers", "captum", "matplotlib",
                 "interpboard.engine.worker", "interpboard.models", "interpboard.runs")
        print(json.dumps([len(sys.modules), sorted(set(heavy) & set(sys.modules))]))
asyncio.run(main())
"""

Rows = dict[str, str]


def spread(times: list[float]) -> str:
    """Median, 95th and 99th percentile, in milliseconds."""
    if not times:
        return "nothing moved"
    ordered = sorted(times)
    high = (ordered[int(len(ordered) * share)] for share in (0.95, 0.99))
    return ", ".join(f"{each:.1f}" for each in (statistics.median(ordered), *high)) + " ms"


def first_paint(size: tuple[int, int]) -> Rows:
    """From the start of the interpreter to frames and prompt; the least is what other work adds least to."""
    found, used = [], []
    for _ in range(STARTS):
        with terminal(size) as app:
            found.append(app.until(*FRAMES) * 1e3)
            used.append(cpu_s(app.pid) * 1e3)
    said = f"{min(found):.0f}, {statistics.median(found):.0f}, {max(found):.0f} ms"
    return {
        f"start to first paint, least, median, worst of {STARTS} (350 ms)": said,
        f"CPU time until then, least of {STARTS}": f"{min(used):.0f} ms",
    }


def at_rest(size: tuple[int, int]) -> Rows:
    """Bytes of the first screen, of switching, of moves, of screens; idling; memory."""
    rows: Rows = {}
    with terminal(size) as app:
        app.until(*FRAMES)
        app.quiet(0.15)
        frames = len(app.output)
        ready = app.until(b"Paris")
        app.quiet(2.0)
        rows[f"bytes of the first frames ({'/'.join(map(str, FIRST_KB.values()))} kB)"] = kb(frames)
        rows["bytes until every pane is filled"] = kb(len(app.output))
        rows["start to the first result"] = f"{ready:.1f} s"
        for key in SUBJECT:
            app.press(key)
        app.press("4")
        app.quiet(1.5)  # the trace has been computed
        answered: list[float] = []
        for number, pane in enumerate(PANES, start=1):
            app.press("2" if number == 1 else "1")
            switch = app.press(str(number)).all
            moves = [app.press(key, wait=2 * RESTED_S) for key in MOVES]
            moves = [move for move in moves if move.all]
            answered += [move.ms for move in moves]
            rows[f"{number} {pane}: switch; move, then at rest"] = f"{kb(switch)}; " + (
                f"{statistics.median(m.own for m in moves):.0f}, "
                f"{statistics.median(m.all - m.own for m in moves):.0f} B"
                if moves
                else "nothing moves"
            )
        app.press("q")
        rows["key to first byte, nothing running: median, 95, 99 % (5, 15 ms)"] = spread(answered)
        for name, key in SCREENS.items():
            rows[f"opening {name}"] = kb(app.press(key, gap=0.5).all)
            app.press("\x1b", gap=0.5)
        rows.update(idling(app))
    return rows


def moving(size: tuple[int, int]) -> Rows:
    """Bytes once the cursor rests, of each of sixteen moves in each pane: the median, and the most."""
    rows: Rows = {}
    with terminal(size) as app:
        app.until(*FRAMES, b"Paris")
        app.quiet(3.0)
        for key in SUBJECT:
            app.press(key)
        app.press("4", gap=4.0)
        for number, pane in enumerate(PANES, start=1):
            app.press("2" if number == 1 else "1", gap=1.0)
            app.press(str(number), gap=1.5)
            moves = [app.press(key, gap=0.8, wait=2 * RESTED_S) for key in MOVES]
            later = [move.all - move.own for move in moves if move.all]
            said = f"{statistics.median(later):.0f}, {max(later)} of {len(later)}"
            rows[f"{pane}: bytes at rest of a move, median, most (1,300)"] = said
    return rows


def idling(app: Terminal) -> Rows:
    """Five seconds in which nobody does anything."""
    app.quiet(1.0)
    used, start, written = cpu_s(app.pid), time.perf_counter(), 0
    while time.perf_counter() - start < 5:
        written += len(app.read(0.5))
    share = (cpu_s(app.pid) - used) / 5
    return {
        "idle, 5 s: bytes, CPU (0 B, 0.30 %)": f"{written} B, {share:.2%}",
        "memory of the app's process (80 MiB)": f"{resident(app.pid):.0f} MiB",
    }


def toggling(size: tuple[int, int]) -> Rows:
    """A head switched off and on again: from the key to what the edited run says, on the screen."""
    with terminal(size) as app:
        app.until(b"Paris")
        app.quiet(2.0)
        app.press("2")
        times: list[float] = []
        for _ in range(12):
            seen = len(app.output)
            start = time.perf_counter()
            os.write(app.fd, b" ")
            while b"says" not in app.output[seen:] and time.perf_counter() - start < 2:
                app.read(0.05)
            times.append((time.perf_counter() - start) * 1e3)
            app.quiet(RESTED_S)
            app.press(" ")
            app.press("l")
    return {
        "a head off: key to the edited run on the screen, median, 95, 99 % of 12 (100 ms)": spread(
            times
        )
    }


def at_work(size: tuple[int, int]) -> Rows:
    """Keys in the grid of heads while it is computed, on a prompt that fills the context."""
    with terminal(size, LONG) as app:
        app.until(b"Paris")
        app.quiet(2.0)
        for key in "2g0":
            app.press(key)
        children = Path(f"/proc/{app.pid}/task/{app.pid}/children").read_text().split()
        engine = int(children[0])
        times: list[float] = []
        used, start = cpu_s(engine), time.perf_counter()
        while len(times) < BUSY_KEYS:
            app.press("r", gap=0.05)  # again before it can be finished
            for key in "lhlhjkjk":  # from the first cell each of them moves the cursor
                answer = app.press(key, gap=0.02, wait=2 * RESTED_S)
                if answer.all:
                    times.append(answer.ms)
        cores = (cpu_s(engine) - used) / (time.perf_counter() - start)
    said = f"{spread(times)}; engine on {cores:.1f} cores"
    return {"key to first byte, head grid running: median, 95, 99 % (5, 15 ms)": said}


def kb(count: int) -> str:
    """Bytes, in thousands."""
    return f"{count / 1e3:.1f} kB"


def modules() -> str:
    """How much the app has imported with every pane filled."""
    answer = subprocess.run(
        [sys.executable, "-c", MODULES], cwd=ROOT, capture_output=True, text=True, check=True
    )
    count, heavy = json.loads(answer.stdout.strip().splitlines()[-1])
    return (
        f"Modules in the app, all panes filled: {count}; "
        f"of torch, transformers and the engine's own: {', '.join(heavy) or 'none'}."
    )


PARTS = {
    "paint": first_paint,
    "rest": at_rest,
    "moves": moving,
    "toggles": toggling,
    "keys": at_work,
}


def _size(text: str) -> tuple[int, int]:
    columns, _, rows = text.partition("x")
    return int(columns), int(rows)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="80x24 only")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts of it")
    parser.add_argument("--sizes", nargs="+", type=_size, default=list(SIZES), help="120x40 …")
    asked = parser.parse_args()
    sizes, load = asked.sizes[:1] if asked.quick else asked.sizes, os.getloadavg()[0]
    found: list[Rows] = []
    first_paint(sizes[0])  # warms the files
    for size in sizes:
        print(f"{size[0]}x{size[1]} ...", file=sys.stderr)
        rows: Rows = {}
        for part in asked.only:
            rows |= PARTS[part](size)
        found.append(rows)
    names = [f"{columns}x{rows}" for columns, rows in sizes]
    print("Budgets: 12 kB a switch of panes at 80x24, 1.3 kB a move; others in brackets.\n")
    print(f"| figure (budget) | {' | '.join(names)} |\n|{'---|' * (1 + len(names))}")
    for row in found[0]:
        print(f"| {row} | {' | '.join(rows[row] for rows in found)} |")
    shared = "" if load < 1 else ": the cores were shared, times are upper bounds"
    whole = f"{modules()} " if set(asked.only) == set(PARTS) else ""
    print(f"\n{whole}Load when it began: {load:.2f}{shared}.")


if __name__ == "__main__":
    main()
