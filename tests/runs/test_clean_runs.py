"""The prompt runs once for the metric and for all that an analysis reads of it, and for nothing else."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from msgspec.structs import replace
from torch.nn.modules.module import register_module_forward_hook

from interpboard.analyze import analyze, begin
from interpboard.errors import NotFinite, Unaffordable, Unsupported
from interpboard.models.as_opened import AsOpened
from interpboard.models.language_model import LanguageModel
from interpboard.models.sites import at_site
from interpboard.planning import plan
from interpboard.registry import ANALYSES
from interpboard.results import MetricRequest, Result
from interpboard.runs import clean_runs, steps
from interpboard.runs.clean_runs import CleanRuns
from interpboard.runs.finite import prompt_logits
from interpboard.runs.gradients.embeddings import own_gradient, prompt_embeddings
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import make_prompt
from interpboard.runs.record import record
from interpboard.runs.shared import sharing
from interpboard.runs.watch import SILENT
from tests.lm import TEXT, case, tiny_lm
from tests.mixtures import mixture
from tests.tiny import tiny_model, tiny_tokenizer

CORRUPTED = "The Paris Tower is located in the city of"
ONCE: dict[str, dict[str, Any]] = {
    "head_ablation": {},
    "compare_ablations": {},
    "head_pairs": {"ablation": "mean", "top_k": 3},
    "direct_logit_attribution": {},
    "logit_lens": {"site": "mlp_out"},
    "attention_knockout": {"unit": "word"},
    "occlusion": {},
    "shapley": {"samples": 2},
    "activation_patching": {"corrupted": CORRUPTED, "site": "z"},
    "path_patching": {"corrupted": CORRUPTED},
    "neurons": {"neuron": "1.5"},
    "token_losses": {},
}
GRADIENT: dict[str, dict[str, Any]] = {"grad_x_input": {}, "integrated_gradients": {"n_steps": 4}}


@contextmanager
def whole_passes(lm: LanguageModel) -> Iterator[list[int]]:
    """Of each forward of the whole model the rows that are the prompt of ``TEXT``, where there are any."""
    ids, rows = torch.tensor(make_prompt(lm, TEXT).token_ids), []

    def hook(_module: Any, args: Any, kwargs: Any, _output: Any) -> None:
        given = kwargs["input_ids"] if "input_ids" in kwargs else args[0]
        if given.shape[1:] == ids.shape and bool((given == ids).all(1).any()):
            rows.append(int((given == ids).all(1).sum()))

    handle = lm.anatomy.base.register_forward_hook(hook, with_kwargs=True)
    try:
        with patch.object(AsOpened, "require"):
            yield rows
    finally:
        handle.remove()


def alone(lm: LanguageModel, name: str, params: dict[str, Any]) -> Result:
    """With a pass for the metric, and another for what is read of it."""
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest())
    function: Any = ANALYSES[name].load()
    found: Result = function(lm, prompt, metric, **ANALYSES[name].parse(params))
    return found


def assert_same(one: Result, other: Result) -> None:
    """To the last bit: the run is the same one."""
    assert one.baseline == other.baseline
    np.testing.assert_array_equal(one.values, other.values)
    for name, extra in one.extra.items():
        np.testing.assert_array_equal(extra.values, other.extra[name].values)


@pytest.mark.parametrize("family", ["gpt2", "llama", "bloom"])
@pytest.mark.parametrize("name", ONCE)
def test_the_prompt_runs_once(family: str, name: str) -> None:
    lm = tiny_lm(family)
    with whole_passes(lm) as rows:
        (found,) = analyze(lm, TEXT, (name,), params={name: ONCE[name]}).results
    assert rows == [1]
    with whole_passes(lm) as rows:
        other = alone(lm, name, ONCE[name])
    assert sum(rows) >= 2
    assert_same(found, other)


@pytest.mark.parametrize("name", ["expert_routing", "expert_ablation"])
def test_the_prompt_of_a_mixture_runs_once(name: str) -> None:
    lm = mixture("mixtral")
    with whole_passes(lm) as rows:
        (found,) = analyze(lm, TEXT, (name,)).results
    assert rows == [1]
    assert_same(found, alone(lm, name, {}))


def test_a_gradient_has_the_passes_that_it_needs_beside_the_metrics() -> None:
    lm = tiny_lm("gpt2")
    for name, expected in (("grad_x_input", [1, 1]), ("integrated_gradients", [1, 1, 4])):
        with whole_passes(
            lm
        ) as rows:  # of the embeddings that stand in for those of the prompt, too
            analyze(lm, TEXT, (name,), params={name: GRADIENT[name]})
        assert rows == expected


def test_several_analyses_share_it_and_none_changes_what_the_next_reads() -> None:
    lm = tiny_lm("gpt2")
    asked = ONCE | GRADIENT
    with whole_passes(lm) as rows:
        together = analyze(lm, TEXT, tuple(asked), params=asked).results
    assert rows[0] == 1
    assert len(rows) == 1 + 1 + 2  # the metric's, and those of gradients
    for name, found in zip(asked, together, strict=True):
        if name in GRADIENT:
            np.testing.assert_allclose(found.values, alone(lm, name, asked[name]).values, atol=1e-6)
        else:
            assert_same(found, alone(lm, name, asked[name]))


def test_what_was_begun_runs_on_what_the_metric_was_made_of() -> None:
    lm = tiny_lm("gpt2")
    with whole_passes(lm) as rows:
        begun = begin(lm, TEXT, "head_ablation", MetricRequest(), {})
        first = begun.run(SILENT)
        again = begun.run(SILENT)
    assert rows == [1]
    assert_same(first, again)


def test_a_plan_knows() -> None:
    lm = tiny_lm("gpt2")
    with whole_passes(lm) as rows:
        (planned,) = plan(lm, TEXT, ("logit_lens",))
    assert rows == [1]
    assert planned.forward_passes == 1


def test_a_run_that_is_not_little_is_not_there_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    lm = tiny_lm("gpt2")
    monkeypatch.setattr(steps, "A_LITTLE_RUN", 0)
    with whole_passes(lm) as rows:
        (found,) = analyze(lm, TEXT, ("head_ablation",)).results
    assert rows == [1, 1]
    assert_same(found, alone(lm, "head_ablation", {}))


def test_sites_that_make_a_run_large_are_recorded_when_they_are_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lm, prompt = tiny_lm("gpt2"), make_prompt(tiny_lm("gpt2"), TEXT)
    anatomy, length = lm.anatomy, len(prompt.token_ids)
    bare = 2 * anatomy.n_layers * anatomy.d_model * length * 4  # streams, and what attention gave
    monkeypatch.setattr(steps, "A_LITTLE_RUN", bare)
    runs = CleanRuns(lm, ("z",))
    with sharing(runs):
        prompt_logits(lm, prompt, -1)
    assert runs.run(lm, prompt, ()) is not None
    assert runs.run(lm, prompt, ("z",)) is None


def test_where_memory_is_short_the_metric_has_a_plain_run(monkeypatch: pytest.MonkeyPatch) -> None:
    lm, prompt = tiny_lm("gpt2"), make_prompt(tiny_lm("gpt2"), TEXT)

    def short(*_args: Any, **_options: Any) -> Any:
        raise Unaffordable("It has no room.")

    monkeypatch.setattr(clean_runs, "record_ids", short)
    plain = prompt_logits(lm, prompt, -1)
    with sharing(CleanRuns(lm)), whole_passes(lm) as rows:
        torch.testing.assert_close(prompt_logits(lm, prompt, -1), plain, rtol=0, atol=0)
        record(lm, prompt)
    assert rows == [1, 1]


@pytest.fixture
def held() -> tuple[LanguageModel, CleanRuns]:
    """A model of one's own, and its recorded run of ``TEXT``."""
    lm = LanguageModel.of(tiny_model("gpt2"), tiny_tokenizer(), "own")
    runs = CleanRuns(lm, ("z", "q", "pattern"))
    with sharing(runs):
        prompt_logits(lm, make_prompt(lm, TEXT), -1)
    return lm, runs


