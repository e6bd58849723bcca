"""The lines that are copied really make the result again: they are run."""

from __future__ import annotations

import shlex
import subprocess
import sys
from functools import cache
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interpboard import open_model
from interpboard.analyze import analyze
from interpboard.cli import main as cli
from interpboard.cli.options import choose_params
from interpboard.registry import ANALYSES
from interpboard.registry.parameter import Parameter
from interpboard.reproduce import command_line, own_params, python_lines
from interpboard.results import Document, MetricRequest
from tests import sample
from tests.cli.process import ROOT
from tests.forks import program

TEXT = "The Eiffel Tower is located in the city of"
CORRUPTED = "The Brandenburg Gate is located in the city of"
CASES: list[tuple[str, list[str], MetricRequest, dict[str, dict[str, Any]]]] = [
    (TEXT, ["head_ablation"], MetricRequest(), {"head_ablation": {"ablation": "mean"}}),
    (TEXT, ["head_ablation"], MetricRequest("prob", " Rome", None, 5),
     {"head_ablation": {"layers": (0, 2), "heads": (1,)}}),
    (TEXT, ["head_ablation"], MetricRequest("prob"),
     {"head_ablation": {"ablation": "dataset_mean", "references": (CORRUPTED, "Rome is in")}}),
    (TEXT, ["predictions", "logit_lens", "integrated_gradients"],
     MetricRequest("logit_diff", " Paris", " Rome"), {"predictions": {"top_k": 3}}),
    (TEXT, ["causal_trace"], MetricRequest("prob"),
     {"causal_trace": {"subject": "Eiffel Tower", "samples": 2, "noise": 1.5}}),
    ("It's \"a\" $HOME `x` \\ [/INST]\n\ttab\x1b[31m é 日本 \u202e!", ["predictions"],
     MetricRequest(), {}),
    ("-", ["predictions"], MetricRequest(), {}),
    ("--model", ["predictions"], MetricRequest(), {}),
]  # fmt: skip


@cache
def demo() -> Any:
    return open_model("demo", device="cpu", dtype="float32")


def words_of(line: str) -> list[str]:
    """The arguments as bash understands them."""
    script = line.replace("interpboard analyze", "printf '%s\\0' analyze", 1)
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True)
    return done.stdout.decode().split("\0")[:-1]


def same(one: Document, other: Document) -> None:
    assert (one.model, one.prompt) == (other.model, other.prompt)
    for a, b in zip(one.results, other.results, strict=True):
        assert (a.analysis, a.metric) == (b.analysis, b.metric)
        np.testing.assert_array_equal(a.values, b.values)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[1][0]} {case[0][:8]!r}")
def test_the_python_lines_and_the_command_line_make_the_same_result(
    case: tuple[Any, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text, names, asked, params = case
    made = analyze(demo(), text, names, asked, params)
    made = Document.from_json(made.to_json())  # as it comes from the engine: lists for tuples
    found: dict[str, Any] = {}
    exec(compile(python_lines(made, asked), "lines", "exec"), found)
    capsys.readouterr()
    same(found["document"], made)
    words = words_of(command_line(made, asked))
    if text == "-":
        import types

        stream = types.SimpleNamespace(buffer=types.SimpleNamespace(read=lambda: b"-"))
        monkeypatch.setattr(sys, "stdin", stream)
    assert cli.main(words) == 0
    same(Document.from_json(capsys.readouterr().out), made)


def test_the_command_line_runs_in_a_real_shell() -> None:
    text, names, asked, params = CASES[1]
    made = analyze(demo(), text, names, asked, params)
    line = command_line(made, asked).replace("interpboard", shlex.join(program("interpboard")), 1)
    done = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, check=True)
    same(Document.from_json(done.stdout), made)


@settings(deadline=None, max_examples=40)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20))
def test_any_text_survives_the_shell_and_holds_no_control_character(text: str) -> None:
    document = sample.full()
    prompt = msgspec.structs.replace(document.prompt, text=text)
    line = command_line(msgspec.structs.replace(document, prompt=prompt), MetricRequest())
    assert line.rstrip("\n").isprintable()
    if text != "-":
        assert words_of(line)[-1] == f"--text={text}"


def _values(parameter: Parameter) -> st.SearchStrategy[Any]:
    """What a parsed parameter of that kind can be, but for positions, which are written as text."""
    line = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
    least, most = parameter.minimum, parameter.maximum
    if parameter.choices:
        one: st.SearchStrategy[Any] = st.sampled_from(parameter.choices)
    elif parameter.kind is int:
        one = st.integers(int(least or 0), int(1000 if most is None else most))
    elif parameter.kind is float:
        one = st.floats(-5 if least is None else least, 5 if most is None else most)
    elif parameter.kind is bool:
        one = st.booleans()
    elif parameter.many:
        one = st.from_regex(r"[0-9]{1,2}\.[0-9]{1,2}", fullmatch=True)
    else:
        one = line
    one = st.sampled_from(parameter.words) | one if parameter.words else one
    return st.lists(one, min_size=1, max_size=3).map(tuple) | st.none() if parameter.many else one


@pytest.mark.parametrize("name", sorted(ANALYSES))
@settings(deadline=None, max_examples=4)
@given(st.data())
def test_every_kind_of_parameter_is_read_back_from_the_command_line(
    name: str, data: st.DataObject
) -> None:
    own = [p for p in ANALYSES[name].parameters if not p.written]
    params = {p.name: data.draw(_values(p), label=p.name) for p in own}
    result = sample.result(name, (), 1.0, params=params)
    words = words_of(command_line(sample.document(result), MetricRequest()))
    written = [word for word in words if word.startswith(f"{name}.")]
    read = ANALYSES[name].parse(dict.fromkeys(ANALYSES[name].required, "?"))
    read |= choose_params(written, [name]).get(name, {}) if written else {}
    assert {key: read[key] for key in own_params(result)} == own_params(result)


def test_what_no_command_line_can_say_is_a_comment() -> None:
    result = sample.result("causal_trace", (), 1.0, params={"subject": [1, 3], "samples": 10})
    line = command_line(sample.document(result), MetricRequest())
    assert "causal_trace.subject=1,3" in line  # positions, since these words stand apart
    result = sample.result("causal_trace", (), 1.0, params={"subject": [1, 99], "samples": 10})
    line = command_line(sample.document(result), MetricRequest())
    assert line == "# no command line can say causal_trace.subject = [1, 99]\n"
    assert "[1, 99]" in python_lines(sample.document(result), MetricRequest())
