"""A dataset: files, folders and patterns of them, as one row after another."""

from __future__ import annotations

import glob
import hashlib
import heapq
import json
import random
import re
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
from interpboard.datasets.formats import READERS, files_read_with, read_rows, suffix_of
from interpboard.datasets.rows import DatasetRow
from interpboard.errors import BadParameter

SHUFFLED_MOST = 200_000  # rows that are held to be shuffled
_BEGINNING = 100  # rows
_DIGEST = "blake2b"
_LONGEST_NAME = 1024
_BEHAVIOURS = Path(__file__).parents[1] / "circuits" / "discovery" / "behaviours"
_WITH_COLUMNS = re.compile(r"(\S[^\n]*?\.\w+)\s+(\w+=[^>=\s][^\n]*)")
_SAVED_BY_DATASETS = ("state.json", "dataset_info.json")  # a folder that the library datasets wrote


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
    """The dataset that ``paths`` name: files, patterns (``runs/*.jsonl``), and folders of either kind, of
    files that can be read, or saved by the library datasets; or a behaviour of the demo model, ``ioi``.
    Raises ``BadParameter``.
    """
    if limit is not None and limit < 1:
        raise BadParameter(f"The limit is at least 1, not {limit}.")
    files = [file for path in paths for file in _files(str(path))]
    if again := [file for file in dict.fromkeys(files) if files.count(file) > 1]:
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
    if written is not None and _is_of_rows(written[1]):
        if _file_named(written[1]) is None:
            raise BadParameter(f"There is no file {written[1]}.", "Check the name.")
        read_columns(written[2])
    return None


def opened_by_name(text: str, limit: int | None = None) -> Dataset:
    """As ``open_dataset`` has it, with its columns behind it, ``rows/*.csv text=prompt``."""
    path, columns = path_and_columns(text)
    return open_dataset([path], columns, limit)


def _is_of_rows(name: str) -> bool:
    return Path(name.lower().removesuffix(".gz")).suffix in READERS


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
    if len(name.split()) == 1 and _is_of_rows(name):
        raise BadParameter(f"There is no file {name}.", "Check the name.")
    return [line for line in given.splitlines() if line]


def _files(path: str) -> list[Path]:
    place = Path(path)
    if place.is_dir():
        return _of_folder(place)
    if place.exists():
        return [place]
    found = [Path(name) for name in sorted(glob.glob(path, recursive=True))]
    files = [file for file in found if file.is_file()]
    behaviour = _BEHAVIOURS / f"{path}.json"
    if not files and behaviour.parent == _BEHAVIOURS and behaviour.is_file():
        return [behaviour]
    if not files:
        pattern = any(mark in path for mark in "*?[")
        problem = f"Nothing fits {path}." if pattern else f"There is no file {path}."
        raise BadParameter(problem, "Check the name.")
    return files


def _of_folder(folder: Path) -> list[Path]:
    if (folder / "dataset_dict.json").is_file():
        splits = _splits(folder / "dataset_dict.json")
        raise BadParameter(
            f"{folder} has the parts {', '.join(splits) or '(none)'}.",
            f"Name one: {folder / splits[0] if splits else folder}.",
        )
    if all((folder / name).is_file() for name in _SAVED_BY_DATASETS):
        return _saved_by_datasets(folder)
    files = [
        file
        for file in sorted(folder.rglob("*"))
        if file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
        and (suffix_of(file) != ".txt" or file.suffix.lower() == ".txt")
    ]
    if not files:
        raise BadParameter(
            f"{folder} has no file that can be read.", f"Those are {', '.join(READERS)}."
        )
    return files


def _saved_by_datasets(folder: Path) -> list[Path]:
    """Its files in the order that it says; a selection of rows, or one filtered, is not guessed at."""
    try:
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        names = [str(own["filename"]) for own in state["_data_files"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadParameter(f"{folder} is no whole dataset: {error}.", "Save it again.") from None
    if state.get("_indices_files"):
        raise BadParameter(
            f"{folder} is a selection of rows.", "Save it with flatten_indices() first."
        )
    files = [folder / name for name in names]
    if missing := [file for file in files if not file.is_file()]:
        raise BadParameter(f"There is no file {missing[0]}.", "Save the dataset again.")
    return files


def _splits(path: Path) -> list[str]:
    try:
        return [str(name) for name in json.loads(path.read_text(encoding="utf-8"))["splits"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
