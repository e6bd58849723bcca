"""A saved result gives back what was saved, and anything else is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings

from interpboard.errors import BadResultFile
from interpboard.results import (
    Axis,
    Document,
    LabelledArray,
    layer_axis,
    pack,
    text_array,
    unpack,
)
from tests import sample
from tests.schema import validator


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft202012Validator:
    return validator()


def same(a: Document, b: Document, *, infinite: bool) -> bool:
    """Equal but for infinities, which JSON does not have."""

    def equal(x: np.ndarray, y: np.ndarray) -> bool:
        if x.dtype == object:
            return x.tolist() == y.tolist()
        if not infinite:
            x = np.where(np.isinf(x), np.nan, x)
        return np.array_equal(x, y, equal_nan=True)

    assert (a.model, a.prompt, a.schema) == (b.model, b.prompt, b.schema)
    assert len(a.results) == len(b.results)
    for one, two in zip(a.results, b.results, strict=True):
        for name in ("analysis", "params", "metric", "baseline", "axes", "elapsed_s", "made_by"):
            assert getattr(one, name) == getattr(two, name)
        assert one.warnings == two.warnings
        assert equal(one.values, two.values)
        assert one.extra.keys() == two.extra.keys()
        for name, array in one.extra.items():
            assert array.axes == two.extra[name].axes
            assert equal(array.values, two.extra[name].values)
    return True


@settings(deadline=None)
@given(sample.documents())
def test_json_gives_back_the_document_with_infinities_as_nan(document: Document) -> None:
    assert same(document, Document.from_json(document.to_json()), infinite=False)
    assert same(document, Document.from_json(document.to_json(indent=None)), infinite=False)


@settings(deadline=None)
@given(sample.documents())
def test_the_pipe_gives_back_the_document_exactly(document: Document) -> None:
    assert same(document, unpack(pack(document), Document), infinite=True)


@settings(max_examples=40, deadline=None)
@given(sample.documents())
def test_json_is_strict_without_nan(document: Document) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    json.loads(document.to_json(), parse_constant=refuse)


def test_a_nul_at_the_end_of_a_token_is_kept() -> None:
    array = LabelledArray((Axis("token", ("a\x00",)),), text_array(["a\x00"]))
    saved = sample.document(sample.result("x", (), 1.0, {"names": array}), tokens=("a\x00",))
    again = Document.from_json(saved.to_json())
    assert again.prompt.tokens == ("a\x00",)
    assert again.results[0].extra["names"].values.tolist() == ["a\x00"]


def test_saving_and_loading_a_file_gives_back_the_document(tmp_path: Path) -> None:
    path = sample.full().save(tmp_path / "a.json")
    assert same(sample.full(), Document.load(path), infinite=True)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "not a result"),
        ("[]", "not a result"),
        ("{}", "not a result"),
        (b"\xff\xfe", "not a result"),
        (sample.full().to_json()[:-40], "cut short"),
        (sample.full().to_json().replace("interpboard/1", "interpboard/9"), "interpboard/9"),
        (sample.full().to_json().replace('"labels"', '"label"', 1), "not a result"),
    ],
)
def test_anything_else_is_refused(text: str | bytes, complaint: str) -> None:
    with pytest.raises(BadResultFile, match=complaint):
        Document.from_json(text)


def test_a_file_whose_values_do_not_match_its_axes_is_refused() -> None:
    damaged = json.loads(sample.full().to_json())
    damaged["results"][3]["values"].pop()
    with pytest.raises(BadResultFile):
        Document.from_json(json.dumps(damaged))


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BadResultFile, match="no-such"):
        Document.load(tmp_path / "no-such.json")


def test_values_that_do_not_match_their_axes_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="layer"):
        LabelledArray((layer_axis(3),), np.zeros(2))


def test_the_first_result_of_an_analysis_is_found_by_name() -> None:
    assert sample.full().result("head_ablation").axis("head").labels == ("0", "1", "2", "3")
    with pytest.raises(KeyError):
        sample.full().result("nothing")


@settings(max_examples=40, deadline=None)
@given(sample.documents())
def test_every_document_keeps_to_the_schema(
    schema: jsonschema.Draft202012Validator, document: Document
) -> None:
    named = json.loads(document.to_json()) | {"model": json.loads(sample.full().to_json())["model"]}
    named["results"] = [
        r | {"warnings": ["w" + w for w in r["warnings"]]} for r in named["results"]
    ]
    schema.validate(named)


def _without(*path: Any) -> Any:
    def change(whole: Any) -> None:
        at = whole
        for key in path[:-1]:
            at = at[key]
        del at[path[-1]]

    return change


def _with(value: Any, *path: Any) -> Any:
    def change(whole: Any) -> None:
        at = whole
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = value

    return change


@pytest.mark.parametrize(
    "damage",
    [
        _without("schema"),
        _with("interpboard/2", "schema"),
        _with(1, "more"),
        _without("model", "revision"),
        _with("float33", "model", "dtype"),
        _with(0, "model", "layers"),
        _with([], "prompt", "tokens"),
        _with([-1], "prompt", "token_ids"),
        _with("Head Ablation", "results", 3, "analysis"),
        _with({"a": {"b": 1}}, "results", 3, "params"),
        _with("perplexity", "results", 3, "metric", "name"),
        _with("logit_diff", "results", 3, "metric", "name"),
        _with(-1, "results", 3, "metric", "position"),
        _with(" Paris", "results", 3, "metric", "target"),
        _with(["zero"], "results", 3, "values", 0),
        _with([0.0, 1.0], "results", 3, "values"),
        _with(1.0, "results", 0, "values"),
        _with([[1.0]], "results", 0, "values"),
        _with([1.0], "results", 0, "extra", "tokens"),
        _with(["a", 1], "results", 0, "extra", "tokens", "values"),
        _with("magic", "results", 3, "made_by", "path"),
        _with(-1, "results", 3, "elapsed_s"),
        _with([1], "results", 3, "warnings"),
    ],
)
def test_the_schema_refuses_each_damage(
    schema: jsonschema.Draft202012Validator, damage: Any
) -> None:
    whole = json.loads(sample.full().to_json())
    schema.validate(whole)
    damage(whole)
    assert not schema.is_valid(whole)
