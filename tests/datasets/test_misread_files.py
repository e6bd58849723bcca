"""What could be read as something else is refused: another encoding, other ends of lines, a name twice."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from interpboard.datasets import formats, text_files
from interpboard.datasets.columns import filled, read_columns
from interpboard.datasets.dataset_lines import dataset_lines
from interpboard.datasets.records import row_of_columns
from interpboard.datasets.rows import HAS_NUL, UnusableRow, choices_of, row_of_record
from interpboard.datasets.text_files import TOO_LONG
from interpboard.errors import BadParameter
from interpboard.sweeps.row_results import RowResult
from tests.datasets.test_dataset_rows import rows


def test_text_of_another_encoding_and_other_marks_between_columns_are_said(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for encoding in ("utf-16", "utf-16-be"):
        path.write_bytes("\ufeff".encode(encoding) + "text,target\nx, y\n".encode(encoding))
        with pytest.raises(BadParameter, match=r"is UTF-16 text. Save it as UTF-8"):
            rows(path)
    for encoding in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
        path.write_bytes("text,target\nx, y\n".encode(encoding))
        width = encoding[:6].upper()
        with pytest.raises(BadParameter, match=rf"NULs, as {width} text does. Save it as UTF-8"):
            rows(path)
    path.write_bytes(b"text,target,note\na\0b,c,d\ne,f,g\0\n")
    bad, kept = rows(path)
    assert (bad.problem, kept.problem) == (HAS_NUL, "")
    assert row_of_record({"text": "a\0b"}, 0, "").problem == HAS_NUL
    (lines := tmp_path / "a.txt").write_bytes(b"one line\na\0b\n")
    assert [row.problem for row in rows(lines)] == ["", HAS_NUL]
    path.write_text("text;target\nx; y\n", encoding="utf-8")
    with pytest.raises(BadParameter, match=r"has ; between its columns. Save it with commas"):
        rows(path)


@pytest.mark.parametrize("form", ["csv", "txt", "jsonl"])
def test_of_a_line_that_is_too_long_no_beginning_is_taken_for_all(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (text_files, formats):
        monkeypatch.setattr(module, "LONGEST_LINE", 40)
    (first, last), head = {
        "csv": (("a,{}", "b,c"), "text,note\n"),
        "txt": (("{}", "b"), ""),
        "jsonl": (('{{"text": "{}"}}', '{"text": "b"}'), ""),
    }[form]
    path = tmp_path / f"a.{form}"
    for mark in ("", "\ufeff"):
        for length in (20, 80, 400):
            path.write_text(f"{mark}{head}{first.format('x' * length)}\n{last}\n", encoding="utf-8")
            long, short = rows(path)
            assert (long.problem == TOO_LONG) == (length > 20)
            assert bool(long.problem) == (length > 20)
            assert (short.text, short.problem) == ("b", "")


def test_the_mark_of_utf8_is_no_part_of_a_name_in_quotes(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('\ufeff"text","a, b"\n"x","y"\n', encoding="utf-8")
    (row,) = rows(path)
    assert (row.text, row.other) == ("x", {"a, b": "y"})


@pytest.mark.parametrize("form", ["csv", "txt", "jsonl"])
def test_lines_that_carriage_returns_end_are_not_one_prompt(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"a.{form}"
    path.write_bytes(b"text,n\ra,1\rb,2\r")
    with pytest.raises(BadParameter, match="ends its lines with carriage returns alone"):
        rows(path)
    with pytest.raises(BadParameter, match="ends its lines with carriage returns alone"):
        dataset_lines("a\rb\r", path.name)
    assert len(dataset_lines("a\rb\r\nc", path.name)) == 2
    if form == "csv":
        path.write_bytes(b"text,n\na,1\rb,2\n")
        problem = "is no CSV: a carriage return stands outside quotes"
        assert [row.problem for row in rows(path)] == [problem]


@pytest.mark.parametrize("before", ["", "# by hand\r", "clean\n", "# by hand\nclean\n"])
def test_a_line_with_carriage_returns_is_no_prompt_and_no_comment(
    tmp_path: Path, before: str
) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(f"{before}a\rb\rc\nlast\r\n".encode())
    *_, bad, last = rows(path)
    assert bad.problem.startswith("has a carriage return")
    assert (last.text, last.problem) == ("last", "")
    *_, line, end = dataset_lines(path.read_bytes().decode(), path.name)
    with pytest.raises(BadParameter, match="has a carriage return"):
        line.usable()
    assert end.clean == "last"
    path.with_suffix(".jsonl").write_text(json.dumps({"text": "a\rb"}))
    (row,) = rows(path.with_suffix(".jsonl"))
    assert row.text == "a\rb"


@pytest.mark.parametrize("form", ["jsonl", "json"])
def test_a_name_that_stands_twice_is_not_read_as_the_last_of_its_values(
    tmp_path: Path, form: str
) -> None:
    records = (
        '{"text": "a", "text": "b"}', '{"text": "c"}', '{"text": "d", "of": [{"k": 1, "k": 2}]}',
        '{"messages": [{"role": "user", "content": "a", "content": "b"}]}',
    )  # fmt: skip
    whole = "\n".join(records) if form == "jsonl" else f"[{','.join(records)}]"
    path = tmp_path / f"a.{form}"
    path.write_text(whole, encoding="utf-8")
    found = rows(path)
    assert [row.text for row in found if not row.problem] == ["c"]
    assert [row.problem for row in found if row.problem] == [
        f"has {name!r} twice in one object" for name in ("text", "k", "content")
    ]


def test_names_twice_are_found_in_lines_in_columns_that_are_json_and_around_rows(
    tmp_path: Path,
) -> None:
    lines = tmp_path / "a.txt"
    lines.write_text('{"clean": "a", "clean": "b"}\n{"x": 1, "x": 2}\n', encoding="utf-8")
    twice, prompt = rows(lines)
    assert twice.problem == "has 'clean' twice"
    assert (prompt.text, prompt.problem) == ('{"x": 1, "x": 2}', "")  # no example: a text
    turns = '[{"role": "user", "role": "assistant", "content": "a"}]'
    assert row_of_record({"messages": turns}, 0, "").problem == "has 'role' twice in one object"
    chosen = row_of_record({"text": "a", "choices": '{"text": ["b"], "text": ["c"]}'}, 0, "")
    with pytest.raises(UnusableRow, match="has 'text' twice in one object"):
        choices_of(chosen)
    path = tmp_path / "a.json"
    path.write_text('{"examples": [{"text": "a"}], "examples": []}', encoding="utf-8")
    with pytest.raises(BadParameter, match=r"a.json has 'examples' twice"):
        rows(path)


def test_quotes_behind_a_space_are_no_part_of_a_text_without_a_word(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('text,label\na, "B"\n"a"," ""B"""\n" a", b "c"\n', encoding="utf-8")
    behind, quoted, inside = rows(path)
    assert behind.problem.startswith("has a quote behind a space")
    assert (quoted.text, quoted.label, inside.label) == ("a", ' "B"', ' b "c"')
    path.write_text('"text", "target"\na, b\n', encoding="utf-8")
    with pytest.raises(BadParameter, match="has a quote behind a space"):
        rows(path)


