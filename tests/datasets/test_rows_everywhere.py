"""Circuits and patching take the rows that a sweep takes, in every format, to the same examples."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from interpboard.circuits.discovery.examples import Example, read_examples
from interpboard.errors import BadParameter
from interpboard.patching.prompt_pairs import pair_fields

ROWS = [
    {"text": "a b", "corrupted": "a c", "target": " x", "foil": " y"},
    {"text": "d e", "corrupted": "d f", "target": " z"},
]


def written(folder: Path, suffix: str, rows: list[dict[str, str]]) -> str:
    path = folder / f"rows{suffix}"
    if suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif suffix == ".csv":
        names = list(rows[0])
        lines = [",".join(row.get(name, "") for name in names) for row in rows]
        path.write_text("\n".join([",".join(names), *lines]))
    else:
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return str(path)


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_a_circuit_and_pairs_read_rows_of_every_format(suffix: str, tmp_path: Path) -> None:
    path = written(tmp_path, suffix, ROWS)
    assert read_examples(path) == [
        Example("a b", "a c", (" x",), (" y",)),
        Example("d e", "d f", (" z",)),
    ]
    assert pair_fields(path) == [("a b", "a c", " x", " y"), ("d e", "d f", " z")]


def test_a_template_makes_pairs(tmp_path: Path) -> None:
    path = tmp_path / "pairs.toml"
    path.write_text(
        'text = "The {A} is"\ncorrupted = "The {B} is"\ntarget = " {A}"\ncombine = "pair"\n'
        '[slots]\nA = ["sun", "sea"]\nB = ["sky", "air"]\n'
    )
    assert pair_fields(str(path)) == [
        ("The sun is", "The sky is", " sun"),
        ("The sea is", "The air is", " sea"),
    ]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([ROWS[0], {"text": "", "corrupted": "b"}], "rows.jsonl:2 has no text"),
        ([ROWS[0], {"text": "a"}], "rows.jsonl:2 has no corrupted prompt"),
        ([{**ROWS[0], "subject": "a"}], "names a subject"),
        ([{"text": "a", "corrupted": "b", "foil": " y"}], "a foil without a target"),
    ],
)
def test_a_row_that_cannot_be_used_is_refused_by_its_place(
    rows: list[dict[str, str]], said: str, tmp_path: Path
) -> None:
    with pytest.raises(BadParameter, match=said):
        pair_fields(written(tmp_path, ".jsonl", rows))


def test_a_text_that_is_no_file_stays_lines_and_a_file_of_lines_is_one() -> None:
    assert pair_fields("a => b") == [("a", "b")]
    assert read_examples("no-such.csv") == [Example("no-such.csv")]
