"""``interpboard compare``: B − A of two saved files, and one line for what cannot be compared."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from interpboard.cli import main as cli
from interpboard.results import Document
from tests import sample


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Predictions, attributions and heads; in B the heads do twice as much, and there is no lens."""
    twice = msgspec.structs.replace(sample.ablation(), values=2 * sample.ablation().values)
    a = sample.full().save(tmp_path / "a.json")
    b = sample.document(sample.predictions(), twice, model="tuned").save(tmp_path / "b.json")
    return [str(a), str(b)]


@pytest.mark.parametrize("form", ["text", "md", "csv", "html", "json"])
def test_the_difference_is_written_in_any_format_and_names_both_sides(
    files: list[str], form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["compare", *files, "--format", form]) == 0
    out, err = capsys.readouterr()
    for word in ("difference of head_ablation", "demo", "tuned"):
        assert word in out
    assert "left out: integrated_gradients: only in A." in err
    assert err.count("different models: A demo, B tuned") == 1  # of all differences alike


def test_what_is_written_as_json_is_read_again_and_is_b_less_a(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "difference.json"
    assert cli.main(["compare", *files, "-o", str(out)]) == 0
    read = Document.load(out)
    np.testing.assert_array_equal(
        read.result("difference of head_ablation").values, sample.ablation().values
    )
    assert cli.main(["report", str(out)]) == 0
    assert "positive: larger in B" in capsys.readouterr().out


def test_what_cannot_be_compared_is_one_line_and_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = sample.document(sample.ablation()).save(tmp_path / "a.json")
    b = sample.document(sample.lens()).save(tmp_path / "b.json")
    assert cli.main(["compare", str(a), str(b)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "error: Nothing can be compared. head_ablation: only in A." in err
    assert err.count("\n") == 1
    damaged = tmp_path / "c.json"
    damaged.write_text(json.dumps({"schema": "interpboard/1"}), encoding="utf-8")
    assert cli.main(["compare", str(a), str(damaged)]) == 2
    assert "not a result of interpboard" in capsys.readouterr().err
