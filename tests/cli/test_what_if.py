"""``what-if``: heads are chosen, held, compared with a random set, and the printed line makes it again."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from interpboard.cli import main as cli

TEXT = "The Eiffel Tower is located in the city of"


def ran(capfd: pytest.CaptureFixture[str], *words: str) -> tuple[dict[str, Any], list[str]]:
    assert cli.main([*words]) == 0
    out, err = capfd.readouterr()
    return json.loads(out), err.splitlines()


def test_the_strongest_heads_are_off_beside_a_random_set_and_the_line_makes_it_again(
    capfd: pytest.CaptureFixture[str],
) -> None:
    asked = ("what-if", "-t", TEXT, "--heads", "strongest=3", "--seed", "7", "-f", "json")
    first, said = ran(capfd, *asked)
    grid, held = first["results"]
    assert (grid["analysis"], held["analysis"]) == ("head_ablation", "what_if")
    cells = {
        f"{i}.{j}": abs(value)
        for i, row in enumerate(grid["values"])
        for j, value in enumerate(row)
    }
    largest = sorted(cells, key=lambda place: -cells[place])[:3]
    assert held["params"]["interventions"] == f'"strongest 3"{{{", ".join(largest)}}}=zero'
    assert said[-4].startswith(
        f"strongest 3: {' '.join(largest)} (furthest from 0 in logit of ·Paris"
    )
    assert said[-3].startswith("random 3, seed 7: ")
    drawn = said[-3].partition(": ")[2].partition(" (")[0].split()
    assert not set(drawn) & set(largest)
    effect, other = held["extra"]["effect"]["values"], held["extra"]["control"]["values"][0]
    assert said[-2] == (
        f"effect on logit of ·Paris: strongest 3 {effect:+.4g}, random 3, seed 7 {other:+.4g}"
    )
    label, _, line = said[-1].partition(": ")
    assert label == "again"
    again, _ = ran(capfd, *shlex.split(line)[1:])
    (result,) = again["results"]
    assert result["values"] == held["values"]
    assert result["extra"]["control"] == held["extra"]["control"]


def test_a_layer_and_own_interventions_go_without_a_control(
    capfd: pytest.CaptureFixture[str],
) -> None:
    asked = (
        "what-if",
        "-t",
        TEXT,
        "--heads",
        "layer=1",
        "--interventions",
        "0.3=mean",
        "--no-control",
    )
    document, said = ran(capfd, *asked, "--put", "mean", "-f", "json")
    (result,) = document["results"]
    assert result["params"]["interventions"].startswith('"layer 1"{1.0, 1.1')
    assert result["params"]["interventions"].endswith("1.mlp}=mean; 0.3=mean")
    assert "control" not in result["extra"]
    alone = result["extra"]["alone"]["values"][0]
    assert f"effect on logit of ·Paris: layer 1 {alone:+.4g}" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "There is no intervention"),
        (("--interventions", "nonsense"), "Cannot read the intervention 'nonsense'"),
        (("--heads", "weakest=3"), "Cannot choose heads by 'weakest=3'"),
        (("--heads", "strongest=33"), "33 heads cannot be chosen: 32 have a value"),
        (("--heads", "strongest=17"), "needs 17 heads outside the set, and 15 are left"),
        (("--heads", "type=tail"), "No head is typed 'tail'"),
        (
            ("--heads", "layer=1", "--interventions", "1.2=mean"),
            "1.2 is put to zero and to mean at once",
        ),
        (("--heads", "strongest=2", "--put", "patch"), "reference"),
    ],
)
def test_what_is_no_intervention_is_one_line_and_exit_code_2(
    words: tuple[str, ...], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["what-if", "-t", TEXT, *words]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    last = err.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert said in last


def test_a_chat_is_asked_as_analyze_asks_it(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    template = tmp_path / "template.jinja"
    template.write_text("{% for m in messages %}{{ m.content }} is{% endfor %}")
    chat = ("--user", "The capital of France", "--chat-template", str(template))
    held, said = ran(capfd, "what-if", *chat, "--heads", "layer=1", "-f", "json")
    plain, _ = ran(
        capfd, "what-if", "-t", "The capital of France is", "--heads", "layer=1", "-f", "json"
    )
    assert held["prompt"]["text"] == "The capital of France is"
    assert held["results"][-1]["values"] == plain["results"][-1]["values"]
    assert any(line.startswith("again: interpboard analyze") and "--chat=" in line for line in said)


def test_a_chat_and_a_text_at_once_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["what-if", "-t", TEXT, "--user", "Hello", "--heads", "layer=1"]) == 2
    assert "A prompt is a text or a chat, not both." in capsys.readouterr().err
