"""Text, markdown and CSV say what the document says, and are safe to show, paste and open."""

from __future__ import annotations

import csv
import json
import re
from io import StringIO

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings

from interpboard.results import Axis, Document, PromptInfo, layer_axis
from interpboard.visualization import export
from interpboard.visualization.terminal import render
from tests import sample

CELL = re.compile(r"(?<!\\)\|")


def rows(document: Document) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(export.csv_text(document), newline=""), strict=True))


def test_the_plain_text_is_the_page_without_colour() -> None:
    assert export.text(sample.full()) == render(sample.full(), export.TEXT_WIDTH)


def test_the_json_is_the_document() -> None:
    assert json.loads(export.json_text(sample.full())) == json.loads(sample.full().to_json())


@settings(max_examples=40)
@given(sample.documents())
def test_the_json_loses_nothing_and_holds_no_character_that_acts(document: Document) -> None:
    text = export.json_text(document)
    assert json.loads(text) == json.loads(document.to_json())
    assert not re.search(
        "[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]", text
    )


def test_csv_has_a_row_for_each_value_with_labels_and_indices() -> None:
    found = [
        row
        for row in rows(sample.full())
        if row["analysis"] == "head_ablation" and row["array"] == "values"
    ]
    assert len(found) == sample.LAYERS * sample.HEADS
    row = next(row for row in found if (row["layer_index"], row["head_index"]) == ("1", "2"))
    assert row["value"] == "-1.5"
    assert (row["layer"], row["head"], row["token"]) == ("1", "2", "")
    assert (row["metric"], row["target"], row["foil"], row["position"]) == (
        "logit", " Paris", "", "8",
    )  # fmt: skip
    assert json.loads(row["params"]) == {"ablation": "zero", "layers": None, "heads": None}


def test_csv_keeps_the_leading_space_of_a_token() -> None:
    tokens = [row["value"] for row in rows(sample.full()) if row["array"] == "tokens"]
    assert tokens == [" Paris", " Rome", " London"]


def test_csv_keeps_a_newline_and_a_tab_of_a_token_and_nothing_else_that_acts() -> None:
    tokens = ("\n", "a\n\tb", "\x1b[31m", "x\r", '"\n"')
    found = rows(sample.document(sample.predictions(tokens)))
    kept = [row["value"] for row in found if row["array"] == "tokens"]
    assert kept == ["\n", "a\n\tb", "␛[31m", "x␍", '"\n"']


def test_csv_has_the_ids_of_the_prompts_tokens_so_that_tokens_spelt_alike_differ() -> None:
    prompt = PromptInfo("a!!", ("a", "!", "!"), (5, 36, 443), ((0, 1), (1, 2), (2, 3)))
    token, layer = Axis("token", prompt.tokens), Axis("layer", ("0", "1"))
    made = [
        sample.result("occlusion", (token,), np.arange(3.0)),
        sample.result("logit_lens", (layer, token), np.ones((2, 3))),
        sample.result(
            "attention",
            (Axis("query", prompt.tokens), Axis("key", ("x", "y", "z"))),
            np.ones((3, 3)),
        ),
        sample.result("predictions", (Axis("rank", ("1", "2", "3")),), np.ones(3)),
    ]
    found = rows(msgspec.structs.replace(sample.document(*made), prompt=prompt))
    ids = [
        row["token_id"]
        for row in found
        if row["analysis"] == "occlusion" and row["array"] == "values"
    ]
    assert ids == ["5", "36", "443"]
    assert {
        (row["token_index"], row["token_id"])
        for row in found
        if row["analysis"] == "logit_lens" and row["token"]
    } == {("0", "5"), ("1", "36"), ("2", "443")}
    assert {
        row["query_id"] for row in found if row["analysis"] == "attention" and row["query"]
    } == {"5", "36", "443"}
    assert "key_id" not in found[0]  # those are not the prompt's
    assert all(row["token_id"] == "" for row in found if row["analysis"] == "predictions")
    target = made[0].metric.target
    assert target is not None
    assert {row["target_id"] for row in found} == {str(target.id)}


