"""A plan counts what the run then does, writes nothing, and what cannot fit is refused before it begins."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf

from interpboard import planning
from interpboard.analyze import analyze
from interpboard.errors import BadParameter, Unaffordable
from interpboard.models.language_model import LanguageModel
from interpboard.planning import plan
from interpboard.runs import record as record_module
from interpboard.runs.prompt import make_prompt
from tests.cli.process import forked_interpboard
from tests.forks import program
from tests.lm import TEXT, tiny_lm
from tests.strip_paths import CLEAN, CORRUPTED
from tests.tiny import tiny_tokenizer

OTHER = "The Eiffel Tower is located on the city of"

pytestmark = pytest.mark.usefixtures("changed_on_purpose")  # layers are counted by hooks


@contextmanager
def counted_passes(lm: LanguageModel, tokens: int) -> Iterator[list[float]]:
    """Forward passes of ``tokens`` tokens, a layer at a time, by plain hooks."""
    seen = [0.0]

    def hook(_module: Any, args: Any, kwargs: Any, _output: Any) -> None:
        hidden = args[0] if args else kwargs["hidden_states"]
        seen[0] += hidden.shape[0] * hidden.shape[1] / (tokens * lm.anatomy.n_layers)

    handles = [layer.register_forward_hook(hook, with_kwargs=True) for layer in lm.anatomy.layers]
    yield seen
    for handle in handles:
        handle.remove()


CASES: list[tuple[str, dict[str, Any]]] = [
    ("head_ablation", {}),
    ("occlusion", {}),
    ("shapley", {"samples": 3}),
    ("causal_trace", {"subject": [1, 2], "samples": 3}),
    ("activation_patching", {"corrupted": OTHER}),
    ("integrated_gradients", {"n_steps": 24}),
    ("smoothgrad", {"samples": 12}),
    ("circuit", {"corrupted": OTHER, "n_steps": 9}),
    ("logit_lens", {}),
    ("direct_logit_attribution", {}),
]


OF_BOTH = ("head_ablation", "activation_patching", "circuit")
EACH = [
    (family, name, params)
    for family in ("gpt2", "llama")
    for name, params in CASES
    if family == "llama" or name in OF_BOTH
]


@pytest.mark.parametrize(
    ("family", "analysis", "params"), EACH, ids=[f"{family}-{name}" for family, name, _ in EACH]
)
def test_the_passes_planned_are_the_passes_run(
    analysis: str, params: dict[str, Any], family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERPBOARD_BATCH_TOKENS", "24")  # so that there are loops of many steps
    lm = tiny_lm(family)
    (planned,) = plan(lm, TEXT, (analysis,), params={analysis: params})
    with counted_passes(lm, planned.tokens) as seen:
        analyze(lm, TEXT, (analysis,), params={analysis: params})
    assert planned.forward_passes == pytest.approx(seen[0], rel=0.02, abs=0.06)
    assert planned.seconds > 0


@pytest.mark.parametrize("receiver", ["output", "1.1.k,1.mlp,2.0"])
def test_of_long_prompts_the_plan_of_paths_takes_some_senders_and_counts_the_others(
    receiver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interpboard.patching.senders._KEPT_BYTES", 1)
    monkeypatch.setenv("INTERPBOARD_BATCH_TOKENS", "16")
    torch.manual_seed(0)
    config = tf.GPT2Config(n_layer=8, n_head=8, n_embd=32, vocab_size=420, n_positions=64)
    lm = LanguageModel.of(tf.GPT2LMHeadModel(config).eval(), tiny_tokenizer(), "deep")
    params = {"path_patching": {"corrupted": OTHER, "receiver": receiver}}
    with counted_passes(lm, len(_prompt(lm).token_ids)) as planning_it:
        (planned,) = plan(lm, TEXT, ("path_patching",), params=params)
    with counted_passes(lm, planned.tokens) as seen:
        (found,) = analyze(lm, TEXT, ("path_patching",), params=params).results
    assert planning_it[0] < 0.75 * seen[0]
    assert planned.forward_passes == pytest.approx(seen[0], rel=0.1)
    assert planned.rows == np.isfinite(found.values).sum()


def test_the_plan_of_paths_of_two_strips_takes_some_layers_and_counts_the_others() -> None:
    torch.manual_seed(0)
    config = tf.T5Config(
        vocab_size=420, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_decoder_layers=6, num_heads=2,
        pad_token_id=0, eos_token_id=1, decoder_start_token_id=0,
    )  # fmt: skip
    lm = LanguageModel.of(tf.T5ForConditionalGeneration(config).eval(), tiny_tokenizer(), "deep")
    params = {"path_patching": {"corrupted": CORRUPTED, "receiver": "X5.0.k,X5.1.q,output"}}
    with planning.counted_passes(lm, make_prompt(lm, CLEAN)) as planning_it:
        (planned,) = plan(lm, CLEAN, ("path_patching",), params=params)
    with planning.counted_passes(lm, make_prompt(lm, CLEAN)) as seen:
        (found,) = analyze(lm, CLEAN, ("path_patching",), params=params).results
    assert planning_it[0] < 0.75 * seen[0]
    assert planned.forward_passes == pytest.approx(seen[0], rel=0.15)
    assert planned.rows == np.isfinite(found.values).sum()


def test_long_loops_are_not_run_to_their_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERPBOARD_BATCH_TOKENS", "16")
    lm = tiny_lm()
    with counted_passes(lm, 1) as seen:
        (planned,) = plan(lm, TEXT, ("causal_trace",), params={"causal_trace": {"subject": [1, 2]}})
    run = seen[0] / planned.tokens
    assert run < planned.forward_passes / 2
    assert f"{planned.rows:,} edited runs" in planned.because
    assert "timed" in planned.because


@pytest.mark.parametrize(
    ("analysis", "params"),
    [
        ("attention_flow", {}),
        ("direct_logit_attribution", {}),
        ("attribution_patching", {"corrupted": OTHER, "method": "ig"}),
    ],
)
def test_what_comes_before_the_first_step_is_not_planned_once_for_each_step(
    analysis: str,
    params: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(planning, "LONGEST_S", 0.0)  # ended at the first step that can be timed
    lm = tiny_lm()
    (planned,) = plan(lm, TEXT, (analysis,), params={analysis: params})
    assert "of it timed" in planned.because
    with counted_passes(lm, planned.tokens) as seen:
        analyze(lm, TEXT, (analysis,), params={analysis: params})
    assert planned.forward_passes == pytest.approx(seen[0], abs=0.06)


def test_a_plan_trains_and_writes_nothing(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text(f"{TEXT} Paris.\n" * 40, encoding="utf-8")
    params = {"corpus": str(corpus), "out": str(tmp_path / "lens"), "steps": 2, "length": 8}
    plan(tiny_lm(), TEXT, ("tune_lens",), params={"tune_lens": params})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus.txt"]


def test_what_is_wrong_with_the_question_is_said_by_the_plan_too() -> None:
    with pytest.raises(BadParameter, match="9"):
        plan(tiny_lm(), TEXT, ("head_ablation",), params={"head_ablation": {"layers": [9]}})


def test_a_recording_without_room_is_refused_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lm = tiny_lm()
    monkeypatch.setattr("interpboard.models.memory.free_memory", lambda _device: 1000)
    with counted_passes(lm, 1) as seen, pytest.raises(Unaffordable, match="are free"):
        record_module.record(lm, _prompt(lm), ("pattern",))
    assert seen[0] == 0


def _prompt(lm: LanguageModel) -> Any:
    return make_prompt(lm, TEXT)


def test_under_a_limit_of_the_process_it_is_refused_and_not_run_into() -> None:
    ended = subprocess.run(
        program("tests.little_memory", "refused", "256"),
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert "pattern of 6 layers" in ended.stdout, ended.stdout + ended.stderr[-1500:]
    assert "Shorten the prompt to " in ended.stdout
    assert "and 6 layers of" in ended.stdout, ended.stdout + ended.stderr[-1500:]


def test_the_command_line_prints_plans_as_a_table_and_as_json() -> None:
    shown = forked_interpboard("analyze", "-t", "The sun is", "-a", "head_ablation", "--plan")
    assert shown.returncode == 0
    assert b"head_ablation" in shown.stdout
    assert b" s " in shown.stdout
    found = forked_interpboard(
        "analyze", "-t", "The sun is", "-a", "head_ablation", "--plan", "-f", "json"
    )
    (planned,) = json.loads(found.stdout)
    assert planned["rows"] == 32
    assert planned["bytes_peak"] is None or planned["bytes_peak"] >= 0


@pytest.mark.parametrize(
    ("analysis", "limit"),
    [
        ("attention", "interpboard.circuits.heads.attention._MOST_VALUES"),
        ("attention_flow", "interpboard.attribution.fused_attention.MOST_AT_ONCE"),
    ],
)
def test_what_is_too_large_for_its_result_is_refused_before_the_prompt_is_run(
    analysis: str, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = tiny_lm()
    monkeypatch.setattr(limit, 100)
    for run in (plan, analyze):
        with counted_passes(lm, 1) as seen, pytest.raises(Unaffordable):
            run(lm, TEXT, (analysis,))
        assert seen[0] == 0
