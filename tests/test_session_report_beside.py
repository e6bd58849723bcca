"""The MLPs that Heads shows are a column of its table in a session's report, and nothing of their own."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np

from interpboard.results import Axis, Document, LabelledArray, Result
from interpboard.session_report import session_in, session_page, written
from interpboard.store import SavedSession, SessionBook
from interpboard.visualization.session_page import PageResult
from tests import sample
from tests.test_sessions import book

EFFECTS = [0.5 + layer for layer in range(sample.LAYERS)]


def mlps(put: str) -> Result:
    """Every MLP taken away alone, as the app asks it."""
    asked = tuple(f"{layer}.mlp={put}" for layer in range(sample.LAYERS))
    return sample.result(
        "what_if",
        (Axis("run", ("clean", "edited")),),
        [17.0, 3.0],
        {
            "effect": LabelledArray((), np.array(-14.0)),
            "alone": LabelledArray((Axis("intervention", asked),), np.array(EFFECTS)),
        },
        params={"interventions": "; ".join(asked), "top_k": 1},
    )


def session(*put: str) -> tuple[SessionBook, SavedSession]:
    own = book()
    number = own.begin(1.0)
    runs = [("mlp_ablation", mlps(each)) for each in put]
    for at, (slot, result) in enumerate([*runs, ("heads", sample.ablation())]):
        run = own.store.add(sample.document(result), slot, {"target": None}, float(at))
        own.add(number, run, float(at))
    own.name(number, f"look {number}")
    return own, own.find(f"look {number}")


def results(*put: str) -> list[PageResult]:
    (section,) = session_page(*session(*put)).sections
    return list(section.results)


def test_the_mlps_taken_away_as_the_heads_are_are_their_column() -> None:
    (heads,) = results("zero")
    assert heads.result.analysis == "head_ablation"
    np.testing.assert_array_equal(heads.result.extra["mlp"].values, EFFECTS)
    np.testing.assert_array_equal(heads.result.values, sample.ablation().values)
    text = written(session_page(*session("zero")), "md")
    rows = [line for line in text.splitlines() if line.startswith("| `") and line.count("|") > 4]
    assert "`MLP`" in next(line for line in text.splitlines() if "layer / head" in line)
    shown = [float(row.rstrip("| ").rpartition("|")[2]) for row in rows[-sample.LAYERS :]]
    np.testing.assert_allclose(shown, EFFECTS)
    assert "### What if" not in text


def test_both_lines_that_make_the_numbers_again_stand_below_them() -> None:
    (heads,) = results("zero")
    first, second = heads.command.splitlines()
    assert "head_ablation" in shlex.split(first)
    asked = mlps("zero").params["interventions"]
    assert f"what_if.interventions={asked}" in shlex.split(second)
    compile(heads.python, "lines", "exec")


def test_the_column_is_there_in_the_json_and_when_it_is_read_again(tmp_path: Path) -> None:
    page = session_page(*session("zero"))
    whole = json.loads(written(page, "json"))
    (only,) = whole["sections"][0]["results"]
    document = Document.from_json(json.dumps(only["document"]))
    np.testing.assert_array_equal(document.results[0].extra["mlp"].values, EFFECTS)
    path = tmp_path / "session.json"
    path.write_text(written(page, "json"))
    read = session_in(path)
    assert read is not None
    assert written(read, "md") == written(page, "md")


def test_mlps_otherwise_taken_away_stay_a_result_of_their_own() -> None:
    names = [each.result.analysis for each in results("mean", "zero")]
    assert sorted(names) == ["head_ablation", "what_if"]
    names = [each.result.analysis for each in results("mean")]
    assert sorted(names) == ["head_ablation", "what_if"]
    (heads,) = [r for r in results("mean") if r.result.analysis == "head_ablation"]
    assert "mlp" not in heads.result.extra
