"""Rows of every format are the same rows; one that cannot be used says why, and stops nobody."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyarrow import ipc, parquet

from interpboard.datasets.columns import ANY_COLUMNS, filled, read_columns, slots_of
from interpboard.datasets.dataset import open_dataset
from interpboard.datasets.rows import DatasetRow, UnusableRow, row_of_record
from interpboard.errors import BadParameter

RECORDS = [
    {"text": "The capital of France is", "target": " Paris", "foil": " Rome", "label": "A", "n": 1},
    {"text": "The capital of Italy is", "target": " Rome", "foil": " Paris", "label": "B", "n": 2},
    {"text": 'Say "hello, world"', "target": "#17", "foil": "", "label": "A", "n": 3},
]


def rows(path: Path, columns: str | None = None) -> list[DatasetRow]:
    return list(open_dataset([path], read_columns(columns)).rows())


def said(row: DatasetRow) -> tuple[object, ...]:
    return row.text, row.target, row.foil, row.label, int(row.other["n"]), row.problem


def written(folder: Path, form: str) -> Path:
    path = folder / f"data.{form}"
    if form == "jsonl":
        path.write_text("\n".join(map(json.dumps, RECORDS)), encoding="utf-8")
    elif form == "jsonl.gz":
        path.write_bytes(gzip.compress("\n".join(map(json.dumps, RECORDS)).encode()))
    elif form == "json":
        path.write_text(json.dumps(RECORDS), encoding="utf-8")
    elif form in ("csv", "tsv"):
        out = io.StringIO()
        writer = csv.DictWriter(out, list(RECORDS[0]), delimiter="," if form == "csv" else "\t")
        writer.writeheader()
        writer.writerows(RECORDS)
        path.write_text("\ufeff" + out.getvalue(), encoding="utf-8")
    elif form == "parquet":
        parquet.write_table(pa.Table.from_pylist(RECORDS), path)
    else:
        table = pa.Table.from_pylist(RECORDS)
        new = ipc.new_file if form == "feather" else ipc.new_stream
        with path.open("wb") as file, new(file, table.schema) as writer:
            writer.write_table(table)
    return path


FORMS = ("jsonl", "jsonl.gz", "json", "csv", "tsv", "parquet", "arrow", "feather")


@pytest.mark.parametrize("form", FORMS)
def test_every_format_gives_the_same_rows(tmp_path: Path, form: str) -> None:
    found = rows(written(tmp_path, form))
    assert [said(row) for row in found] == [
        ("The capital of France is", " Paris", " Rome", "A", 1, ""),
        ("The capital of Italy is", " Rome", " Paris", "B", 2, ""),
        ('Say "hello, world"', "#17", None, "A", 3, ""),
    ]
    assert [row.number for row in found] == [0, 1, 2]


def test_lines_are_read_by_the_grammar_of_lines(tmp_path: Path) -> None:
    path = tmp_path / "pairs.txt"
    path.write_text("# a comment\nA is => B is | x | y\n\nC is\nD | a/b\n", encoding="utf-8")
    first, second, third = rows(path)
    assert (first.text, first.corrupted, first.target, first.foil) == ("A is", "B is", " x", " y")
    assert (second.text, second.place) == ("C is", "pairs.txt:4")
    assert third.problem == "has 2 texts as its target, and a metric takes one"


def test_columns_are_taken_under_other_names_and_from_templates(tmp_path: Path) -> None:
    path = tmp_path / "capitals.csv"
    path.write_text("country,capital,wrong\nFrance,Paris,Rome\nItaly,,Paris\n", encoding="utf-8")
    columns = "text=The capital of {country}, you know, is,target= {capital},label=country"
    first, second = rows(path, columns)
    assert first.text == "The capital of France, you know, is"
    assert (first.target, first.label, first.other["wrong"]) == (" Paris", "France", "Rome")
    assert second.problem == "has nothing for {capital}"


def test_the_prompt_that_the_user_names_stands_in_place_of_the_files_own(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("clean,corrupted,target\nin Paris,in Rome,x\n", encoding="utf-8")
    (row,) = rows(path, "text=corrupted")
    assert (row.text, row.corrupted, row.problem) == ("in Rome", None, "")
    path.write_text("text,clean,other\na,b,c\n", encoding="utf-8")
    assert rows(path)[0].problem == "has both text and clean"
    assert [rows(path, f"text={name}")[0].text for name in ("clean", "other")] == ["b", "c"]


def test_a_file_without_a_text_is_refused_with_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("prompt,answer\nx,y\n", encoding="utf-8")
    with pytest.raises(BadParameter, match=r"no column text; it has prompt, answer.*text=prompt"):
        rows(path)
    with pytest.raises(BadParameter, match="no column 'question'"):
        rows(path, "text=question")
    assert rows(path, "text=prompt,target=answer")[0].target == "y"


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ({"target": "x"}, "has no text"),
        (
            {"text": "a", "messages": [{"role": "user", "content": "b"}]},
            "has both a text and messages",
        ),
        ({"text": 7}, "has text that is no text"),
        ({"text": "\ud800"}, "has text that is not UTF-8"),
        (
            {"text": "a", "target": [" x", " y"]},
            "has 2 texts as its target, and a metric takes one",
        ),
        ({"text": "a", "position": 1.5}, "has the position 1.5, which is no whole number"),
        ({"text": "a", "position": True}, "has the position True, which is no whole number"),
        ({"messages": "no json"}, "has messages that are no JSON"),
        ({"messages": []}, "has no messages"),
        ({"messages": [{"role": "user"}]}, "has messages that are no list of {role, content}"),
        ({"text": "a", "subject": 3}, "has subject that is no text"),
        ({"text": "a", "target": "\ud800"}, "has target that is not UTF-8"),
        ({"text": "a", "label": "\udc00"}, "has label that is not UTF-8"),
        ({"text": "a", "note": "\ud800"}, "has note that is not UTF-8"),
        ({"text": "a", "notes": ["\ud800"]}, "has notes that is not UTF-8"),
        ({"text": "a", "no\ud800te": 1}, "has a column's name that is not UTF-8"),
    ],
)
def test_a_row_that_cannot_be_used_says_why(record: dict[str, object], problem: str) -> None:
    assert row_of_record(record, 0, "here").problem == problem


def test_a_row_that_cannot_be_used_keeps_its_label_and_further_columns() -> None:
    record = {"text": 7, "label": 3, "target": "x", "note": "n", "empty": "", "of": [1]}
    row = row_of_record(record, 0, "here")
    assert row.problem == "has text that is no text"
    assert (row.label, row.target) == ("3", None)
    assert row.other == {"note": "n", "of": "[1]"}
    assert row_of_record({"text": 7, "label": ["a"]}, 0, "here").label is None
    broken = row_of_record({"text": "a", "label": "b", "note": "\ud800", "n\ud800": 1}, 0, "here")
    assert (broken.label, broken.other) == ("b", {})


def test_a_bad_row_among_good_ones_stops_nobody(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "a"}\n{"text": \n[1]\n\xff\xfe\n{"text": "b"}\n')
    found = rows(path)
    assert [row.text for row in found if not row.problem] == ["a", "b"]
    assert [row.problem.split(":")[0] for row in found if row.problem] == [
        "is no JSON", "is no object of columns", "is no UTF-8 text",
    ]  # fmt: skip
    assert [row.place for row in found][-1] == "a.jsonl:5"


def test_a_quote_that_is_never_closed_makes_no_text_of_the_lines_behind_it(tmp_path: Path) -> None:
    """They would be one prompt that nobody wrote, and all their rows be gone without a word."""
    path = tmp_path / "a.csv"
    path.write_text('text\nfirst\n"two\nlines"\n"open\nthird\nfourth\n', encoding="utf-8")
    found = rows(path)
    assert [row.text for row in found if not row.problem] == ["first", "two\nlines"]
    (bad,) = (row for row in found if row.problem)
    assert (bad.place, bad.problem) == (
        "a.csv:5", "is no CSV: unexpected end of data (lines 5 to 7)",
    )  # fmt: skip
    path.write_text('text,n\n"a" b,1\nsecond,2\n', encoding="utf-8")
    assert [row.text for row in rows(path)] == ["", "second"]


def test_a_chat_may_be_a_row(tmp_path: Path) -> None:
    path = tmp_path / "chats.jsonl"
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    path.write_text(json.dumps({"messages": turns, "target": "Hello"}), encoding="utf-8")
    assert rows(path)[0].messages == (("system", "Be brief."), ("user", "Hi"))


def test_a_behaviour_is_named_like_a_file() -> None:
    found = rows(Path("ioi"))
    assert len(found) == 40
    assert all(row.text and row.corrupted and row.target and row.foil for row in found)


def test_a_sample_is_the_same_for_a_seed_and_keeps_its_numbers(tmp_path: Path) -> None:
    path = tmp_path / "many.jsonl"
    path.write_text("\n".join(json.dumps({"text": f"t{i}"}) for i in range(500)), encoding="utf-8")
    sample = open_dataset([path], limit=20, shuffle=3)
    found = list(sample.rows())
    assert found == list(sample.rows())
    assert len({row.number for row in found}) == 20
    assert all(row.text == f"t{row.number}" for row in found)
    assert found != list(open_dataset([path], limit=20, shuffle=4).rows())
    assert [row.number for row in open_dataset([path], limit=3).rows()] == [0, 1, 2]
    assert list(open_dataset([path], limit=5, shuffle=3).rows()) == found[:5]
    assert list(open_dataset([path], shuffle=3).rows())[:20] == found


def test_the_fingerprint_is_of_the_bytes_and_of_how_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a"}', encoding="utf-8")
    first = open_dataset([path]).fingerprint()
    assert first == open_dataset([path]).fingerprint()
    assert first != open_dataset([path], shuffle=1).fingerprint()
    assert first == open_dataset([path], limit=1).fingerprint()  # its rows are among those of all
    path.write_text('{"text": "b"}', encoding="utf-8")
    assert first != open_dataset([path]).fingerprint()


def test_a_change_in_the_middle_of_a_large_file_is_another_dataset(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    raw = bytearray(b'{"text": "a"}\n' * 400_000)
    path.write_bytes(raw)
    first = open_dataset([path]).fingerprint()
    raw[14 * 200_000 + 10] = ord("b")
    path.write_bytes(raw)
    assert first != open_dataset([path]).fingerprint()


@settings(max_examples=60, deadline=None)
@example(b"\r\x00", "csv")  # a carriage return in the head that ends no line
@given(st.binary(max_size=300), st.sampled_from(["jsonl", "csv", "txt", "json", "toml", "arrow"]))
def test_any_bytes_are_rows_or_refused_in_a_line(raw: bytes, form: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{form}"
        path.write_bytes(raw)
        found, refused = [], ""
        try:
            found = rows(path)
        except BadParameter as error:
            refused = str(error)
        assert "\n" not in refused
        assert [row.number for row in found] == list(range(len(found)))
        assert all(row.problem or row.text or row.messages for row in found)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=40), st.text(max_size=10))
def test_a_template_is_filled_or_its_gap_is_named(template: str, value: str) -> None:
    record = dict.fromkeys(slots_of(template), value)
    try:
        text = filled(template, record)
    except UnusableRow:
        assert not value
        return
    assert value in text or not record
    assert read_columns(None) is ANY_COLUMNS
