"""An encoder–decoder on the command line: source and prefix of the target."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from interpboard.cli.main import main
from tests.strips import strips_model
from tests.tiny import tiny_tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("t5")
    strips_model("t5").save_pretrained(place)
    tiny_tokenizer().save_pretrained(place)
    return place


def test_a_decoder_text_is_the_same_as_bars_in_the_text(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    usual = ["analyze", "-m", str(folder), "-a", "head_ablation", "-f", "json"]
    apart = [*usual, "--text", "The Eiffel Tower is in", "--decoder-text", "the city"]
    assert main(apart) == 0
    first = json.loads(capsys.readouterr().out)
    assert main([*usual, "--text", "The Eiffel Tower is in ||| the city"]) == 0
    second = json.loads(capsys.readouterr().out)
    assert first["prompt"] == second["prompt"]
    assert first["prompt"]["border"] == 5
    assert first["results"][0]["values"] == second["results"][0]["values"]
    assert first["model"]["layer_names"] == ["E0", "E1", "D0", "X0", "D1", "X1"]


def test_without_a_name_every_analysis_that_the_model_has_is_run(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["analyze", "-m", str(folder), "-t", "The Tower ||| the", "-f", "json"]) == 0
    names = {result["analysis"] for result in json.loads(capsys.readouterr().out)["results"]}
    assert {"predictions", "integrated_gradients", "head_ablation", "logit_lens"} <= names
    assert "direct_logit_attribution" not in names


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--decoder-text", "the"], "needs a source"),
        (["--text", "a ||| b", "--decoder-text", "the"], "may hold"),
        (["--text", "The Tower", "--decoder-text", "the", "-m", "demo"], "reads one text"),
    ],
)
def test_a_decoder_text_that_goes_nowhere_is_refused(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["analyze", "-a", "predictions", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_set_of_heads_and_its_control_are_of_the_three_groups(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["what-if", "-m", str(folder), "-t", "The Tower ||| the", "-f", "json"]
    for heads in ("strongest=2", "layer=2"):
        assert main([*words, "--heads", heads]) == 0, capsys.readouterr().err
        printed = capsys.readouterr()
        (result,) = [
            each for each in json.loads(printed.out)["results"] if each["analysis"] == "what_if"
        ]
        assert result["params"]["interventions"].count(".") == 2
        assert "random 2" in result["params"]["controls"]
        assert "D0.mlp" not in printed.out
