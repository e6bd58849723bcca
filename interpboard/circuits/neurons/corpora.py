"""A text file, or a folder of them, of any size: read a line at a time into windows of tokens.

Lines are tokenised one by one (very long ones in pieces of 64 KiB). A window never crosses from one file
into the next. Where a reading stopped is a ``Place``, from which it goes on with the same windows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from interpboard.errors import BadParameter
from interpboard.files.fingerprint import of_text
from interpboard.models.language_model import LanguageModel
from interpboard.runs.watch import Watch

_PIECE = 1 << 16


@dataclass(frozen=True)
class CorpusPlace:
    """``file``: its number; ``offset``: bytes of it read; ``token``: how many of its tokens were given out;
    ``left``: ids that were read and not given out yet."""

    file: int = 0
    offset: int = 0
    token: int = 0
    left: tuple[int, ...] = ()


@dataclass(frozen=True)
class Window:
    """Token ids; the number of the file, and of the window's first token in it; where to go on."""

    ids: tuple[int, ...]
    file: int
    first: int
    after: CorpusPlace


def corpus_files(path: Path, leave_out: Path | None = None) -> tuple[tuple[Path, int], ...]:
    """``path``, or every file in the folder ``path`` in the order of their names, each with its bytes.

    Hidden files, and what is written to ``leave_out``, are passed over. Raises ``BadParameter``.
    """
    try:
        if not path.is_dir():
            return ((path, path.stat().st_size),)
        ours = None if leave_out is None else leave_out.resolve()
        found = tuple(
            (file, file.stat().st_size)
            for file in sorted(path.rglob("*"))
            if file.is_file()
            and not any(part.startswith(".") for part in file.relative_to(path).parts)
            and file.resolve() != ours
        )
    except OSError as error:
        raise BadParameter(f"Cannot read {path}: {error.strerror}.") from error
    if not found:
        raise BadParameter(
            f"There are no files in {path}.", "Name a text file, or a folder of them."
        )
    return found


def corpus_fingerprint(files: tuple[tuple[Path, int], ...], watch: Watch) -> str:
    """The fingerprint of all that is in ``files``. Raises ``BadParameter``, ``Cancelled``."""
    try:
        return of_text((path for path, _size in files), watch.check)
    except OSError as error:
        raise BadParameter(f"Cannot read {error.filename}: {error.strerror}.") from error


def windows(
    lm: LanguageModel,
    files: tuple[tuple[Path, int], ...],
    room: int,
    start: CorpusPlace = CorpusPlace(),
) -> Iterator[Window]:
    """Windows of ``room`` tokens from ``start`` on; the last of a file holds what is left of it.

    Raises ``BadParameter`` for a file that cannot be read or is not UTF-8 text.
    """
    ids, token, begin = list(start.left), start.token, start.offset
    for number in range(start.file, len(files)):
        # What is left of an earlier piece is given out before the next is read.
        for piece, offset in chain([("", begin)], _pieces(files[number][0], begin)):
            ids += _encoded(lm, piece)
            while len(ids) >= room:
                now, ids = tuple(ids[:room]), ids[room:]
                after = CorpusPlace(number, offset, token + room, tuple(ids))
                yield Window(now, number, token, after)
                token += room
        if ids:
            yield Window(tuple(ids), number, token, CorpusPlace(number + 1))
        ids, token, begin = [], 0, 0


def corpus_lines(file: Path) -> Iterator[str]:
    """The lines of a file, very long ones in pieces. Raises ``BadParameter`` as ``windows`` does."""
    for line, _offset in _pieces(file, 0):
        yield line


def _encoded(lm: LanguageModel, text: str) -> list[int]:
    ids = [int(i) for i in lm.tokenizer(text, add_special_tokens=False)["input_ids"]]
    if ids and max(ids) >= lm.anatomy.d_vocab:
        raise BadParameter(
            f"The tokenizer gives token {max(ids)}, the model knows {lm.anatomy.d_vocab} tokens.",
            "Model and tokenizer do not belong together.",
        )
    return ids


def _pieces(path: Path, offset: int) -> Iterator[tuple[str, int]]:
    """Lines, or pieces of long ones, each with the offset behind it."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            while raw := file.readline(_PIECE):
                text = _decoded(raw, cut=len(raw) == _PIECE and not raw.endswith(b"\n"))
                # Editors put a mark in front of a file that is no text.
                plain = text if offset else text.removeprefix("\ufeff")
                offset += len(text.encode())
                file.seek(offset)
                yield plain.replace("\r\n", "\n"), offset
    except OSError as error:
        raise BadParameter(f"Cannot read {path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise BadParameter(f"{path} is not UTF-8 text.") from error


def _decoded(raw: bytes, cut: bool) -> str:
    """The text of ``raw``; of one that was ``cut``, without the part of a character at its end."""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        if cut and error.start > len(raw) - 4:
            return raw[: error.start].decode()
        raise