def test_another_prompt_another_border_and_another_model_are_other_runs(
    held: tuple[LanguageModel, CleanRuns],
) -> None:
    lm, runs = held
    prompt = make_prompt(lm, TEXT)
    assert runs.run(lm, prompt, ("z",)) is not None
    assert runs.run(lm, make_prompt(lm, CORRUPTED), ()) is None
    assert runs.run(lm, replace(prompt, border=3), ()) is None
    other = LanguageModel.of(tiny_model("gpt2"), tiny_tokenizer(), "other")
    with torch.no_grad():
        other.anatomy.layers[0].mlp.c_fc.weight.mul_(2)
    with sharing(runs):
        assert runs.run(other, prompt, ()) is None
        assert runs.logits(other, prompt, -1) is None
        found = record(other, prompt).resid_final
    torch.testing.assert_close(found, record(other, prompt).resid_final, rtol=0, atol=0)


def test_other_weights_hooks_and_modes_are_other_runs(
    held: tuple[LanguageModel, CleanRuns],
) -> None:
    lm, runs = held
    prompt = make_prompt(lm, TEXT)
    with at_site(lm.anatomy, "resid_pre", 1, lambda value: value * 2), sharing(runs):
        assert runs.run(lm, prompt, ()) is None
        edited = prompt_logits(lm, prompt, -1)
    assert not torch.equal(edited, prompt_logits(lm, prompt, -1))
    everywhere = register_module_forward_hook(lambda _module, _args, _output: None)
    assert runs.run(lm, prompt, ()) is None
    everywhere.remove()
    lm.model.train()
    with sharing(runs), pytest.raises(Unsupported):
        record(lm, prompt)
    lm.model.eval()
    assert runs.run(lm, prompt, ()) is not None
    weight = lm.anatomy.layers[0].mlp.c_fc.weight
    with torch.no_grad():
        weight.mul_(2)
    assert runs.run(lm, prompt, ()) is None
    assert runs.logits(lm, prompt, -1) is None