def test_csv_leaves_a_value_that_is_not_known_empty() -> None:
    found = {
        (row["layer"], row["head"]): row["value"]
        for row in rows(sample.full())
        if row["analysis"] == "head_ablation"
    }
    assert found["2", "3"] == ""


def test_csv_has_the_baseline_and_lone_extras_as_rows() -> None:
    found = {
        row["array"]: row["value"]
        for row in rows(sample.full())
        if row["analysis"] == "integrated_gradients"
    }
    assert found["baseline"] == "12.34"
    assert found["delta"] == "0.00123"


@settings(max_examples=40)
@given(sample.documents())
def test_csv_is_rfc_4180_with_exact_numbers_and_nothing_that_acts(document: Document) -> None:
    text = export.csv_text(document)
    assert text.endswith("\r\n")
    assert all(char.isprintable() or char in "\n\t" for char in text.replace("\r\n", ""))
    found = rows(document)
    assert all(None not in row and None not in row.values() for row in found)
    values = [
        float(row["value"] or "nan")
        for row in found
        if row["analysis"] == "something_new" and row["array"] == "values"
    ]
    given_values = document.result("something_new").values.reshape(-1)
    expected = np.where(np.isinf(given_values), np.nan, given_values)
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize(
    ("token", "cell"),
    [
        ('=HYPERLINK("http://x")', '\'=HYPERLINK("http://x")'),
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-old", "-old"),
        ("=", "="),
        ("==", "=="),
        ("+1", "+1"),
        ("->", "->"),
        (" =SUM(A1)", " =SUM(A1)"),
        ("a,\"b\"", "a,\"b\""),
    ],
)  # fmt: skip
def test_only_a_token_that_could_call_something_in_a_spreadsheet_is_guarded(
    token: str, cell: str
) -> None:
    found = rows(sample.document(sample.predictions((token,))))
    assert next(row["value"] for row in found if row["array"] == "tokens") == cell


def test_markdown_has_a_table_for_each_result() -> None:
    text = export.markdown(sample.full())
    assert text.startswith("# InterpBoard: `demo`\n")
    assert "| `1` | `·Paris` | 0.81 |" in text
    assert "| `·Eiffel` | +0.5 |" in text
    assert "| `1` | 0 | 0 | -1.5 | 0 |" in text
    assert "| `2` | 0 | 0 | 0 | · |" in text
    assert "| `1` | `·2.0` 50.00% |" in text
    assert "- effect = metric(head ablated) − metric(clean); negative: the head helped" in text
    assert "- delta: 0.00123" in text


@settings(max_examples=40)
@given(sample.documents())
def test_every_row_of_a_markdown_table_has_as_many_cells_as_its_head(document: Document) -> None:
    for block in export.markdown(document).split("\n\n"):
        table = [line for line in block.split("\n") if line.startswith("| ")]
        assert len({len(CELL.findall(line)) for line in table}) <= 1


def test_markup_in_tokens_never_acts_in_markdown() -> None:
    text = export.markdown(sample.hostile())
    outside = re.sub(r"`[^`\n]*`", "", text)
    assert "<script>" not in outside
    assert not set(re.findall(r"<[^>]*>", outside)) - {"<code>", "</code>"}
    assert "\x1b" not in text
    assert "&#124;" in text


def test_of_many_dimensions_the_strongest_entries_stand_in_the_table() -> None:
    axes = (layer_axis(2), Axis("head", ("0", "1")), Axis("token", ("a", " b")))
    values = np.zeros((2, 2, 2))
    values[1, 0, 1] = -3
    one = sample.document(sample.result("activation_patching", axes, values))
    shown = export.markdown(one)
    assert re.findall(r"^\| `(.*?)` \| (.*?) \|$", shown, re.MULTILINE)[0] == ("L1 H0 ·b@1", "-3")
    assert len(rows(one)) == 8 + 1
