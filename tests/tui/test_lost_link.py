"""A grid under way when the link or the engine is lost: its half is there, and only the rest is computed."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from transformers import GPT2Config, GPT2LMHeadModel

from tests.tiny import tiny_tokenizer
from tests.tui.terminal import LIMIT_S, Terminal

HEADS = 512
ESCAPES = re.compile(rb"\x1b\[[?\d;]*[A-Za-z]")
LOG = re.compile(r"head_ablation: (\d+) cells were known, (\d+) computed in .* s, (\w+)")
STEPPED = r"\d s left"  # said of steps that were timed: before the first it is "about"
PARTIAL = rf"partial: (\d+) of {HEADS} heads"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of 16 layers of 32 heads, two numbers each."""
    place = tmp_path_factory.mktemp("models") / "wide"
    tokenizer = tiny_tokenizer()
    shape = {"n_layer": 16, "n_head": 32, "n_embd": 64, "n_positions": 64}
    GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), **shape)).save_pretrained(place)
    tokenizer.save_pretrained(place)
    return place


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Terminal]]:
    """``start(*args)``: the real app in a terminal; its engine takes a row a step."""
    monkeypatch.setenv("INTERPBOARD_BATCH_TOKENS", "10")
    started: list[Terminal] = []

    def make(*args: str) -> Terminal:
        started.append(Terminal("tests.tui.real", *args))
        return started[-1]

    yield make
    for terminal in started:
        terminal.close()


def seen(app: Terminal, pattern: str, after: int = 0) -> re.Match[str]:
    """Read until what was written after the first ``after`` bytes matches ``pattern``."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        text = ESCAPES.sub(b"", app.output[after:]).decode(errors="replace")
        found = re.search(pattern, text)
        if found is not None:
            return found
        assert app.read(0.2) or text, "the app has ended"
    raise AssertionError(f"{pattern} not seen; the end: {text[-1500:]}")


def logged(state: Path) -> list[tuple[int, int, str]]:
    """What the engines' logs say of the grid: cells known, cells computed, how it ended."""
    lines = [each.read_text(errors="replace") for each in state.glob("engine-*.log")]
    found = [line for text in lines for line in LOG.findall(text)]
    return [(int(known), int(now), how) for known, now, how in found]


def finished(app: Terminal, state: Path) -> tuple[int, int, str]:
    """The grid is run to its end: what the log says of it."""
    app.press("r")
    deadline = time.monotonic() + LIMIT_S
    while not any(how == "done" for _, _, how in logged(state)):
        assert app.read(0.2)
        assert time.monotonic() < deadline
    return next(line for line in logged(state) if line[2] == "done")


def test_a_grid_outlives_the_link_and_then_the_engine_and_no_cell_is_computed_twice(
    start: Callable[..., Terminal], folder: Path, tmp_path: Path
) -> None:
    app = start("--model", str(folder))
    app.until("Eiffel")
    app.press("2")
    seen(app, STEPPED)
    app.hang_up()
    assert app.wait() in (129, -signal.SIGHUP)
    again = start("--resume")
    children = Path(f"/proc/{again.pid}/task/{again.pid}/children")
    if not children.exists():
        pytest.skip("this system does not list the children of a process")
    again.press("2")
    after_the_link = int(seen(again, PARTIAL)[1])
    assert 0 < after_the_link < HEADS
    seen(again, "engine: idle")
    mark = len(again.output)
    again.press("r")
    seen(again, STEPPED, mark)
    mark = len(again.output)
    os.kill(int(children.read_text().split()[0]), signal.SIGKILL)
    after_the_engine = int(seen(again, PARTIAL, mark)[1])
    assert after_the_link <= after_the_engine < HEADS  # it may have died before it told a step more
    seen(again, "engine died")
    known, computed, _ = finished(again, tmp_path / "state")
    assert known == after_the_engine
    assert known + computed == HEADS
    again.press("q")
    assert again.wait() == 0