def test_what_makes_attention_run_otherwise_is_never_among_it(
    held: tuple[LanguageModel, CleanRuns],
) -> None:
    lm, runs = held
    there = runs.run(lm, make_prompt(lm, TEXT), ())
    assert there is not None
    assert set(there.sites) == {"z"}


def test_a_run_has_what_was_asked_for_and_no_more(held: tuple[LanguageModel, CleanRuns]) -> None:
    lm, runs = held
    prompt = make_prompt(lm, TEXT)
    there = runs.run(lm, prompt, ())
    assert there is not None
    with sharing(runs):
        bare = record(lm, prompt, behind_attention=False)
        whole = record(lm, prompt, ("z",), site_positions=slice(2, 5))
    assert bare.resid_final is whole.resid_final is there.resid_final
    assert (set(bare.sites), bare.attended) == (set(), ())
    assert set(whole.sites) == {"z"}
    assert len(whole.attended) == lm.anatomy.n_layers
    assert whole.sites["z"][0].shape[1] == 3


def test_a_run_that_overflows_is_refused_in_the_same_words() -> None:
    lm, prompt = tiny_lm("gpt2"), make_prompt(tiny_lm("gpt2"), TEXT)
    said = []
    with at_site(lm.anatomy, "mlp_out", 1, lambda value: value * float("inf")):
        for shared in (CleanRuns(lm), None):
            with sharing(shared), pytest.raises(NotFinite) as refused:
                resolve_metric(lm, prompt, MetricRequest())
            said.append(str(refused.value))
    assert said[0] == said[1]


def test_what_the_next_request_does_not_read_makes_room_for_it_before_it_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lm = tiny_lm("gpt2")
    runs = begin(lm, TEXT, "logit_lens", MetricRequest(), {}).runs
    there = runs.run(lm, make_prompt(lm, TEXT), ())
    assert there is not None
    held = weakref.ref(there.resid_final)
    del there
    beside = []

    def refuse(*_asked: Any) -> None:
        gc.collect()
        beside.append(held() is not None)

    monkeypatch.setattr("interpboard.analyze.refuse_beforehand", refuse)
    begin(lm, TEXT, "saliency", MetricRequest(), {}, runs=runs)
    begin(lm, CORRUPTED, "saliency", MetricRequest(), {}, runs=runs)
    assert beside == [True, False]


def test_a_gradient_is_that_of_the_metric_and_of_the_embeddings_that_it_is_asked_of() -> None:
    lm, prompt, metric = case("gpt2", torch.float64)
    other = resolve_metric(lm, prompt, MetricRequest("logprob", "#7"))
    runs, embeddings = CleanRuns(lm), prompt_embeddings(lm, prompt)[None]
    assert runs.logits(lm, prompt, -1) is not None
    for asked in (metric, other, metric):
        found, expected = (
            runs.gradient(lm, prompt, asked, embeddings),
            own_gradient(lm, prompt, asked, embeddings),
        )
        assert found is not None
        torch.testing.assert_close(found, expected)
    assert runs.gradient(lm, prompt, metric, 0.9 * embeddings) is None
