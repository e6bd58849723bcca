"""What ``c`` copies, for every pane: the lines are run, and make the numbers on the screen again.

As the panes open all is computed anew by each line. For other looks it is enough that a line asks for what
the pane has asked for, to the last argument: then its answer is at hand.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

import interpboard
from interpboard import open_model
from interpboard.analyze import analyze
from interpboard.cli import main as cli
from interpboard.models import language_model
from interpboard.registry import Analysis
from interpboard.results import Document, MetricRequest
from tui.catalogue import SLOTS, pane_slots, screens
from tui.session.code import code, result_documents
from tui.session.interventions import stack_from_text
from tui.session.state import Model, Question, State

TEXT = "The Eiffel Tower is located in the city of"
PAIR = "The London Bridge is located in the city of"
AS_IT_OPENS = "as it opens"
LOOKS = {
    AS_IT_OPENS: State(Question(TEXT), marked=(TEXT, (1, 2, 3))),
    "a probability, another position, methods chosen": State(
        Question(TEXT, "prob", position=5),
        analyses={"tokens": "occlusion"},
        params={"heads": {"ablation": "mean"}},
        marked=(TEXT, (1, 2)),
    ),
    "a pair, a foil and an intervention": State(
        Question(TEXT, "logit_diff", " Paris", " Rome"),
        corrupted=PAIR,
        analyses={"trace": "activation_patching"},
        params={
            "heads": {"ablation": "resample"},
            "trace": {"site": "mlp"},
            "steering": {
                "positive": "It is\nHe is",
                "negative": "He",
                "layer": 1,
                "scales": (1.5,),
            },
        },
        interventions=stack_from_text('0.3=zero; 3.mlp=mean; 1.resid@4=patch; @4=" at"'),
    ),
}
BY_NAME = {slot.name: slot for slot in SLOTS}


@cache
def demo() -> Any:
    return open_model("demo", device="cpu", dtype="float32")


def filled(look: str) -> State:
    """Every slot that asks something answered, as the engine does."""
    lm = demo()
    state = replace(LOOKS[look], model=Model(lm.info, "", 0, 0))
    for slot in SLOTS:
        request = slot.request(state)
        if request is None or request.analysis == "expert_routing":  # the demo has no experts
            continue
        ask = request.question
        asked = MetricRequest(request.metric or ask.metric, ask.target, ask.foil, ask.position)
        made = analyze(lm, ask.text, [request.analysis], asked, {request.analysis: request.params})
        made = Document.from_json(made.to_json())
        (result,) = made.results
        state = state.with_slot(slot.name, result=result, prompt=made.prompt, request=request)
    return state


@pytest.fixture
def asked_once(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What analyses have answered, by all that they were asked; one asked the same again does not compute."""
    known: dict[str, Any] = {}
    load = Analysis.load

    def loaded(analysis: Analysis) -> Any:
        compute = load(analysis)

        def remembered(lm: Any, prompt: Any, metric: Any, *, watch: Any, **params: Any) -> Any:
            of = (
                analysis.name,
                lm.info,
                lm.model.config,
                prompt,
                metric.info,
                sorted(params.items()),
            )
            if repr(of) not in known:
                known[repr(of)] = compute(lm, prompt, metric, watch=watch, **params)
            return known[repr(of)]

        return remembered

    monkeypatch.setattr(Analysis, "load", loaded)
    return known


@pytest.mark.parametrize("look", LOOKS)
def test_the_copied_lines_of_every_pane_make_its_numbers_again(
    look: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    if look != AS_IT_OPENS:
        request.getfixturevalue("asked_once")
    monkeypatch.setattr(interpboard, "open_model", lambda *a, **k: demo(), raising=False)
    monkeypatch.setattr(language_model, "open_model", lambda *a, **k: demo())
    state = filled(look)
    seen: set[str] = set()
    run = cache(lambda line: _run(line, capsys))  # panes that stand beside each other share lines
    for own in (*pane_slots(), *screens()):
        if own.name == "experts":  # the demo has none
            continue
        slots = [own, *(BY_NAME[name] for name in own.beside)]
        wanted = list(result_documents(state, slots))
        if not wanted:
            assert own.name in ("circuit", "steering")
            continue
        text = code(state, slots)
        exec(compile(text, own.name, "exec"), {})
        printed = _documents(capsys.readouterr().out)
        lines = [line for line in text.splitlines() if line.startswith("# interpboard")]
        again = [run(line.removeprefix("# ")) for line in lines]
        assert len(printed) == len(lines) == len(wanted)
        for at, (document, _) in enumerate(wanted):
            _same(printed[at], document)
            _same(again[at], document)
            seen |= {result.analysis for result in document.results}
    assert {"head_ablation", "logit_lens", "attention", "neurons", "predictions"} <= seen
    assert ("activation_patching" if state.corrupted else "causal_trace") in seen
    assert ("what_if" in seen) or state.params["heads"]["ablation"] == "resample"


def _documents(printed: str) -> list[Document]:
    decoder, found = json.JSONDecoder(), []
    while printed := printed.lstrip():
        _, end = decoder.raw_decode(printed)
        found.append(Document.from_json(printed[:end]))
        printed = printed[end:]
    return found


def _run(line: str, capsys: pytest.CaptureFixture[str]) -> Document:
    script = line.replace("interpboard analyze", "printf '%s\\0' analyze", 1)
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True)
    assert cli.main(done.stdout.decode().split("\0")[:-1]) == 0
    return Document.from_json(capsys.readouterr().out)


def _same(one: Document, other: Document) -> None:
    assert one.prompt == other.prompt
    for a, b in zip(one.results, other.results, strict=True):
        assert (a.analysis, a.metric) == (b.analysis, b.metric)
        np.testing.assert_array_equal(a.values, b.values)
        assert set(a.extra) == set(b.extra)
        for name, array in a.extra.items():
            np.testing.assert_array_equal(array.values, b.extra[name].values)
