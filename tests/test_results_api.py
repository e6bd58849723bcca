"""What a result and a document say of themselves, and how they are taken away."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import types
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings

from interpboard.errors import BadParameter, BadResultFile, MissingPackage
from interpboard.registry import ANALYSES
from interpboard.results import (
    Axis,
    Document,
    LabelledArray,
    MetricInfo,
    ModelInfo,
    PromptInfo,
    Result,
)
from interpboard.visualization import export
from tests import sample

EARLIER = sorted((Path(__file__).parent / "saved").glob("*.json"))


class Frame:
    """As much of a pandas frame as is used: named columns, rows under each other."""

    def __init__(self, columns: dict[str, Any] | None = None) -> None:
        self.columns = {name: list(values) for name, values in (columns or {}).items()}

    def insert(self, at: int, name: str, value: Any) -> None:
        items = list(self.columns.items())
        length = len(items[0][1]) if items else 0
        self.columns = dict([*items[:at], (name, [value] * length), *items[at:]])


@pytest.fixture
def frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real pandas where it is installed is as good; without it, this stands in."""
    fake = types.ModuleType("pandas")
    fake.DataFrame = Frame  # type: ignore[attr-defined]
    fake.concat = lambda frames, ignore_index: frames  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pandas", fake)


def test_repr_says_axes_metric_clean_run_and_the_strongest_entries() -> None:
    shown = repr(sample.ablation())
    assert shown.splitlines() == [
        "<head_ablation [layer 3, head 4] of logit of ·Paris at position 8, clean run 12.34",
        "  layer 1 head 2 -1.5",
        "  layer 0 head 0 +0.25>",
    ]
    assert "delta: 0.00123" in repr(sample.gradients())


def test_repr_of_a_document_holds_every_result() -> None:
    shown = repr(sample.full())
    assert shown.startswith("<Document: demo (llama, 3 layers × 4 heads) on 'The Eiffel Tower")
    assert all(result.analysis in shown for result in sample.full().results)


def test_nothing_in_a_repr_acts_on_a_terminal() -> None:
    shown = repr(sample.hostile())
    assert all(char.isprintable() or char == "\n" for char in shown)
    assert "gone" in shown


@pytest.mark.parametrize(
    ("by", "first"), [("magnitude", -1.5), ("highest", 0.25), ("lowest", -1.5)]
)
def test_top_is_sorted_as_asked(by: Any, first: float) -> None:
    entries = sample.ablation().top(2, by=by)
    assert len(entries) == 2
    assert entries[0].value == first


def test_top_names_the_place_by_label_and_by_index_and_passes_over_what_is_not_known() -> None:
    entry = sample.ablation().top(1)[0]
    assert entry.labels == {"layer": "1", "head": "2"}
    assert entry.index == {"layer": 1, "head": 2}
    assert repr(entry) == "<layer 1 head 2: -1.5>"
    assert len(sample.ablation().top(100)) == sample.LAYERS * sample.HEADS - 1


def test_what_differs_by_rounding_alone_stands_in_the_order_of_the_axes() -> None:
    """Another processor sums in another order: what is the strongest must not hang on it."""
    axis = Axis("head", tuple("01234"))
    for last_bit in (1e-8, -1e-8):
        values = [0.5, 2.0 - last_bit, 2.0, 2.0 + last_bit, np.inf]
        order = [entry.index["head"] for entry in sample.result("x", (axis,), values).top(5)]
        assert order == [4, 1, 2, 3, 0]
    assert [e.index["head"] for e in sample.result("x", (axis,), [1, 3, 2, 3, 1]).top(5)] == [
        1, 3, 2, 0, 4,
    ]  # fmt: skip


def test_axes_of_one_name_are_told_apart() -> None:
    axis = Axis("head", ("0", "1"))
    square = sample.result("x", (axis, axis), [[0.0, 1.0], [0.0, 0.0]])
    assert square.top(1)[0].index == {"head": 0, "head_2": 1}
    row = next(r for r in csv.DictReader(StringIO(square.to_csv())) if r["value"] == "1.0")
    assert (row["head"], row["head_2"]) == ("0", "1")


@pytest.mark.parametrize(
    ("ask", "complaint"),
    [({"by": "size"}, "no order 'size'"), ({"k": -1}, "top -1")],
)
def test_top_refuses_what_makes_no_sense(ask: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadParameter, match=complaint):
        sample.ablation().top(**ask)


def test_the_top_of_a_document_is_that_of_its_results() -> None:
    assert sample.full().top(1)["head_ablation"][0].value == -1.5


