"""A dataset: files, folders and patterns of them, as one row after another."""

from __future__ import annotations

import hashlib
import heapq
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from operator import itemgetter
from pathlib import Path

from interpboard.datasets.columns import (
    ANY_COLUMNS,
    NO_COLUMN,
    Columns,
    path_and_columns,
    read_columns,
)
from interpboard.datasets.formats import files_read_with, read_rows
from interpboard.datasets.found_files import dataset_files, is_of_rows
from interpboard.datasets.rows import DatasetRow
from interpboard.errors import BadParameter

SHUFFLED_MOST = 200_000  # rows that are held to be shuffled
_BEGINNING = 100  # rows
_DIGEST = "blake2b"
_LONGEST_NAME = 1024
_WITH_COLUMNS = re.compile(r"(\S[^\n]*?\.\w+)\s+(\w+=[^>=\s][^\n]*)")


@dataclass(frozen=True)
class Dataset:
    """``files`` in order, and how their rows are read. ``limit``: the first so many rows, None: all;
    ``shuffle``: a seed, and rows are in random order (of the whole dataset, before the limit).
    """

    files: tuple[Path, ...]
    columns: Columns = ANY_COLUMNS
    limit: int | None = None
    shuffle: int | None = None

    def rows(self) -> Iterator[DatasetRow]:
        """Every row, usable or not. Raises ``BadParameter`` where a file cannot be read."""
        if self.shuffle is None:
            return islice(self._in_order(), self.limit)
        return iter(self._shuffled(self.shuffle))

    def require_columns(self) -> None:
        """Raise ``BadParameter`` where no row of the beginning has a column that is named, or the first file
        cannot be read. What takes a model asks for it before one is opened."""
        problems = [row.problem for row in islice(self._in_order(), _BEGINNING)]
        if problems and all(problem.startswith(NO_COLUMN) for problem in problems):
            raise BadParameter(f"{self.files[0]}: a row {problems[0]}.", "Check --columns.")

    def _in_order(self) -> Iterator[DatasetRow]:
        number = 0
        for file in self.files:
            for row in read_rows(file, self.columns, number):
                yield (
                    row
                    if len(self.files) == 1
                    else replace(row, place=f"{file.parent.name}/{row.place}")
                )
                number = row.number + 1

    def _shuffled(self, seed: int) -> list[DatasetRow]:
        """The ``limit`` rows, or all, that come first in random order; no more are held than are given.

        A row's place in the order is drawn by itself: a sample of more rows begins with that of fewer.
        """
        rng = random.Random(seed)
        drawn = ((rng.random(), row.number, row) for row in self._in_order())
        if self.limit is not None:
            return [row for *_, row in heapq.nsmallest(self.limit, drawn, key=itemgetter(0, 1))]
        held = list(islice(drawn, SHUFFLED_MOST + 1))
        if len(held) > SHUFFLED_MOST:
            raise BadParameter(
                f"More than {SHUFFLED_MOST:,} rows are not shuffled whole.",
                "Take a sample: --limit N.",
            )
        return [row for *_, row in sorted(held, key=itemgetter(0, 1))]

    def fingerprint(self) -> str:
        """Of the files' names and bytes, all of them, and of how they are read.

        Not of the limit: a larger one has the rows of a smaller one, and more.
        """
        digest = hashlib.blake2b(digest_size=16)
        digest.update(repr((self.columns, self.shuffle)).encode())
        for file in (each for own in self.files for each in files_read_with(own)):
            digest.update(repr(file.name).encode())
            try:
                with file.open("rb") as raw:
                    digest.update(hashlib.file_digest(raw, _DIGEST).digest())
            except OSError as error:
                raise BadParameter(f"Cannot read {file}: {error.strerror}.", "Check it.") from error
        return digest.hexdigest()


def open_dataset(
    paths: Sequence[str | Path],
    columns: Columns = ANY_COLUMNS,
    limit: int | None = None,
    shuffle: int | None = None,
) -> Dataset:
    """The dataset that ``paths`` name, as ``dataset_files`` finds them. Raises ``BadParameter``, also where
    a file is named twice: its rows would count twice.
    """
    if limit is not None and limit < 1:
        raise BadParameter(f"The limit is at least 1, not {limit}.")
    files = [file for path in paths for file in dataset_files(str(path))]
    places = Counter(file.resolve() for file in files)
    if again := [file for file in files if places[file.resolve()] > 1]:
        raise BadParameter(f"{again[0]} is named twice.", "Name each file once.")
    if not files:
        raise BadParameter("There is no dataset.", "Name a file, a folder or a pattern.")
    return Dataset(tuple(files), columns, limit, shuffle)


def dataset_named(text: str) -> Dataset | None:
    """The rows of the one file that ``text`` names where rows may also stand in it, with its columns behind
    it, ``rows.csv text=prompt``; None where it names none. Raises ``BadParameter`` for columns that are none,
    and for a file of rows that is not there with columns behind it."""
    if "\n" in text.strip() or len(text) >= _LONGEST_NAME:
        return None
    path, columns = path_and_columns(text)
    file = _file_named(path)
    if file is not None:
        return Dataset((file,), columns)
    written = _WITH_COLUMNS.fullmatch(text.strip())
    if written is not None and is_of_rows(written[1]):
        if _file_named(written[1]) is None:
            raise BadParameter(f"There is no file {written[1]}.", "Check the name.")
        read_columns(written[2])
    return None


def opened_by_name(text: str, limit: int | None = None) -> Dataset:
    """As ``open_dataset`` has it, with its columns behind it, ``rows/*.csv text=prompt``."""
    path, columns = path_and_columns(text)
    return open_dataset([path], columns, limit)


def _file_named(name: str) -> Path | None:
    if not name or "\n" in name or len(name) >= _LONGEST_NAME:
        return None
    try:
        return Path(name) if Path(name).is_file() else None
    except (OSError, ValueError):
        return None


def prompts_of(dataset: Dataset) -> list[DatasetRow]:
    """The rows of ``dataset``, all of them prompts as text. Raises ``BadParameter`` for the first that
    cannot be used, by its place: what takes all rows together leaves none out without a word.
    """
    rows = list(dataset.rows())
    for row in rows:
        problem = row.problem or ("is a chat" if row.messages is not None else "")
        if problem:
            raise BadParameter(f"{row.place} {problem}.", "Mend the row, or leave it out.")
    return rows


def texts_of(given: str | Sequence[str]) -> list[str]:
    """Prompts given as a list, as text with one a line (empty lines left out), or as the name of a file of
    rows. Raises ``BadParameter`` as ``prompts_of`` does, and for a name of a file of rows that is not there.
    """
    if not isinstance(given, str):
        return [text for text in given if text]
    dataset = dataset_named(given)
    if dataset is not None:
        return [row.text for row in prompts_of(dataset)]
    name = given.strip()
    if len(name.split()) == 1 and is_of_rows(name):
        raise BadParameter(f"There is no file {name}.", "Check the name.")
    return [line for line in given.splitlines() if line]
