"""Prompts of one length that share a pass have what each has alone; where not, they do not share."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from interpboard.errors import NotFinite
from interpboard.models.language_model import LanguageModel
from interpboard.models.sites import at_site
from interpboard.models.unembedding import forward_logits
from interpboard.registry import ANALYSES
from interpboard.results import MetricRequest, PromptInfo, Result
from interpboard.runs import steps, together
from interpboard.runs.metrics import Metric, resolve_metric
from interpboard.runs.prompt import make_prompt
from interpboard.runs.record import record
from interpboard.runs.shared import sharing
from interpboard.runs.together import Together, in_passes, prompts_a_pass
from tests.lm import tiny_lm

NAMES = (
    "logit_lens", "direct_logit_attribution", "head_ablation", "grad_x_input", "saliency", "occlusion",
)  # fmt: skip
TEXTS = tuple(
    f"The {one} is {other} in the" for one in ("keys", "city") for other in ("Paris", "table")
)
# gpt2 learns its positions, llama turns by angles, bloom has them in a mask of several rows a prompt.
FAMILIES = ("gpt2", "llama", "bloom")


def prompts_of(lm: LanguageModel) -> list[PromptInfo]:
    prompts = [make_prompt(lm, text) for text in TEXTS]
    assert len({len(prompt.token_ids) for prompt in prompts}) == 1
    return prompts


def computed(
    lm: LanguageModel, prompts: list[PromptInfo], shared: Together | None, request: MetricRequest
) -> list[dict[str, Result]]:
    with sharing(shared):
        metrics = [resolve_metric(lm, prompt, request) for prompt in prompts]
        if shared is not None:
            for prompt, metric in zip(prompts, metrics, strict=True):
                shared.measures(prompt, metric)
        return [
            {name: asked(lm, name, prompt, metric) for name in NAMES}
            for prompt, metric in zip(prompts, metrics, strict=True)
        ]


def asked(lm: LanguageModel, name: str, prompt: PromptInfo, metric: Metric) -> Result:
    function: Any = ANALYSES[name].load()
    found: Result = function(lm, prompt, metric, **ANALYSES[name].parse({}))
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("family", FAMILIES)
def test_what_prompts_share_is_what_each_has_alone(family: str, dtype: torch.dtype) -> None:
    lm = tiny_lm(family, dtype)
    prompts = prompts_of(lm)
    request = MetricRequest("logit_diff", " the", " Paris")
    together = computed(lm, prompts, Together(lm, prompts), request)
    alone = computed(lm, prompts, None, request)
    for one, other in zip(together, alone, strict=True):
        for name in NAMES:
            atol = 1e-5 if dtype == torch.float32 else 1e-12
            np.testing.assert_allclose(one[name].values, other[name].values, rtol=0, atol=atol)
            assert one[name].baseline == pytest.approx(other[name].baseline, abs=atol)


def passes(lm: LanguageModel, prompts: list[PromptInfo], shared: Together) -> list[int]:
    """Rows of each pass through the embedding, while every prompt is recorded."""
    rows: list[int] = []
    with (
        at_site(lm.anatomy, "embed", None, lambda value: rows.append(len(value))),
        sharing(Together(lm, prompts, shared.lengths)),
    ):
        for prompt in prompts:
            resolve_metric(lm, prompt, MetricRequest())
            record(lm, prompt, ("z",))
            record(lm, prompt)
    return rows


def test_all_prompts_take_one_pass_for_what_each_is_asked_for() -> None:
    lm = tiny_lm("gpt2", torch.float32)
    prompts = prompts_of(lm)
    shared = Together(lm, prompts)
    with sharing(shared):
        record(lm, prompts[0], ("z",))
    assert passes(lm, prompts, shared) == [4, 4]  # the clean run, and once more with its site
    assert passes(lm, prompts[:1], shared) == [1, 1]


def test_a_pass_that_is_not_what_the_prompts_give_alone_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lm = tiny_lm("gpt2", torch.float32)
    prompts = prompts_of(lm)

    def leaks(value: torch.Tensor) -> torch.Tensor:
        return value + 0.01 * (value.sum(0, keepdim=True) - value)  # of the other rows

    with at_site(lm.anatomy, "resid_pre", 1, leaks):
        shared = Together(lm, prompts)
        with sharing(shared):
            found = record(lm, prompts[1]).resid_final
        expected = record(lm, prompts[1]).resid_final
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_a_model_that_somebody_edits_meanwhile_is_another() -> None:
    lm = tiny_lm("gpt2", torch.float32)
    prompts = prompts_of(lm)
    with sharing(Together(lm, prompts)):
        clean = record(lm, prompts[0]).resid_final
        with at_site(lm.anatomy, "resid_pre", 1, lambda value: value * 2):
            edited = record(lm, prompts[0]).resid_final
        assert not torch.allclose(clean, edited)
        torch.testing.assert_close(record(lm, prompts[0]).resid_final, clean)


def test_a_prompt_whose_second_strip_begins_elsewhere_is_another() -> None:
    lm = tiny_lm("gpt2", torch.float32)
    prompts = prompts_of(lm)
    shared = Together(lm, prompts)
    assert shared.run(lm, prompts[0], ()) is not None
    other = replace(prompts[0], border=3)
    assert shared.run(lm, other, ()) is None
    assert shared.logits(lm, other, -1) is None


@pytest.mark.parametrize("what", ["rows that change each other", "bfloat16", "packed weights"])
def test_what_depends_on_other_rows_or_rounds_otherwise_beside_them_runs_alone(what: str) -> None:
    lm = tiny_lm("llama", torch.bfloat16 if what == "bfloat16" else torch.float32)
    if what == "rows that change each other":
        lm = dataclasses.replace(lm, verified=dataclasses.replace(lm.verified, alone=True))
    if what == "packed weights":
        lm = dataclasses.replace(lm, info=replace(lm.info, quantization="int8"))
    assert prompts_a_pass(lm, 6) == 1
    assert prompts_a_pass(tiny_lm("llama", torch.float32), 6) > 1


def test_more_prompts_share_a_pass_of_a_small_model_while_it_is_quick_and_fits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lm = tiny_lm("gpt2", torch.float32)
    recorded = steps.rows_of_a_recording(lm, 10)
    assert prompts_a_pass(lm, 10) == steps.TOKENS_TOGETHER // 10 > recorded
    weights = sum(p.numel() for layer in lm.anatomy.layers for p in layer.parameters())
    monkeypatch.setattr(steps, "SHARED_PASS", 2 * weights * 10 * (recorded + 3))
    assert prompts_a_pass(lm, 10) == recorded + 3
    monkeypatch.setattr(steps, "SHARED_PASS", 1)  # a large model: as many as are recorded at once
    assert prompts_a_pass(lm, 10) == recorded
    monkeypatch.undo()
    monkeypatch.setattr(steps, "free_memory", lambda _device: 1 << 20)
    assert prompts_a_pass(lm, 10) == steps.rows_of_a_recording(lm, 10) < recorded
    monkeypatch.undo()
    monkeypatch.setenv("INTERPBOARD_BATCH_TOKENS", "40")
    assert prompts_a_pass(lm, 10) == 4


def test_a_prompt_that_overflows_does_not_take_the_others_with_it() -> None:
    lm = tiny_lm("gpt2", torch.float32)
    prompts = prompts_of(lm)
    broken = prompts[2]

    def overflow(value: torch.Tensor) -> torch.Tensor:
        new = value.clone()
        new[(ids_seen[-1] == torch.tensor(broken.token_ids)).all(1)] = torch.inf
        return new

    ids_seen: list[torch.Tensor] = []
    handle = lm.anatomy.embedding.register_forward_pre_hook(
        lambda _m, args: ids_seen.append(args[0])
    )
    try:
        with at_site(lm.anatomy, "resid_pre", 1, overflow), sharing(Together(lm, prompts)):
            for prompt in prompts:
                if prompt is broken:
                    with pytest.raises(NotFinite):
                        resolve_metric(lm, prompt, MetricRequest())
                else:
                    assert np.isfinite(resolve_metric(lm, prompt, MetricRequest()).baseline)
    finally:
        handle.remove()


def test_a_site_that_is_asked_for_later_is_proved_by_its_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lm = tiny_lm("gpt2", torch.float64)
    prompts = prompts_of(lm)
    record_ids = together.record_ids

    def wrong_beside_others(*given: Any) -> Any:
        run, body = record_ids(*given)
        if len(given[2]) > 1 and "z" in run.sites:
            moved = {"z": tuple(value + 1 for value in run.sites["z"])}
            run = dataclasses.replace(run, sites={**run.sites, **moved})
        return run, body

    monkeypatch.setattr(together, "record_ids", wrong_beside_others)
    shared = Together(lm, prompts)
    assert shared.run(lm, prompts[0], ()) is not None
    assert shared.run(lm, prompts[0], ("z",)) is None
    assert shared.run(lm, prompts[1], ()) is None  # nothing of such a pass is used


def test_prompts_go_together_by_length_and_in_16_bits_each_goes_alone() -> None:
    lm = tiny_lm("gpt2", torch.float64)
    prompts = [*prompts_of(lm), make_prompt(lm, "Rome"), make_prompt(lm, "Bonn")]
    groups = list(in_passes(lm, prompts, lambda prompt: prompt))
    assert sorted(map(len, groups)) == [2, 4]
    assert sorted(p.text for group in groups for p in group) == sorted(p.text for p in prompts)
    halved = [replace(prompt, border=1 + i % 2) for i, prompt in enumerate(prompts[:4])]
    assert [[p.border for p in g] for g in in_passes(lm, halved, lambda p: p)] == [[1, 1], [2, 2]]
    rounded = tiny_lm("gpt2", torch.bfloat16)
    assert [len(g) for g in in_passes(rounded, prompts, lambda p: p)] == [1] * 6


def test_a_model_that_was_edited_before_it_is_left_alone_is_another_all_the_same() -> None:
    lm = tiny_lm("gpt2", torch.float32)
    prompts = prompts_of(lm)
    shared = Together(lm, prompts)
    with at_site(lm.anatomy, "resid_pre", 1, lambda value: value * 2), shared.left_alone():
        assert shared.run(lm, prompts[0], ()) is None
    with shared.left_alone():
        assert shared.run(lm, prompts[0], ()) is not None
    with at_site(lm.anatomy, "resid_pre", 1, lambda value: value * 2):
        assert shared.run(lm, prompts[0], ()) is None


@pytest.mark.usefixtures("changed_on_purpose")
def test_logits_that_overflow_are_those_of_their_prompt_alone() -> None:
    lm = tiny_lm("gpt2", torch.float32)
    prompts = prompts_of(lm)

    def overflow(_module: Any, _args: Any, logits: torch.Tensor) -> torch.Tensor:
        return logits.index_fill(0, torch.tensor(2), torch.inf) if len(logits) > 2 else logits

    handle = lm.anatomy.unembedding.register_forward_hook(overflow)
    try:
        shared = Together(lm, prompts)
        for i, prompt in enumerate(prompts):
            if i == 2:
                with pytest.raises(NotFinite, match="the logits"):
                    shared.logits(lm, prompt, -1)
            else:
                found = shared.logits(lm, prompt, -1)
                assert found is not None
                torch.testing.assert_close(
                    found, forward_logits(lm.anatomy, torch.tensor([prompt.token_ids]), -1)[0]
                )
    finally:
        handle.remove()
