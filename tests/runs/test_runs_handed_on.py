"""What the clean run is handed on to: gradients, calls by hand, and the request after it.

Hooks that count are there from the first: one more is another model.
"""

from __future__ import annotations

import copy
import gc
import io
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from msgspec import structs
from torch.nn.attention import SDPBackend, sdpa_kernel

from interpboard.analyze import analyze, begin
from interpboard.attribution import GradientAttributor, PerturbationAttributor
from interpboard.attribution.saliency import saliency
from interpboard.circuits import AttentionHeadAblator, LogitLens, NeuronAnalyzer
from interpboard.circuits.lens.logit import logit_lens
from interpboard.engine import protocol
from interpboard.engine.jobs import Queue
from interpboard.engine.outbox import Outbox
from interpboard.engine.worker import Worker
from interpboard.errors import InterpBoardError
from interpboard.models import attention_backends
from interpboard.models.language_model import LanguageModel
from interpboard.models.sites import at_site
from interpboard.patching import ActivationPatcher
from interpboard.results import MetricRequest, Result
from interpboard.runs.clean_runs import CleanRuns
from interpboard.runs.finite import prompt_logits
from interpboard.runs.gradients.embeddings import (
    metric_and_gradient,
    metric_of_embeddings,
    prompt_embeddings,
)
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import make_prompt
from interpboard.runs.record import record
from interpboard.runs.shared import sharing
from interpboard.runs.watch import SILENT
from tests.lm import TEXT, case, tiny_lm
from tests.runs.test_clean_runs import CORRUPTED, alone, assert_same, whole_passes
from tests.tiny import tiny_model, tiny_tokenizer

Changes = Callable[[LanguageModel], None]


@pytest.fixture
def own_lm() -> LanguageModel:
    """A model that a test may change."""
    return LanguageModel.of(tiny_model("gpt2"), tiny_tokenizer(), "own")


def test_methods_that_begin_with_the_same_gradient_take_one_pass_back() -> None:
    lm = tiny_lm("gpt2")
    both = {"methods": ["saliency", "grad_x_input"]}
    with whole_passes(lm) as rows:
        (found,) = analyze(
            lm, TEXT, ("compare_attributions",), params={"compare_attributions": both}
        ).results
    assert rows == [1, 1]
    for name, row in zip(both["methods"], found.extra["scores"].values, strict=True):
        np.testing.assert_array_equal(row, alone(lm, name, {}).values)


