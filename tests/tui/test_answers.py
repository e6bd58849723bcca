"""The fake engine's answers have the form of the real ones: a pane that reads the one reads the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from interpboard.analyze import begin
from interpboard.engine import protocol
from interpboard.results import Result
from interpboard.runs.watch import SILENT
from tests.lm import TEXT, tiny_lm
from tests.mixtures import mixture
from tests.tui.answers import canned, tokens_of
from tui.catalogue import SLOTS
from tui.session.interventions import stack_from_text
from tui.session.selection import Selection
from tui.session.state import Model, Request, State
from tui.slots.spec import Slot

CASES = [(slot, method) for slot in SLOTS for method in (slot.methods or tuple)() or ("",)]


def everything_to_ask(folder: Path) -> State:
    """A state in which every slot has something to ask of the tiny model."""
    corpus = folder / "corpus.txt"
    corpus.write_text("The city of Paris is located in France. " * 40, encoding="utf-8")
    state = State(
        model=Model(tiny_lm().info, "replay", 0, 0),
        marked=(TEXT, (1, 2)),
        corrupted=TEXT.replace("city", "Tower"),
        interventions=stack_from_text("0.1=zero; 1.mlp=zero"),
        analyses={"trace": "activation_patching"},
        selection=Selection(neuron=(1, 3)),
        params={
            "steering": {"positive": ["good"], "negative": ["bad"], "layer": 1},
            "training": {"corpus": str(corpus), "out": str(folder / "lens"), "steps": 2},
            "collecting": {
                "corpus": str(corpus),
                "out": str(folder / "examples.safetensors"),
                "length": 32,
            },
        },
    )
    heads = canned(protocol.RunAnalysis(0, "head_ablation", TEXT), tokens_of(TEXT), 3, 4)[1]
    state = state.with_slot("heads", result=heads, request=Request("head_ablation", state.question))
    return replace(state, selection=replace(state.selection, searched=state.question))


def form(result: Result) -> tuple[list[str], dict[str, list[str]]]:
    """The names of the axes, and those of the extras with their axes."""
    extras = {name: [axis.name for axis in one.axes] for name, one in result.extra.items()}
    return [axis.name for axis in result.axes], extras


def names(cases: list[tuple[Slot, str]]) -> Iterator[str]:
    for slot, method in cases:
        yield f"{slot.name}-{method}" if method else slot.name


@pytest.mark.parametrize(("slot", "method"), CASES, ids=list(names(CASES)))
def test_the_fake_engine_answers_in_the_form_of_the_real_one(
    slot: Slot, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = everything_to_ask(tmp_path)
    if method:
        state = replace(state, analyses={**state.analyses, slot.name: method})
    request = slot.request(state)
    assert request is not None, f"{slot.name} has nothing to ask"
    assert not method or request.analysis == method
    params = dict(request.params)
    metric = protocol.MetricRequest(request.metric or request.question.metric)
    lm = mixture("mixtral") if slot.name == "experts" else tiny_lm()
    begun = begin(lm, request.question.text, request.analysis, metric, params)
    real = begun.run(SILENT)
    run = protocol.RunAnalysis(0, request.analysis, request.question.text, metric, params)
    layers, heads = lm.info.layers, lm.info.heads
    _, fake = canned(run, tokens_of(request.question.text), layers, heads)
    assert form(fake) == form(real)
    assert [one.values.dtype.kind for one in fake.extra.values()] == [
        real.extra[name].values.dtype.kind for name in fake.extra
    ]
