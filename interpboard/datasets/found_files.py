"""Which files a path names: a file, a pattern, a folder of files or one that the library datasets saved."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterator
from pathlib import Path

from interpboard.datasets.formats import READERS
from interpboard.errors import BadParameter

_BEHAVIOURS = Path(__file__).parents[1] / "circuits" / "discovery" / "behaviours"
_SAVED_BY_DATASETS = ("state.json", "dataset_info.json")  # a folder that the library datasets wrote
_DIVIDED = "dataset_dict.json"


def dataset_files(path: str) -> list[Path]:
    """The files of rows that ``path`` names, in order.

    A folder is all files in it and below that can be read, or what the library datasets saved there. A
    pattern (``runs/*.jsonl``) is each file and each folder that it fits, as if they were named. ``ioi`` and
    the like are behaviours of the demo model. Raises ``BadParameter`` where there are none.
    """
    try:
        return _named(Path(path)) or _found(path)
    except OSError as error:  # a folder that may not be entered, a name that is too long
        problem = f"Cannot read {error.filename or path}: {error.strerror}."
        raise BadParameter(problem, "Check it.") from error


def _named(place: Path) -> list[Path]:
    if place.is_dir():
        return _of_folder(place)
    return [place] if place.exists() else []


def _found(path: str) -> list[Path]:
    behaviour = _BEHAVIOURS / f"{path}.json"
    if behaviour.parent == _BEHAVIOURS and behaviour.is_file():
        return [behaviour]
    if not any(mark in path for mark in "*?["):
        raise BadParameter(f"There is no file {path}.", "Check the name.")
    return _fitting(path)


def _fitting(pattern: str) -> list[Path]:
    found = [Path(name) for name in sorted(glob.glob(pattern, recursive=True))]
    folders = {place for place in found if place.is_dir()}
    # What lies in a folder that fits too, of data/** say, is the folder's: it knows how it is read.
    apart = [place for place in found if not folders.intersection(place.parents)]
    files = [file for place in apart for file in (_within(place) if place in folders else [place])]
    others = [place for place in files if not is_of_rows(place)]
    if others and len(others) < len(files):  # notes about the rows, most likely
        raise BadParameter(
            f"{pattern} fits {others[0]} too, whose name is not that of a file of rows.",
            "Name their ending, as *.jsonl does, or the folder.",
        )
    if files:
        return files
    if folders:
        raise BadParameter(
            f"{pattern} fits only folders, and they have no file that can be read.",
            f"Those are {', '.join(READERS)}.",
        )
    raise BadParameter(f"Nothing fits {pattern}.", "Check the name.")


def _of_folder(folder: Path) -> list[Path]:
    files = list(_within(folder))
    if not files and _is_saved(folder):
        raise BadParameter(f"{folder} is a dataset without rows.", "Name another.")
    if not files:
        raise BadParameter(
            f"{folder} has no file that can be read.", f"Those are {', '.join(READERS)}."
        )
    return files


def _within(folder: Path, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """The files of ``folder``; a link back to a folder ``above`` has nothing that is not there already."""
    if (folder / _DIVIDED).is_file():
        splits = _splits(folder / _DIVIDED)
        raise BadParameter(
            f"{folder} has the parts {', '.join(splits) or '(none)'}.",
            f"Name one: {folder / splits[0] if splits else folder}.",
        )
    if _is_saved(folder):
        yield from _saved_by_datasets(folder)
        return
    above = above | {folder.resolve()}
    for place in sorted(folder.iterdir()):
        if place.name.startswith("."):
            continue
        if place.is_dir():
            if place.resolve() not in above:
                yield from _within(place, above)
        # A link to nothing is a file too: reading it says what is missing.
        elif is_of_rows(place) and (place.is_file() or place.is_symlink()):
            yield place


def is_of_rows(file: str | Path) -> bool:
    """Does its name say that it is one of rows? Any other is one of lines, where it is named itself."""
    return Path(Path(file).name.lower().removesuffix(".gz")).suffix in READERS


def _is_saved(folder: Path) -> bool:
    return all((folder / name).is_file() for name in _SAVED_BY_DATASETS)


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
