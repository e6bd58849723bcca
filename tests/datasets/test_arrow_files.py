"""Values of Parquet and Arrow are kept as a person writes them, and classes by their names."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import ipc, parquet

from interpboard.datasets.class_names import ClassNames
from interpboard.datasets.columns import filled
from interpboard.datasets.rows import DatasetRow, UnusableRow, row_of_record
from interpboard.errors import BadParameter
from tests.datasets.test_dataset_rows import rows

TEXT = pa.array(["a", "b", "c", "d"])


def kept(tmp_path: Path, **columns: pa.Array) -> list[DatasetRow]:
    """The same rows of Parquet and of Arrow."""
    table = pa.table({"text": TEXT.slice(0, len(next(iter(columns.values())))), **columns})
    return kept_table(tmp_path, table)


def kept_table(tmp_path: Path, table: pa.Table) -> list[DatasetRow]:
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    with ipc.new_stream(tmp_path / "a.arrow", table.schema) as writer:
        writer.write_table(table)
    found = rows(tmp_path / "a.parquet")
    same = [(row.text, row.label, row.target, row.other, row.problem) for row in found]
    assert same == [
        (row.text, row.label, row.target, row.other, row.problem)
        for row in rows(tmp_path / "a.arrow")
    ]
    return found


def test_dates_decimals_and_bytes_are_kept_as_text(tmp_path: Path) -> None:
    zone = timezone(timedelta(hours=2))
    when = datetime(2020, 1, 2, 3, 4, 5, tzinfo=zone)
    (row,) = kept(
        tmp_path,
        day=pa.array([date(2020, 1, 2)]),
        price=pa.array([Decimal("1.50")]),
        when=pa.array([when], pa.timestamp("s", tz="+02:00")),
        raw=pa.array([b"\x00\xff"]),
        of=pa.array([{"days": [date(2020, 1, 2)], "raw": b"a"}]),
    )
    assert row.other == {
        "day": "2020-01-02", "price": "1.50", "when": "2020-01-02 03:04:05+02:00", "raw": "00ff",
        "of": '{"days": ["2020-01-02"], "raw": "61"}',
    }  # fmt: skip


def test_a_stream_that_is_cut_between_two_batches_is_not_read_as_whole(tmp_path: Path) -> None:
    path, ends = tmp_path / "a.arrow", []
    # Ends like the mark of a stream's end.
    table = pa.table({"text": TEXT, "n": pa.array([7, 7, -1, 0], pa.int32())})
    with path.open("wb") as file, ipc.new_stream(file, table.schema) as writer:
        for batch in table.to_batches(max_chunksize=2):
            writer.write_batch(batch)
            ends.append(file.tell())
    assert [row.text for row in rows(path)] == TEXT.to_pylist()
    whole = path.read_bytes()
    assert ends[-1] < len(whole)
    for end in ends:
        path.write_bytes(whole[:end])
        with pytest.raises(BadParameter, match=r"mark of its end is missing\. Was it cut short"):
            rows(path)


def test_a_date_or_a_decimal_may_be_the_label_and_half_a_position_is_none() -> None:
    assert row_of_record({"text": "a", "label": date(2020, 1, 2)}, 0, "").label == "2020-01-02"
    assert row_of_record({"text": "a", "label": Decimal("1.50")}, 0, "").label == "1.50"
    assert row_of_record({"text": "a", "label": b"a"}, 0, "").problem
    assert row_of_record({"text": "a", "position": Decimal("2")}, 0, "").position == 2
    half = row_of_record({"text": "a", "position": Decimal("2.5")}, 0, "")
    assert half.problem == "has the position 2.5, which is no whole number"


@pytest.mark.parametrize("value", [b"Paris", ["Paris"], {"city": "Paris"}])
def test_what_is_no_text_is_not_written_into_a_prompt(value: Any) -> None:
    with pytest.raises(UnusableRow, match=r"has for \{city\} neither a text nor a number"):
        filled("in {city}", {"city": value})
    with pytest.raises(UnusableRow, match=r"has nothing for \{city\}"):
        filled("in {city}", {"city": float("nan")})
    assert filled("on {day}", {"day": date(2020, 1, 2)}) == "on 2020-01-02"


def test_a_value_that_python_cannot_hold_makes_one_row_unusable(tmp_path: Path) -> None:
    spoilt = pa.Array.from_buffers(
        pa.string(), 3, [None, pa.array([0, 1, 2, 3], pa.int32()).buffers()[1], pa.py_buffer(b"x\xffz")]
    )  # fmt: skip
    first, second, third = kept(tmp_path, note=spoilt)
    assert (first.other, third.other) == ({"note": "x"}, {"note": "z"})
    assert second.problem.startswith("has note that cannot be read: ")
    far = pa.array([0, 2**50], pa.timestamp("s"))
    fine, beyond = kept(tmp_path, when=far)
    assert fine.other == {"when": "1970-01-01 00:00:00"}
    assert beyond.problem.startswith("has when that cannot be read: ")


def test_a_column_twice_is_refused(tmp_path: Path) -> None:
    table = pa.table([TEXT, TEXT], names=["text", "text"])
    parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(BadParameter, match="has the column 'text' twice"):
        rows(tmp_path / "a.parquet")


CLASSES = {"_type": "ClassLabel", "names": ["neg", "pos"]}


def of_features(features: Any) -> dict[bytes, bytes]:
    return {b"huggingface": json.dumps({"info": {"features": features}}).encode()}


def test_classes_have_the_names_that_the_features_say(tmp_path: Path) -> None:
    """As ``datasets`` writes them: numbers, -1 for a row whose class is not given."""
    table = pa.table(
        {
            "text": TEXT,
            "label": pa.array([0, 1, -1, 2]),
            "target": pa.array([1, 0, 1, 0]),
            "tags": pa.array([[0, 1], [], None, [0]]),
            "n": pa.array([0, 1, 2, 3]),
        }
    )
    features = {
        "text": {"_type": "Value", "dtype": "string"},
        "label": CLASSES,
        "target": CLASSES,
        "tags": {"_type": "List", "feature": CLASSES},
        "n": {"_type": "Value", "dtype": "int64"},
    }
    found = kept_table(tmp_path, table.replace_schema_metadata(of_features(features)))
    assert [row.label for row in found] == ["neg", "pos", None, None]
    assert [row.target for row in found[:3]] == ["pos", "neg", "pos"]
    assert [row.other.get("tags") for row in found[:3]] == ['["neg", "pos"]', "[]", None]
    assert [row.other["n"] for row in found[:3]] == [0, 1, 2]
    assert found[3].problem == "has the class 2 in label, of which there are 2"
    plain = kept_table(tmp_path, table.drop(["target"]).replace_schema_metadata(None))
    assert [row.label for row in plain] == ["0", "1", "-1", "2"]


@pytest.mark.parametrize(
    ("feature", "value", "named"),
    [
        ([CLASSES], [1], ["pos"]),
        ({"_type": "Sequence", "feature": {"a": CLASSES}}, {"a": [1, 0]}, {"a": ["pos", "neg"]}),
        ({"_type": "List", "feature": {"a": CLASSES}}, [{"a": 1, "b": 1}], [{"a": "pos", "b": 1}]),
        ({"a": {"b": CLASSES}}, {"a": {"b": 0}}, {"a": {"b": "neg"}}),
        ({"_type": "ClassLabel", "names": None}, 1, 1),
    ],
)
def test_classes_within_lists_and_objects_have_names_too(
    feature: Any, value: Any, named: Any
) -> None:
    names = ClassNames.of_schema(of_features({"c": feature}))
    assert names.named({"c": value, "d": 1}) == {"c": named, "d": 1}


@pytest.mark.parametrize(
    "raw", [b"", b"no json", b"[]", b'{"info": 1}', b'{"info": {"features": 2}}']
)
def test_what_another_program_wrote_beside_a_table_is_passed_by(raw: bytes) -> None:
    assert ClassNames.of_schema({b"huggingface": raw}).named({"label": 1}) == {"label": 1}
