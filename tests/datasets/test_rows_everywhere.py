"""Circuits and patching take the rows that a sweep takes, in every format, to the same examples."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from interpboard.circuits.discovery.examples import Example, read_examples
from interpboard.cli import sweeping
from interpboard.cli.main import main
from interpboard.datasets.dataset import opened_by_name, texts_of
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


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_columns_are_named_behind_the_file_wherever_a_file_of_rows_is_taken(
    suffix: str, tmp_path: Path
) -> None:
    theirs = [{"p": "a, b", "q": "a, c", "a": "x"}, {"p": "d", "q": "e", "a": "y"}]
    if suffix == ".csv":
        theirs[0] = {"p": "a b", "q": "a c", "a": "x"}
    path = written(tmp_path, suffix, theirs)
    named = f"{path} text=p,corrupted=q,target= {{a}}"
    assert pair_fields(named) == [
        (theirs[0]["p"], theirs[0]["q"], " x"),
        ("d", "e", " y"),
    ]
    assert read_examples(named)[1] == Example("d", "e", (" y",))
    assert texts_of(f"{path} text=q") == [theirs[0]["q"], "e"]
    assert [row.label for row in opened_by_name(f"{path} text=p,label=a", 1).rows()] == ["x"]


@pytest.mark.parametrize(
    ("behind", "said"),
    [
        ("text=p,target=nothing", "has no column '?nothing"),
        ("txt=p", "names none of our columns"),
        ("text=p,text=q", "given twice"),
    ],
)
@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_columns_that_are_none_are_refused_and_never_taken_for_a_prompt(
    behind: str, said: str, suffix: str, tmp_path: Path
) -> None:
    path = written(tmp_path, suffix, [{"p": "a", "q": "b"}])
    readers: tuple[Callable[[str], object], ...] = (pair_fields, read_examples, texts_of)
    for read in readers:
        with pytest.raises(BadParameter, match=said):
            read(f"{path} {behind}")
        with pytest.raises(BadParameter, match="There is no file"):
            read(f"{tmp_path}/not{suffix} {behind}")
    assert texts_of("x.py a=b") == ["x.py a=b"]
    assert texts_of(f"{path} => b") == [f"{path} => b"]


def test_a_text_that_is_no_file_stays_lines_and_a_file_of_lines_is_one() -> None:
    assert pair_fields("a => b") == [("a", "b")]
    assert read_examples("no-such.csv") == [Example("no-such.csv")]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".toml"])
def test_a_column_that_no_row_has_is_said_before_a_model_is_opened(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "opened", lambda *_: pytest.fail("a model was opened"))
    if suffix == ".toml":
        path = tmp_path / "rows.toml"
        path.write_text('text = "The {a}"\n[slots]\na = ["b", "c"]\n', encoding="utf-8")
    else:
        path = written(tmp_path, suffix, [{"p": "a", "q": "b"}, {"p": "c", "q": "d"}])
    asked = ["sweep", str(path), "-a", "logit_lens", "--output", str(tmp_path / "out")]
    assert main([*asked, "--columns", "text=promt"]) == 2
    assert re.search("has no column '?promt", capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


def test_rows_of_which_some_have_the_column_are_begun_with(tmp_path: Path) -> None:
    path = written(tmp_path, ".jsonl", [{"q": "a"}, {"p": "b"}])
    opened_by_name(f"{path} text=p").require_columns()
