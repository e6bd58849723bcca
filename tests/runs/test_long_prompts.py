"""Long prompts: patterns a block of queries at a time, layers computed anew, within a limit of the process.

What saves memory changes no value: each way is held against the other, and patterns against plain hooks.
"""

from __future__ import annotations

import subprocess
from typing import Any

import numpy as np
import pytest
import torch

from interpboard.analyze import analyze
from interpboard.models import attention_sites
from interpboard.patching.activation import activation_patching
from interpboard.runs import steps
from interpboard.runs.edits import Edit
from interpboard.runs.record import record
from interpboard.runs.replay import evaluate
from tests.forks import program
from tests.lm import TEXT, case, fingerprint, tiny_lm
from tests.plain_hooks import plain_activations, plain_metric

OTHER = "The Eiffel Tower is located on the city of"
FAMILIES = ("gpt2", "llama", "gpt_oss", "gemma2")  # plain, grouped, with sinks, with soft caps


@pytest.mark.parametrize("family", FAMILIES)
def test_an_edited_pattern_is_the_same_in_blocks_of_queries(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm, prompt, metric = case(family)
    assert lm.verified.blocks
    donor = record(lm, prompt, ("pattern",)).sites["pattern"]
    edits = [
        (Edit("pattern", 1, "zero", 2),),
        (Edit("pattern", 0, "patch", 1, (3, 5), donor[1][0][[3, 5], 1]),),
        (Edit("pattern", 2, "patch", value=donor[0][0]),),
    ]
    whole = evaluate(record(lm, prompt), edits, metric)
    monkeypatch.setattr(attention_sites, "PATTERN_BLOCK", 100)  # two queries or three
    assert np.allclose(evaluate(record(lm, prompt), edits, metric), whole, atol=1e-5)
    assert not np.allclose(whole, metric.baseline, atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_patched_pattern_is_what_plain_hooks_put_there(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm, prompt, metric = case(family)
    monkeypatch.setattr(attention_sites, "PATTERN_BLOCK", 100)
    found = activation_patching(lm, prompt, metric, corrupted=OTHER, site="pattern")
    from interpboard.runs.prompt import make_prompt

    bad = make_prompt(lm, OTHER)
    patterns = plain_activations(lm, prompt, ["pattern"])
    for layer, head in ((0, 1), (1, 3), (2, 0)):

        def put(pattern: torch.Tensor, layer: int = layer, head: int = head) -> torch.Tensor:
            pattern = pattern.clone()
            pattern[..., head, :] = patterns["pattern", layer][:, head]
            return pattern

        expected = plain_metric(lm, bad, metric, [("pattern", layer, put)])
        assert found.extra["metric"].values[layer, head] == pytest.approx(expected, abs=1e-4)


def test_a_model_whose_patterns_do_not_come_in_blocks_is_seen_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lm, prompt, metric = case()
    object.__setattr__(lm.verified, "blocks", False)
    monkeypatch.setattr(attention_sites, "PATTERN_BLOCK", 1)
    seen: list[int] = []
    eager = attention_sites._eager

    def heard(module: Any) -> Any:
        def attend(owner: Any, query: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            seen.append(query.shape[2])
            return eager(module)(owner, query, *args, **kwargs)

        return attend

    monkeypatch.setattr(attention_sites, "_eager", heard)
    try:
        evaluate(record(lm, prompt), [(Edit("pattern", 1, "zero", 2),)], metric)
    finally:
        object.__setattr__(lm.verified, "blocks", True)
    assert min(seen) > 1


RECOMPUTED: list[tuple[str, dict[str, Any]]] = [
    ("saliency", {}),
    ("integrated_gradients", {"n_steps": 3}),
    ("smoothgrad", {"samples": 3}),
    ("lrp", {}),
]


@pytest.mark.parametrize(("analysis", "params"), RECOMPUTED, ids=[name for name, _ in RECOMPUTED])
@pytest.mark.parametrize("family", ["gpt2", "llama", "gpt_neox"])
def test_layers_computed_anew_give_the_same_gradients(
    analysis: str, params: dict[str, Any], family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = tiny_lm(family)
    before = fingerprint(lm)
    (kept,) = analyze(lm, TEXT, (analysis,), params={analysis: params}).results
    monkeypatch.setattr(steps, "MEMORY_A_STEP", 1)
    assert steps.layers_are_recomputed(lm, 1)
    (anew,) = analyze(lm, TEXT, (analysis,), params={analysis: params}).results
    assert np.allclose(anew.values, kept.values, rtol=1e-5, atol=1e-7)
    assert fingerprint(lm) == before


@pytest.mark.parametrize(
    ("analysis", "params"),
    [("causal_trace", {"subject": [1, 2], "samples": 2}), ("head_ablation", {"ablation": "mean"})],
)
def test_where_no_attention_is_kept_replays_behind_it_give_the_same(
    analysis: str, params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = tiny_lm("llama")
    (kept,) = analyze(lm, TEXT, (analysis,), params={analysis: params}).results
    assert steps.keeps_all_attention(lm, 10)
    monkeypatch.setattr(steps, "MEMORY_A_STEP", 1)
    assert not steps.keeps_all_attention(lm, 10)
    (anew,) = analyze(lm, TEXT, (analysis,), params={analysis: params}).results
    assert np.allclose(anew.values, kept.values, rtol=1e-4, atol=1e-6)


def test_patterns_of_a_long_prompt_are_read_and_patched_in_less_memory_than_they_would_take() -> (
    None
):
    # 4 layers × 16 heads × 1,000² in float32 are 244 MiB, of one run.
    ended = subprocess.run(
        program("tests.little_memory", "patterns", "192"),
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-1500:]
    assert "value_weighted_rollout" in ended.stdout
