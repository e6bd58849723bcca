"""A path names the files that a person means by it; one that would leave some out says so."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from interpboard.datasets.dataset import open_dataset
from interpboard.errors import BadParameter
from tests.datasets.test_dataset_rows import RECORDS, rows, written


def texts(*paths: Path | str) -> list[str]:
    return [row.text for row in open_dataset(paths).rows()]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """``data`` with the files a, b/c, b/d/e, each of one row with its name as the text, and notes."""
    for name in ("a", "b/c", "b/d/e"):
        file = tmp_path / "data" / f"{name}.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"text": name}), encoding="utf-8")
    (tmp_path / "data" / "b" / "notes.md").write_text("not data", encoding="utf-8")
    return tmp_path / "data"


def saved(folder: Path, records: Sequence[dict[str, object]] = RECORDS) -> Path:
    """A folder as the library datasets saves one."""
    folder.mkdir(parents=True)
    if records:
        written(folder, "arrow")
    files = [{"filename": "data.arrow"}] if records else []
    state = {"_data_files": files, "_indices_files": None}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text("{}")
    return folder


def test_folders_patterns_and_saved_datasets_are_found(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"text": name}), encoding="utf-8")
    (tmp_path / "notes.md").write_text("not data", encoding="utf-8")
    (tmp_path / ".hidden.jsonl").write_text("{}", encoding="utf-8")
    assert [row.text for row in rows(tmp_path)] == ["a", "b"]
    assert [row.number for row in rows(tmp_path)] == [0, 1]
    assert [row.text for row in rows(tmp_path / "*.jsonl")] == ["a", "b"]
    saved = tmp_path / "saved"
    saved.mkdir()
    written(saved, "arrow")
    state = {"_data_files": [{"filename": "data.arrow"}], "_indices_files": None}
    (saved / "state.json").write_text(json.dumps(state))
    (saved / "dataset_info.json").write_text("{}")
    assert len(rows(saved)) == len(RECORDS)
    (saved / "state.json").write_text(json.dumps({**state, "_indices_files": [{"filename": "i"}]}))
    with pytest.raises(BadParameter, match="selection of rows"):
        rows(saved)
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    with pytest.raises(BadParameter, match=r"parts train, test.*parts/train"):
        rows(tmp_path / "parts")


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadParameter, match="no file"):
        rows(tmp_path / "none.jsonl")
    with pytest.raises(BadParameter, match="Nothing fits"):
        rows(tmp_path / "*.csv")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(BadParameter, match="Cannot read"):
        rows(tmp_path / "cut.parquet")


@pytest.mark.parametrize("pattern", ["*", "**", "**/*", "**/*.jsonl", "[ab]*"])
def test_a_pattern_in_quotes_finds_what_the_folder_has(tree: Path, pattern: str) -> None:
    """A shell would give ``data/*`` as a file and a folder: in quotes it is no less."""
    assert sorted(texts(tree / pattern)) == sorted(texts(tree)) == ["a", "b/c", "b/d/e"]


def test_a_pattern_that_fits_only_folders_is_their_files(tree: Path) -> None:
    assert texts(tree / "b*") == ["b/c", "b/d/e"]
    assert texts(tree / "*.jsonl") == ["a"]
    (tree / "x" / "empty").mkdir(parents=True)
    with pytest.raises(BadParameter, match=r"x\* fits only folders, and they have no file"):
        texts(tree / "x*")
    assert len(texts(tree / "*")) == 3


def test_notes_beside_rows_are_not_read_as_rows(tree: Path) -> None:
    (tree / "README.md").write_text("# Prompts\nof this kind\n", encoding="utf-8")
    assert texts(tree) == texts(tree / "**") == ["a", "b/c", "b/d/e"]
    for pattern in ("*", "[aR]*"):
        with pytest.raises(BadParameter, match=r"fits .*README.md too, .* Name their ending"):
            texts(tree / pattern)
    assert texts(tree / "*.md") == texts(tree / "README.md") == ["of this kind"]


@pytest.mark.parametrize("name", ["f.txt.gz", "f.TXT", "f.jsonl.gz", "f.NDJSON"])
def test_a_folder_has_packed_files_of_every_form(tree: Path, name: str) -> None:
    line = b"f" if "txt" in name.lower() else b'{"text": "f"}'
    (tree / name).write_bytes(gzip.compress(line) if name.endswith("gz") else line)
    assert texts(tree) == ["a", "b/c", "b/d/e", "f"]


def test_a_saved_dataset_among_files_is_read_as_it_says(tree: Path) -> None:
    """Not its notes about itself, as if they were rows."""
    saved(tree / "b" / "hf")
    expected = ["a", "b/c", "b/d/e", *(record["text"] for record in RECORDS)]
    for path in (tree, tree / "**", tree / "*"):
        assert texts(path) == expected


def test_a_saved_dataset_without_rows_is_called_so(tmp_path: Path) -> None:
    folder = saved(tmp_path / "hf", [])
    with pytest.raises(BadParameter, match=r"hf is a dataset without rows"):
        rows(folder)


def test_no_row_counts_twice(tree: Path) -> None:
    (tree / "same.jsonl").symlink_to(tree / "a.jsonl")
    for paths in ([tree], [tree / "a.jsonl", tree / "same.jsonl"]):
        with pytest.raises(BadParameter, match="is named twice"):
            texts(*paths)
    (tree / "same.jsonl").unlink()
    here = os.path.relpath(tree / "a.jsonl")
    with pytest.raises(BadParameter, match="is named twice"):
        texts(tree / "a.jsonl", here)


def test_links_are_followed_once_and_one_to_nothing_is_refused(tree: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "f.jsonl").write_text('{"text": "f"}', encoding="utf-8")
    (tree / "linked").symlink_to(other)
    (tree / "b" / "back").symlink_to(tree)
    assert texts(tree) == ["a", "b/c", "b/d/e", "f"]
    (tree / "gone.jsonl").symlink_to(tmp_path / "nothing.jsonl")
    with pytest.raises(BadParameter, match=r"gone.jsonl: No such file"):
        texts(tree)


def test_a_name_that_no_file_can_have_is_refused_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(BadParameter, match="File name too long"):
        texts(tmp_path / ("a" * 300))