@pytest.mark.parametrize("name", ["Target", " FOIL", "Position", "Corrupted"])
def test_a_column_that_is_ours_but_for_its_case_is_not_left_out_without_a_word(name: str) -> None:
    ours = name.strip().lower()
    value = -1 if ours == "position" else " b"
    assert f"and ours is {ours}" in row_of_record({"text": "a", name: value}, 0, "").problem
    both = row_of_record({"text": "a", name: "kept", ours: value}, 0, "")
    assert (both.problem, both.other) == ("", {name: "kept"})
    assert (
        row_of_record({"text": "a", name: None}, 0, "").problem == ""
    )  # a row that has nothing there
    word = row_of_record({"text": "a", "Position": "noun"}, 0, "")
    assert (word.problem, word.other) == ("", {"Position": "noun"})


def test_what_stands_in_a_slot_is_not_taken_for_a_brace() -> None:
    record = {"x": "a\0b\x01c{x}"}
    assert filled("{{{x}}}", record) == "{a\0b\x01c{x}}"
    columns = read_columns("text={{x}} {y},target={z}")
    assert columns.missing(["y"]) == ["z"]
    (row,) = [row_of_columns(record, read_columns("text=say {x}"), 0, "")]
    assert row.problem == HAS_NUL


def test_labels_and_groups_that_are_the_same_number_or_letters_are_one() -> None:
    accents = ("caf\N{LATIN SMALL LETTER E WITH ACUTE}", "cafe\N{COMBINING ACUTE ACCENT}")
    for same in ((1, 1.0, "1"), (True, "true"), accents, (-0.0, 0)):
        found = {row_of_record({"text": "a", "label": own}, 0, "").label for own in same}
        grouped = {RowResult("", 0, "", "", columns={"g": own}).of_group("g") for own in same}
        assert len(found) == len(grouped) == 1
    prompt = row_of_record({"text": accents[1], "corrupted": accents[1]}, 0, "")
    assert (prompt.text, prompt.column("corrupted")) == (accents[1], accents[1])  # as it stands


def test_columns_are_not_read_as_prompts_because_of_a_files_name(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.old"
    path.write_text('{"text": "a", "label": "b"}\n{"text": "a"} is JSON\n', encoding="utf-8")
    columns, prompt = rows(path)
    assert columns.problem == "is JSON of columns, not of a line"
    assert (prompt.problem, prompt.text) == ("", '{"text": "a"} is JSON')
    path = tmp_path / "rows"
    for head in ("text,target", 'text\t"foil"', "Clean;label"):
        path.write_text(f"{head}\nx, y\n", encoding="utf-8")
        with pytest.raises(BadParameter, match=r"begins as a table does.*Name it \.csv"):
            rows(path)
    path.write_text("text, they say\ntext,target\n", encoding="utf-8")
    assert [row.text for row in rows(path)] == ["text, they say", "text,target"]


def test_whole_numbers_that_no_table_holds_are_kept_with_all_digits_or_refused() -> None:
    row = row_of_record({"text": "a", "id": 10**25, "n": 2**63 - 1}, 0, "")
    assert row.other == {"id": str(10**25), "n": 2**63 - 1}
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(row), type=type(row)) == row
    assert "has the position" in row_of_record({"text": "a", "position": 10**25}, 0, "").problem
