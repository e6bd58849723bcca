"""A sweep in the words of a command line is the same sweep again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from interpboard.cli import sweep_command
from interpboard.cli.main import main
from interpboard.datasets.columns import columns_of
from interpboard.datasets.dataset import open_dataset
from interpboard.errors import BadParameter
from interpboard.results import MetricRequest
from interpboard.sweeps.command_words import sweep_words
from interpboard.sweeps.request import sweep_request
from interpboard.sweeps.standing import SweepWorkers
from tests.sweeps.quick_rows import MODEL

SHARED = ("workers", "gpus_per_worker", "ray")
PARAMS = {"head_ablation": {"ablation": "mean"}, "integrated_gradients": {"n_steps": 7}}


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    found: list[Any] = []

    def hear(*given: Any, **named: Any) -> None:
        found.extend((*given, named["level"], [named[key] for key in SHARED]))
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep_command, "swept", hear)
    return found


@pytest.mark.parametrize(
    "request_",
    [
        sweep_request(["head_ablation"]),
        sweep_request(["head_ablation", "integrated_gradients"], PARAMS, group="a label"),
        sweep_request(
            ["logit_lens"], metric=MetricRequest("logit_diff", " Paris", "-Rome", 3), save="top=4",
            align="role",
        ),
    ],
)  # fmt: skip
def test_the_words_give_the_same_rows_request_model_and_folder(
    tmp_path: Path, heard: list[Any], request_: Any
) -> None:
    data = tmp_path / "-rows, of mine.jsonl"
    data.write_text(json.dumps({"prompt": "A b", "a label": "x"}))
    columns = columns_of([("text", "prompt"), ("target", " {a label}, so")])
    dataset = open_dataset([data], columns, limit=4, shuffle=7)
    model = replace(MODEL, name="some/model", dtype="float32", special_tokens=False)
    by = SweepWorkers(3, 0.5, "10.0.0.1:6379")
    words = sweep_words(dataset, request_, model, tmp_path / "out", 0.8, by)
    assert main(words) == 130
    choice, again, asked, output, level, shared = heard
    assert shared == [3, 0.5, "10.0.0.1:6379"]
    assert level == 0.8
    assert (choice.model, choice.dtype, choice.special_tokens) == ("some/model", "float32", False)
    assert (again, asked, output) == (dataset, request_, tmp_path / "out")


def test_a_parameter_that_no_command_line_can_say_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text('{"text": "A b"}')
    asked = sweep_request(["head_ablation"], {"head_ablation": {"references": ["One, two"]}})
    with pytest.raises(BadParameter, match=r"No command line can say head_ablation\.references"):
        sweep_words(open_dataset([data]), asked, MODEL, tmp_path / "out")
