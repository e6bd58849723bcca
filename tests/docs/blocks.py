"""The code blocks of a page, and how each is run.

``python`` blocks of a page run in order in one namespace. ``bash`` blocks hold command lines of
``interpboard``, ``python examples/...`` and ``python -m ...``, run in this process on the demo model. A
``text`` block right behind a block that ran is its output, a line ``…`` in it stands for any lines. A
block titled with a file name is that file. ``toml`` and ``json`` must be valid. What cannot run here is
titled so.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
)
NOT_RUN = "Not run by the tests: "
_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<info>[^\n`]+)\n(?P<body>.*?)^(?P=indent)```$", re.DOTALL | re.MULTILINE
)
_TITLE = re.compile(r'title="([^"]*)"')
# What differs from run to run and machine to machine: times, bars drawn by eighths, versions.
_TIME = re.compile(r"\b[\d.]+(e-\d+)? s\b")
_BARS = re.compile("[▏▎▍▌▋▊▉█▐]+")
_NUMBER = re.compile(r"(?<![\w.])[-+−]?(?:\d+(?:\.\d+)?|\.\d+)(?:e[-+]?\d+)?")


@dataclass(frozen=True)
class Block:
    """One fenced block; ``start`` and ``end`` are its place in the page's text."""

    language: str
    title: str
    body: str
    line: int
    start: int
    end: int

    @property
    def not_run(self) -> bool:
        return self.title.startswith(NOT_RUN)

    @property
    def is_file(self) -> bool:
        return bool(re.fullmatch(r"[\w.-]+\.\w+", self.title))


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of ``page``, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        language = match["info"].split()[0]
        title = _TITLE.search(match["info"])
        indent = len(match["indent"])
        body = "".join(line[indent:] for line in match["body"].splitlines(keepends=True))
        line = text.count("\n", 0, match.start()) + 1
        found.append(
            Block(language, title[1] if title else "", body, line, match.start(), match.end())
        )
    return found


def output_of(found: Sequence[Block], index: int, text: str) -> Block | None:
    """The block that shows what block ``index`` prints: a ``text`` block right behind it."""
    if index + 1 == len(found):
        return None
    here, after = found[index], found[index + 1]
    close = not text[here.end : after.start].strip()
    return after if close and after.language == "text" and not after.title else None


def commands(body: str) -> Iterator[list[str]]:
    """The command lines of a ``bash`` block, in words."""
    for line in _logical_lines(body.replace("\\\n", " ")):
        words = shlex.split(line, comments=True)
        if words:
            yield words


def _logical_lines(text: str) -> Iterator[str]:
    """Lines, but for those that a quotation goes on in."""
    held = ""
    for line in text.splitlines():
        held = f"{held}\n{line}" if held else line
        try:
            shlex.split(held, comments=True)
        except ValueError:  # an open quotation
            continue
        yield held
        held = ""
    if held:
        raise ValueError(f"a quotation is not closed: {held}")


def same_output(shown: str, printed: str) -> bool:
    """Whether ``printed`` says what ``shown`` does: the same words, and numbers within 2 %."""
    return _match(_lines(shown), _lines(printed))


def _match(wanted: list[str], got: list[str]) -> bool:
    while wanted and wanted[0] != "…":
        if not got or not _same_line(wanted[0], got[0]):
            return False
        wanted, got = wanted[1:], got[1:]
    if not wanted:
        return not got
    return any(_match(wanted[1:], got[skip:]) for skip in range(len(got) + 1))


def _lines(text: str) -> list[str]:
    plain = _BARS.sub("", _TIME.sub("0 s", text))
    return [" ".join(line.split()) for line in plain.strip().splitlines()]


def _same_line(wanted: str, got: str) -> bool:
    if _NUMBER.sub("0", wanted) != _NUMBER.sub("0", got):
        return False
    pairs = zip(_NUMBER.findall(wanted), _NUMBER.findall(got), strict=True)
    return all(_close(_value(a), _value(b)) for a, b in pairs)


def _value(text: str) -> float:
    return float(text.replace("−", "-"))


def _close(a: float, b: float) -> bool:
    return abs(a - b) <= 0.02 + 0.02 * max(abs(a), abs(b))