@pytest.mark.usefixtures("frames")
def test_a_frame_has_a_row_an_entry_with_labels_indices_and_extras_of_the_same_axes() -> None:
    frame = sample.predictions().to_dataframe()
    assert list(frame.columns) == ["rank", "rank_index", "value", "token_ids", "tokens"]
    assert frame.columns["tokens"][0] == " Paris"
    grid = sample.ablation().to_dataframe().columns
    at = next(i for i, value in enumerate(grid["value"]) if value == -1.5)
    assert (grid["layer"][at], grid["head_index"][at]) == ("1", 2)


@pytest.mark.usefixtures("frames")
def test_the_frame_of_a_document_says_which_analysis_a_row_is_of() -> None:
    frames = sample.full().to_dataframe()
    assert [frame.columns["analysis"][0] for frame in frames] == [
        result.analysis for result in sample.full().results
    ]


def test_without_pandas_the_error_is_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingPackage, match="pip install pandas"):
        sample.ablation().to_dataframe()


def test_the_views_of_a_document_are_those_of_the_command_line() -> None:
    document = sample.full()
    assert document.to_text() == export.text(document)
    assert document.to_markdown() == export.markdown(document)
    assert document.to_csv() == export.csv_text(document)


def test_a_lone_result_has_the_section_it_has_in_a_document() -> None:
    lone = sample.ablation()
    assert lone.to_text().splitlines()[0].startswith("Head ablation ─")
    assert "| `1` | 0 | 0 | -1.5 | 0 |" in lone.to_markdown()
    assert "layer 1 head 2 -1.5" in sample.document(lone).to_text()
    rows = list(csv.DictReader(StringIO(lone.to_csv())))
    assert {row["model"] for row in rows} == {""}


@settings(max_examples=30, deadline=None)
@given(sample.documents())
def test_a_lone_result_comes_back_from_its_json(document: Document) -> None:
    for result in document.results:
        again = Result.from_json(result.to_json())
        assert json.loads(again.to_json()) == json.loads(result.to_json())
        assert type(again) is Result
        assert again.axes == result.axes


def test_saving_and_loading_a_result_gives_it_back(tmp_path: Path) -> None:
    again = Result.load(sample.lens().save(tmp_path / "lens.json"))
    np.testing.assert_array_equal(again.values, sample.lens().values)
    top: LabelledArray = again.extra["top_tokens"]
    assert top.values.tolist() == sample.lens().extra["top_tokens"].values.tolist()


@pytest.mark.parametrize("kind", [Document, Result])
@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-30],
        lambda text: "",
        lambda text: text.replace("interpboard/1", "interpboard/2"),
        lambda text: "[" * 100_000,
        lambda text: text.replace("12.34", "1" + "0" * 400),
        lambda text: text.replace("0.00123", '{"a": 1}'),
    ],
)
def test_a_damaged_file_is_refused_in_one_line_with_its_name(
    kind: Any, damage: Any, tmp_path: Path
) -> None:
    whole = sample.full() if kind is Document else sample.gradients()
    path = tmp_path / "saved.json"
    path.write_text(damage(whole.to_json()), encoding="utf-8")
    with pytest.raises(BadResultFile) as refused:
        kind.load(path)
    assert "saved.json" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_cannot_be_written_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(BadResultFile, match=r"Cannot write .*nowhere"):
        sample.full().save(tmp_path / "nowhere" / "a.json")


@pytest.mark.parametrize("path", EARLIER, ids=lambda path: path.stem)
def test_what_an_earlier_version_saved_is_read_whole(path: Path) -> None:
    saved = json.loads(path.read_text(encoding="utf-8"))
    again = json.loads(Document.load(path).to_json())
    # What was left out then has its default now, and the registry says what the values mean.
    model, prompt, metric = (
        json.loads(msgspec.json.encode(made))
        for made in (
            ModelInfo("", None, "", 0, 0, "", ""), PromptInfo("", (), ()), MetricInfo("logit", 0),
        )
    )  # fmt: skip
    saved["model"] = model | saved["model"]
    saved["prompt"] = prompt | saved["prompt"]
    for result in saved["results"]:
        known = ANALYSES[result["analysis"]]
        result["metric"] = metric | result["metric"]
        name, params = result["metric"]["name"], result["params"]
        said = {"neutral": known.neutral_with(params), "meaning": known.meaning_for(name, params)}
        result.update({"warnings": [], "partial": None, **said} | result)
    assert again == saved


def test_there_is_a_saved_file_of_every_schema_so_far() -> None:
    assert [path.stem for path in EARLIER] == ["interpboard-1-first", "interpboard-1"]


def test_results_import_no_view_and_nothing_heavy() -> None:
    code = (
        "import sys, interpboard.results\n"
        "heavy = {'torch', 'rich.console', 'pandas', 'jinja2', 'interpboard.visualization'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
