"""A sweep is each row's own analysis, kept; and the mean of them is the mean of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from pyarrow import parquet

from interpboard.analyze import analyze
from interpboard.errors import BadParameter
from interpboard.results import Document, MetricRequest
from interpboard.sweeps.aggregate import AggregateSettings, aggregate
from interpboard.sweeps.folder import SweepFolder
from interpboard.sweeps.row_results import RowResult
from interpboard.sweeps.sweep import sweep
from tests.lm import tiny_lm

LM = tiny_lm("gpt2", torch.float64)
ROWS = [
    {"text": "The Eiffel Tower is located in", "subject": "Eiffel Tower", "label": "A"},
    {"text": "The capital of France is the city of", "subject": "France", "label": "A"},
    {"text": "Mary gave the book to", "subject": "Mary", "label": "B"},
    {"text": "Rome is the", "subject": "Rome", "label": "B"},
]
ANALYSES = ("head_ablation", "logit_lens", "causal_trace")
PARAMS = {"causal_trace": {"samples": 2}}


def put(folder: Path, rows: list[dict[str, object]], name: str = "rows.jsonl") -> Path:
    path = folder / name
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Document]:
    folder = tmp_path_factory.mktemp("swept")
    data = put(folder, [*ROWS, {"text": ""}, {"text": "No subject here"}])
    return folder / "out", sweep(
        LM, data, ANALYSES, folder / "out", params=PARAMS, group="label", level=0.9
    )


def results(path: Path, analysis: str | None = None) -> list[RowResult]:
    return sorted(SweepFolder.open(path).results(analysis), key=lambda r: (r.row, r.analysis))


def alone(row: dict[str, object], analysis: str) -> np.ndarray:
    given = dict(PARAMS.get(analysis, {}))
    if analysis == "causal_trace":
        given["subject"] = row["subject"]
    document = analyze(LM, str(row["text"]), [analysis], MetricRequest(), {analysis: given})
    return document.results[0].values


@pytest.mark.parametrize("analysis", ANALYSES)
def test_a_row_has_the_values_of_the_analysis_alone(
    swept: tuple[Path, Document], analysis: str
) -> None:
    found = [r for r in results(swept[0], analysis) if not r.error]
    for row, own in zip(ROWS, found, strict=False):
        expected = alone(row, analysis)
        shape = [len(axis.labels) for axis in own.axes]
        np.testing.assert_allclose(own.values.reshape(shape), expected, rtol=1e-12, atol=1e-15)
        assert (own.text, own.columns["label"]) == (row["text"], row["label"])


def test_what_cannot_be_used_has_its_reason_and_stops_nobody(swept: tuple[Path, Document]) -> None:
    failed = {(r.row, r.analysis): r.error for r in results(swept[0]) if r.error}
    assert {error for (row, _), error in failed.items() if row == 4} == {"The row has no text."}
    assert "needs subject" in failed[5, "causal_trace"]
    assert len(failed) == 4
    warned = swept[1].results[0].warnings
    assert any("4 of 18 results have only a reason" in warning for warning in warned)


def test_the_mean_of_heads_is_the_mean_of_the_rows(swept: tuple[Path, Document]) -> None:
    mean = next(r for r in swept[1].results if r.analysis == "head_ablation")
    rows = [r for r in results(swept[0], "head_ablation") if not r.error]
    stacked = np.stack([r.values for r in rows]).reshape(5, *mean.values.shape)
    np.testing.assert_allclose(mean.values, stacked.mean(0))
    np.testing.assert_allclose(mean.extra["se"].values, stacked.std(0, ddof=1) / np.sqrt(5))
    assert (mean.extra["n"].values == 5).all()
    assert (mean.extra["low"].values <= mean.values).all()
    assert (mean.extra["high"].values >= mean.values).all()
    size = np.abs(stacked)
    over = (size - size.mean((1, 2), keepdims=True)).mean(0)
    np.testing.assert_allclose(mean.extra["over_control"].values, over)
    assert mean.metric.target is None
    assert "mean over the rows of a dataset" in " ".join(mean.to_text().split())


def test_groups_stand_side_by_side_with_their_difference(swept: tuple[Path, Document]) -> None:
    heads = [r for r in swept[1].results if r.analysis == "head_ablation"]
    assert [r.params.get("group") for r in heads] == [None, "label=A", "label=B", "label=A − B"]
    _, a, b, difference = heads
    np.testing.assert_allclose(difference.values, a.values - b.values)
    assert {"p_value", "p_family"} <= set(difference.extra)


def test_tokens_of_prompts_of_different_lengths_meet_by_their_role(
    swept: tuple[Path, Document],
) -> None:
    mean = next(r for r in swept[1].results if r.analysis == "causal_trace")
    roles = mean.axis("token").labels
    assert set(roles) <= {
        "before", "subject first", "subject middle", "subject last", "next", "further", "explained",
    }  # fmt: skip
    last = roles.index("subject last")
    own = []
    for r in results(swept[0], "causal_trace"):
        if not r.error:
            values = r.values.reshape([len(axis.labels) for axis in r.axes])
            own.append(values[:, r.roles.index("subject last")])
    np.testing.assert_allclose(mean.values[:, last], np.mean(own, axis=0))
    before = roles.index("before")  # two prompts begin with their subject
    assert (mean.extra["n"].values[0, before], mean.extra["n"].values[0, last]) == (2, 4)
    assert any("each cell has those with a value: 2 to 4 (n)" in warned for warned in mean.warnings)


def test_tokens_by_index_are_refused_where_lengths_differ(swept: tuple[Path, Document]) -> None:
    document = aggregate(SweepFolder.open(swept[0]), AggregateSettings(align="index"))
    assert {r.analysis for r in document.results} == {"head_ablation"}
    assert any("do not stand together" in warning for warning in document.results[0].warnings)


@pytest.mark.parametrize("save", ["mean", "top=3"])
def test_means_alone_are_those_of_the_values(
    tmp_path: Path, swept: tuple[Path, Document], save: str
) -> None:
    data = put(tmp_path, ROWS)
    both = [
        sweep(
            LM, data, ANALYSES, tmp_path / own, params=PARAMS, group="label", save=own, align="role"
        )
        for own in ("values", save)
    ]
    for whole, summed in zip(
        [r for r in both[0].results if "−" not in r.params.get("group", "")],
        both[1].results,
        strict=True,
    ):
        assert (whole.analysis, whole.params.get("group")) == (
            summed.analysis, summed.params.get("group"),
        )  # fmt: skip
        # A group of the whole has the roles of all rows; one that it lacks itself is a gap.
        places = [
            [own.labels.index(label) for label in axis.labels]
            for own, axis in zip(whole.axes, summed.axes, strict=True)
        ]
        at = np.ix_(*places)
        missing = np.ones(whole.values.shape, dtype=bool)
        missing[at] = False
        assert np.isnan(whole.values[missing]).all()
        np.testing.assert_allclose(summed.values, whole.values[at], atol=1e-12)
        for name in ("n", "se"):
            expected = whole.extra[name].values[at]
            np.testing.assert_allclose(summed.extra[name].values, expected, atol=1e-9)
        sided = np.abs(summed.values) > 1e-12  # what is nothing but rounding has no side
        signs = [r.extra["same_sign"].values for r in (summed, whole)]
        np.testing.assert_allclose(signs[0][sided], signs[1][at][sided])
    kept = {len(r.values) for r in results(tmp_path / save)}
    assert kept == ({0} if save == "mean" else {3})


def test_a_filter_takes_the_rows_that_fit(swept: tuple[Path, Document]) -> None:
    folder = SweepFolder.open(swept[0])
    only = aggregate(folder, AggregateSettings(where="label=A"))
    heads = next(r for r in swept[1].results if r.params.get("group") == "label=A")
    np.testing.assert_allclose(only.results[0].values, heads.values)
    with pytest.raises(BadParameter, match="no row"):
        aggregate(folder, AggregateSettings(where="label=C"))
    with pytest.raises(BadParameter, match="where a sign"):
        aggregate(folder, AggregateSettings(where="label"))


def test_the_parts_have_the_schema_that_is_documented(swept: tuple[Path, Document]) -> None:
    part = SweepFolder.open(swept[0]).parts()[0]
    table = parquet.read_table(part)
    assert table.schema.metadata[b"schema"] == b"interpboard/sweep/1"
    documented = Path("docs/sweeps.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in documented for name in table.schema.names)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"analyses": []}, "needs an analysis"),
        ({"analyses": ["circuit"]}, "cannot be swept"),
        ({"analyses": ["tune_lens"]}, "cannot be swept"),
        ({"analyses": ["linear_probe"]}, "takes the dataset itself: interpboard probe"),
        ({"analyses": ["stream_pca"]}, "takes the dataset itself"),
        ({"analyses": ["head_ablation", "head_ablation"]}, "asked for twice"),
        ({"analyses": ["head_ablation"], "save": "top=x"}, "no number"),
        ({"analyses": ["head_ablation"], "save": "all"}, "takes no 'all'"),
        ({"analyses": ["head_ablation"], "align": "left"}, "takes no 'left'"),
        ({"analyses": ["what_if"]}, "--param what_if.interventions="),
        ({"analyses": ["head_ablation"], "params": {"head_ablation": {"nope": 1}}}, "no parameter"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_a_row_is_seen(
    tmp_path: Path, given: dict[str, object], said: str
) -> None:
    data = put(tmp_path, ROWS[:1])
    with pytest.raises(BadParameter, match=said):
        sweep(LM, data, **{"output": tmp_path / "out", **given})
    assert not (tmp_path / "out").exists()


def test_words_of_different_lengths_meet_by_their_place_in_the_text(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"text": "Mary gave the book to"},
        {"text": "Elizabeth gave the drink to"},
        {"text": "Tom gave it to Mary Anne Lee"},
    ]
    out = tmp_path / "out"
    mean = sweep(LM, put(tmp_path, rows), ["logit_lens"], out, align="word").results[0]
    assert mean.axis("token").labels == tuple(f"word {i}" for i in range(1, 8))
    assert mean.extra["n"].values[0].tolist() == [3] * 5 + [1] * 2
    own = []
    for row in results(out)[:2]:
        values = row.values.reshape([len(axis.labels) for axis in row.axes])
        own.append(values[:, [role == "word 1" for role in row.roles]].mean(1))
    assert len({len(row.roles) for row in results(out)[:2]}) == 2
    both = aggregate(SweepFolder.open(out), AggregateSettings(where="row<2")).results[0]
    np.testing.assert_allclose(both.values[:, 0], np.mean(own, axis=0))
    with pytest.raises(BadParameter, match="known by word, not by role"):
        aggregate(SweepFolder.open(out), AggregateSettings(align="role"))