def test_a_gradient_is_of_its_metric_its_embeddings_and_the_model_as_it_is(
    own_lm: LanguageModel,
) -> None:
    lm, prompt = own_lm, make_prompt(own_lm, TEXT)
    other = resolve_metric(lm, prompt, MetricRequest(target=" Tower"))
    runs = CleanRuns(lm)
    with sharing(runs):
        metric = resolve_metric(lm, prompt, MetricRequest(target=" Paris"))
        own = prompt_embeddings(lm, prompt)[None]
        first = metric_and_gradient(lm, prompt, metric, own)
        first[1].zero_()  # whoever takes it may change it

        def fresh(metric: Any, embeddings: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            with sharing(None):
                return metric_and_gradient(lm, prompt, metric, embeddings)

        for asked, embeddings in ((metric, own), (other, own), (metric, own * 1.5)):
            found = metric_and_gradient(lm, prompt, asked, embeddings)
            for one, expected in zip(found, fresh(asked, embeddings), strict=True):
                torch.testing.assert_close(one, expected, rtol=0, atol=0)
        with at_site(lm.anatomy, "mlp_out", 1, lambda value: value * 2):
            found = metric_and_gradient(lm, prompt, metric, own)
            torch.testing.assert_close(found[1], fresh(metric, own)[1], rtol=0, atol=0)
        assert not torch.equal(found[1], fresh(metric, own)[1])


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("name", ["logit", "prob"])
def test_the_metric_of_the_prompts_own_embeddings_is_that_of_its_run(
    family: str, name: str
) -> None:
    lm, prompt, metric = case(family, name=name)
    own = prompt_embeddings(lm, prompt)
    with whole_passes(lm) as rows, sharing(CleanRuns(lm)):
        prompt_logits(lm, prompt, -1)
        found = metric_of_embeddings(lm, prompt, metric, own)
        assert rows == [1]
        moved = metric_of_embeddings(lm, prompt, metric, own * 1.5)
        assert rows == [1, 1]
    assert found == metric_of_embeddings(lm, prompt, metric, own)
    assert moved == metric_of_embeddings(lm, prompt, metric, own * 1.5) != found


BY_HAND: dict[str, tuple[Callable[[LanguageModel], Result], str, dict[str, Any]]] = {
    "heads": (
        lambda lm: held(AttentionHeadAblator, lm).systematic_head_ablation(TEXT, ablation="mean"),
        "head_ablation", {"ablation": "mean"},
    ),
    "lens": (
        lambda lm: held(LogitLens, lm).read(TEXT, site="mlp_out"), "logit_lens", {"site": "mlp_out"},
    ),
    "neurons": (lambda lm: held(NeuronAnalyzer, lm).analyze(TEXT), "neurons", {}),
    "occlusion": (lambda lm: held(PerturbationAttributor, lm).occlusion(TEXT), "occlusion", {}),
    "patching": (
        lambda lm: held(ActivationPatcher, lm).patch(TEXT, CORRUPTED, site="z"),
        "activation_patching", {"corrupted": CORRUPTED, "site": "z"},
    ),
}  # fmt: skip


def held(kind: type, lm: LanguageModel) -> Any:
    """One of ``kind`` with a model that was looked into already."""
    made = kind.__new__(kind)
    made.lm = lm
    return made


@pytest.mark.parametrize("way", BY_HAND)
def test_a_call_by_hand_runs_the_prompt_once(way: str) -> None:
    lm = tiny_lm("gpt2")
    call, name, params = BY_HAND[way]
    with whole_passes(lm) as rows:
        found = call(lm)
    assert rows == [1]
    assert_same(found, alone(lm, name, params))


def test_calls_by_hand_refuse_as_their_functions_do() -> None:
    lm, prompt, metric = case("gpt2")
    asked: list[tuple[Callable[[], Result], Callable[[], Result]]] = [
        (
            lambda: held(GradientAttributor, lm).saliency(TEXT, norm="l3"),
            lambda: saliency(lm, prompt, metric, norm="l3"),
        ),
        (
            lambda: held(LogitLens, lm).read(TEXT, site="nowhere"),
            lambda: logit_lens(lm, prompt, metric, site="nowhere"),
        ),
    ]
    for by_hand, plain in asked:
        said = []
        for way in (by_hand, plain):
            with pytest.raises(InterpBoardError) as refused:
                way()
            said.append(str(refused.value))
        assert said[0] == said[1]


def test_the_request_after_it_takes_the_run_over_where_it_has_what_is_read() -> None:
    lm = tiny_lm("gpt2")
    runs: CleanRuns | None = None
    passes = []
    asked = [
        ("logit_lens", {}),
        ("head_ablation", {}),
        ("occlusion", {}),
        ("direct_logit_attribution", {}),
    ]
    asked += [("logit_lens", {"site": "mlp_out"}), ("head_ablation", {"ablation": "mean"})]
    with whole_passes(lm) as rows:
        for name, params in asked:
            before = len(rows)
            begun = begin(lm, TEXT, name, MetricRequest(), params, runs=runs)
            found = begun.run(SILENT)
            runs = begun.runs
            passes.append(len(rows) - before)
            assert_same(found, alone(lm, name, params))
    # What writes is recorded when it is first asked for, and is there from then on.
    assert passes == [1, 0, 0, 1, 0, 0]


def moved(lm: LanguageModel) -> None:
    weight = lm.anatomy.layers[0].mlp.c_fc.weight
    weight.data = weight.data * 2


def written(lm: LanguageModel) -> None:
    with torch.no_grad():
        lm.anatomy.layers[0].mlp.c_fc.weight.mul_(2)


def switched(lm: LanguageModel) -> None:
    lm.anatomy.layers[0].mlp.act.scale = 2.0


def hooked(lm: LanguageModel) -> None:
    lm.anatomy.embedding.register_forward_hook(lambda _m, _a, out: out)


def attends_otherwise(lm: LanguageModel) -> None:
    lm.model.config._attn_implementation = "eager"


def one_layer_attends_otherwise(lm: LanguageModel) -> None:
    attention = lm.anatomy.layers[1].attn
    attention.config = copy.copy(attention.config)
    attention.config._attn_implementation = "eager"


@pytest.mark.parametrize(
    "change",
    [moved, written, switched, hooked, attends_otherwise, one_layer_attends_otherwise],
)
def test_a_model_that_was_changed_between_two_requests_runs_anew(
    own_lm: LanguageModel, change: Changes
) -> None:
    with whole_passes(own_lm) as rows:
        runs = begin(own_lm, TEXT, "logit_lens", MetricRequest(), {}).runs
        assert begin(own_lm, TEXT, "logit_lens", MetricRequest(), {}, runs=runs).runs is runs
        assert rows == [1]
        change(own_lm)
        again = begin(own_lm, TEXT, "logit_lens", MetricRequest(), {}, runs=runs)
        found = again.run(SILENT)
        assert rows == [1, 1]
    assert_same(found, alone(own_lm, "logit_lens", {}))


def test_another_prompt_border_or_model_runs_anew(own_lm: LanguageModel) -> None:
    runs = begin(own_lm, TEXT, "logit_lens", MetricRequest(), {}).runs
    prompt = make_prompt(own_lm, TEXT)
    assert runs.going_on(own_lm, prompt, ()) is runs
    assert runs.going_on(replace(own_lm, special_tokens=False), prompt, ()) is runs
    for lm, other in (
        (own_lm, make_prompt(own_lm, CORRUPTED)),
        (own_lm, structs.replace(prompt, border=3)),
        (tiny_lm("gpt2"), prompt),
    ):
        again = runs.going_on(lm, other, ("z",))
        assert again is not runs
        assert again.run(lm, other, ()) is None


def test_the_engine_runs_the_prompt_once_for_all_that_is_asked_of_it(tmp_path: Path) -> None:
    queue = Queue()
    worker, lm = Worker(Outbox(io.BytesIO()), queue), tiny_lm("gpt2")
    worker.lm = lm

    jobs = [
        protocol.RunAnalysis(number, name, TEXT, MetricRequest(target=target))
        for number, (name, target) in enumerate(
            [("head_ablation", " Tower"), ("logit_lens", " Tower"), ("head_ablation", " Paris")]
        )
    ]
    other = protocol.RunAnalysis(7, "logit_lens", CORRUPTED)
    with whole_passes(lm) as rows:
        for job in jobs:
            worker._run(job)
        assert rows == [1]
        worker._run(other)
        worker._run(jobs[1])
        assert rows == [1, 1]
    assert worker.runs is not None
    first = weakref.ref(worker.runs)
    worker._run(other)
    gc.collect()
    assert first() is None  # of one prompt at a time, however many are asked about
    with pytest.raises(InterpBoardError):
        worker._run(protocol.Load(8, str(tmp_path / "nothing"), "cpu", "auto"))
    assert worker.runs is None  # nothing of the model before stands beside the next one


@pytest.mark.usefixtures("changed_on_purpose")
def test_the_metrics_run_attends_by_the_kernels_of_the_rows_that_are_held_against_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attention_backends, "nullcontext", lambda: sdpa_kernel(SDPBackend.MATH))
    lm, seen = tiny_lm("gpt2"), []

    def hear(_module: Any, _args: Any) -> None:
        seen.append(torch.backends.cuda.cudnn_sdp_enabled())

    assert torch.backends.cuda.cudnn_sdp_enabled()
    hook = lm.anatomy.layers[0].register_forward_pre_hook(hear)
    try:
        analyze(lm, TEXT, ("head_ablation",))
        prompt_logits(lm, make_prompt(lm, TEXT), -1)
        record(lm, make_prompt(lm, TEXT))
    finally:
        hook.remove()
    assert len(seen) > 3
    assert not any(seen)
