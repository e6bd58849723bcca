"""The bytes and lines of a dataset's files, packed or not."""

from __future__ import annotations

import gzip
from codecs import BOM_UTF8
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from interpboard.datasets.dataset_lines import (
    LARGEST_DATASET,
    refuse_line_ends,
    refuse_wide_text,
)
from interpboard.datasets.rows import HAS_NUL, UnusableRow
from interpboard.errors import BadParameter

LONGEST_LINE = 20_000_000  # bytes
TOO_LONG = f"is longer than {LONGEST_LINE // 10**6} MB"


def texts(path: Path) -> Iterator[tuple[int, str | UnusableRow]]:
    """Each line's number, from 1, and its text without its end; or why it has none."""
    with reading_file(path) as file:
        for at, raw in enumerate(byte_lines(path, file), 1):
            if is_cut(raw):
                yield at, UnusableRow(TOO_LONG)
                continue
            if b"\0" in raw:
                yield at, UnusableRow(HAS_NUL)
                continue
            try:
                text = raw.decode("utf-8")
            except UnicodeDecodeError:
                yield at, UnusableRow("is no UTF-8 text")
                continue
            yield at, text.removesuffix("\n").removesuffix("\r")


def byte_lines(path: Path, file: IO[bytes]) -> Iterator[bytes]:
    """Lines of ``file``, which is ``path``, without its mark of UTF-8, none longer than the limit: the rest
    of a longer one is passed over. Raises ``BadParameter`` where the first is no UTF-8 text, or is ended
    otherwise."""
    line = file.readline(LONGEST_LINE)
    if line.startswith(BOM_UTF8):
        rest = file.readline(len(BOM_UTF8)) if is_cut(line) else b""
        line = line.removeprefix(BOM_UTF8) + rest
    refuse_wide_text(path, line)
    refuse_line_ends(path, line.decode("latin-1"))
    while line:
        yield line
        while is_cut(line):
            line = file.readline(LONGEST_LINE)
        line = file.readline(LONGEST_LINE)


def is_cut(line: bytes) -> bool:
    """Is there more of ``line`` of ``byte_lines``, which is passed over?"""
    return len(line) >= LONGEST_LINE and not line.endswith(b"\n")


def whole(path: Path) -> bytes:
    """All of a file that has an end. Raises ``BadParameter``."""
    with reading_file(path) as file:
        raw = file.read(LARGEST_DATASET + 1)
    refuse_wide_text(path, raw)
    if len(raw) > LARGEST_DATASET:
        raise BadParameter(
            f"{path} has more than {LARGEST_DATASET // 10**6} MB.", "Use .jsonl, which is streamed."
        )
    return raw


@contextmanager
def reading_file(path: Path) -> Iterator[IO[bytes]]:
    """The file, unpacked. Raises ``BadParameter`` where it cannot be read."""
    try:
        packed = path.name.lower().endswith(".gz")
        with gzip.open(path) if packed else path.open("rb") as file:
            yield file  # type: ignore[misc]  # both read as a file of bytes does
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadParameter(f"Cannot read {path}: {reason}.", "Check it.") from error
