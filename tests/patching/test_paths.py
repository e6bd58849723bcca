"""Path patching against plain forwards in which every other head and MLP is held by a hook."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from interpboard import open_model
from interpboard.analyze import analyze
from interpboard.errors import BadParameter, BadPrompt, Cancelled, Unsupported
from interpboard.patching import paths, senders
from interpboard.patching.paths import path_patching
from interpboard.patching.senders import record_senders
from interpboard.results import MetricRequest
from interpboard.runs import steps
from interpboard.runs.edits import Edit
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import input_ids, make_prompt
from interpboard.runs.record import record
from interpboard.runs.replay import evaluate
from interpboard.runs.watch import Watch
from tests.lm import TOLERANCE, case, fingerprint, tiny_lm, unproved
from tests.masked import masked_lm
from tests.patching.paths_oracle import EMBED, MLP, Oracle, first_read
from tests.patching.test_activation import CLEAN, CORRUPTED


def _compare(
    family: str, dtype: torch.dtype, receiver: str, direction: str, **request: Any
) -> None:
    lm, prompt, metric = case(family, dtype, text=CLEAN, name="logprob", **request)
    before = fingerprint(lm)
    result = path_patching(
        lm, prompt, metric, corrupted=CORRUPTED, receiver=receiver, direction=direction
    )
    assert fingerprint(lm) == before
    ids = [input_ids(lm, prompt), input_ids(lm, make_prompt(lm, CORRUPTED))]
    oracle = Oracle(lm, *(ids if direction == "noising" else ids[::-1]))
    expected = np.full((3, 6), np.nan)
    for layer in range(3):
        for column in range(EMBED + 1):
            writes = -1 if column == EMBED else layer + (0.5 if column == MLP else 0)
            if writes < first_read(family, receiver) and (column < EMBED or layer == 0):
                logits = oracle.logits((layer, column), receiver)
                expected[layer, column] = float(metric.of(logits[None, metric.info.position])[0])
    tolerance = TOLERANCE[dtype]
    if dtype == torch.float64:  # llama's norms and rotary angles, bloom's attention: float32 always
        tolerance = {"rtol": 2e-6, "atol": 2e-6}
    np.testing.assert_allclose(result.extra["metric"].values, expected, **tolerance)
    baseline = result.extra["clean" if direction == "noising" else "corrupted"].values
    np.testing.assert_allclose(result.values, expected - float(baseline), atol=1e-4)
    assert np.nanmax(np.abs(result.values)) > 1e-4, "nothing moved: the test shows nothing"


RECEIVERS = ("output", "2.1.q", "1.0.k", "2.1.v", "1.3", "1.mlp", "2.attn")


@pytest.mark.parametrize(
    ("family", "receiver", "dtype"),
    [
        *((family, each, torch.float64) for family in ("gpt2", "llama") for each in RECEIVERS),
        *(("llama", each, torch.float32) for each in ("output", "1.0.k", "1.mlp")),
    ],
)
def test_every_sender_is_a_forward_with_all_else_held(
    family: str, receiver: str, dtype: torch.dtype
) -> None:
    _compare(family, dtype, receiver, "noising")


@pytest.mark.parametrize("receiver", ["output", "2.1"])
@pytest.mark.parametrize(
    "family", ["gemma2", "olmo2", "granite", "gpt_neox", "falcon", "bloom", "opt", "mixtral"]
)
def test_late_norms_scaled_additions_and_parallel_blocks_are_right(
    family: str, receiver: str
) -> None:
    _compare(family, torch.float32, receiver, "denoising")


def test_a_metric_before_the_end_and_queries_under_late_norms_are_right() -> None:
    _compare("gemma2", torch.float64, "2.1.q", "noising", position=6)


def test_without_replay_the_values_are_the_same() -> None:
    lm, prompt, metric = case("llama", torch.float64, text=CLEAN)
    options = {"corrupted": CORRUPTED, "receiver": "1.1.k,1.mlp,2.0,output"}
    hooks = replace(lm, verified=replace(lm.verified, path="hooks", reuse=False))
    whole = replace(lm, verified=replace(lm.verified, reuse=False))
    expected = path_patching(lm, prompt, metric, **options).values
    for other in (hooks, whole):
        found = path_patching(other, prompt, metric, **options).values
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2", "falcon"])
def test_all_paths_of_a_sender_together_are_the_sender_patched(family: str) -> None:
    lm, prompt, metric = case(family, torch.float64, text=CLEAN, name="logprob")
    everything = ",".join(f"{layer}.{part}" for layer in range(3) for part in ("attn", "mlp"))
    result = path_patching(
        lm, prompt, metric, corrupted=CORRUPTED, receiver=f"{everything},output"
    ).extra["metric"]
    donor = record(lm, make_prompt(lm, CORRUPTED), ("z", "mlp_out", "embed"))
    z, mlp = donor.sites["z"], donor.sites["mlp_out"]
    nodes = [
        (Edit("z", layer, "patch", head, value=z[layer][0][:, head]),)
        for layer in range(3)
        for head in range(4)
    ]
    nodes += [(Edit("mlp_out", layer, "patch", value=mlp[layer][0]),) for layer in range(3)]
    nodes += [(Edit("embed", 0, "patch", value=donor.sites["embed"][0][0]),)]
    expected = evaluate(record(lm, prompt), nodes, metric)
    np.testing.assert_allclose(result.values[:, :4].ravel(), expected[:12], atol=2e-6)
    np.testing.assert_allclose(result.values[:, MLP], expected[12:15], atol=2e-6)
    np.testing.assert_allclose(result.values[0, EMBED], expected[15], atol=2e-6)


@pytest.mark.usefixtures("changed_on_purpose")
@pytest.mark.parametrize("family", ["gpt2", "llama", "granite", "gpt_neox", "falcon"])
def test_where_the_end_is_linear_the_direct_effects_sum_to_the_whole(family: str) -> None:
    lm = tiny_lm(family, torch.float64)
    lm.anatomy.final_norm.forward = lambda x: x
    try:
        _, prompt, metric = case(family, torch.float64, text=CLEAN)
        result = path_patching(lm, prompt, metric, corrupted=CORRUPTED)
    finally:
        del lm.anatomy.final_norm.forward
    whole = float(result.extra["corrupted"].values) - float(result.extra["clean"].values)
    assert abs(whole) > 1e-3
    assert np.nansum(result.values) == pytest.approx(whole, rel=1e-6)
    assert np.nansum(result.extra["share"].values) == pytest.approx(1, rel=1e-6)


def test_before_the_first_difference_no_path_carries_anything() -> None:
    lm, prompt, metric = case("gpt2", torch.float64, text=CLEAN, position=3)
    result = path_patching(lm, prompt, metric, corrupted=CORRUPTED, receiver="1.mlp,output")
    np.testing.assert_allclose(result.values[np.isfinite(result.values)], 0, atol=1e-9)
    assert np.isnan(result.extra["share"].values).all()
    assert "nothing to recover" in result.warnings[0]


def test_portions_of_senders_give_the_same_values_and_partial_values_grow_to_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lm, prompt, metric = case("llama", text=CLEAN)
    options = {"corrupted": CORRUPTED, "receiver": "1.mlp,2.3.q"}
    expected = path_patching(lm, prompt, metric, **options)
    monkeypatch.setattr(senders, "_KEPT_BYTES", 1)
    heard: list[Any] = []
    watch = Watch(on_progress=lambda *args: heard.append(args))
    result = path_patching(lm, prompt, metric, **options, watch=watch)
    np.testing.assert_allclose(result.values, expected.values, atol=1e-5)
    partials = [partial for _, _, partial in heard if partial is not None]
    assert len(partials) > 1
    for shown in partials:
        known = np.isfinite(shown.values)
        np.testing.assert_array_equal(shown.values[known], result.values[known])
    assert heard[-1][0] == heard[-1][1] == np.isfinite(result.values).sum()


def test_what_senders_write_is_kept_where_the_receivers_read_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lm, prompt, metric = case("llama", torch.float64, text=CLEAN)
    kept: list[set[int]] = []

    def heard(*args: Any) -> Any:
        run = record_senders(*args)
        kept.append({value.shape[1] for values in run.sites.values() for value in values})
        return run

    monkeypatch.setattr(paths, "record_senders", heard)
    path_patching(lm, prompt, metric, corrupted=CORRUPTED)
    assert kept == [{1}, {1}], "the output reads one position, however long the prompt"
    path_patching(lm, prompt, metric, corrupted=CORRUPTED, receiver="1.1.k")
    assert len(kept[-1]) == 1
    assert 1 < max(kept[-1]) < len(prompt.token_ids)
    monkeypatch.setattr(senders, "_KEPT_BYTES", 1)
    path_patching(lm, prompt, metric, corrupted=CORRUPTED, receiver="1.1.k")
    assert kept[-2:] == [set(), set()], "of a long prompt it is computed layer by layer"


@pytest.mark.usefixtures("changed_on_purpose")
def test_of_long_prompts_few_senders_bring_their_keys_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lm, prompt, metric = case("llama", torch.float64, text=CLEAN)
    rows: list[int] = []
    handle = lm.anatomy.layers[1].register_forward_pre_hook(
        lambda _module, args: rows.append(len(args[0]))
    )
    try:
        expected = path_patching(lm, prompt, metric, corrupted=CORRUPTED)
        assert max(rows) == 4 + 1 + 2, "heads, the MLP, and the two runs that prove the sum"
        rows.clear()
        heads = 4 * lm.anatomy.n_kv_heads + 2 * lm.anatomy.n_heads  # shared ones, and a copy each
        two_rows = 2 * metric.info.position * heads * lm.anatomy.d_head[1] * 8
        monkeypatch.setattr(steps, "MEMORY_A_STEP", 2 * two_rows)
        found = path_patching(lm, prompt, metric, corrupted=CORRUPTED)
    finally:
        handle.remove()
    assert max(rows) == 2
    np.testing.assert_allclose(found.values, expected.values, atol=1e-9)


def test_of_a_long_prompt_that_differs_early_no_keys_are_kept_to_spare_few_positions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clean, corrupted = "a b c d e a b c d e", "a b a d e a b c d e"
    lm, prompt, metric = case("llama", torch.float64, text=clean)
    bases: list[Any] = []

    def heard(*args: Any) -> Any:
        bases.append(record_senders(*args))
        return bases[-1]

    monkeypatch.setattr(paths, "record_senders", heard)
    options = {"corrupted": corrupted, "receiver": "1.1.k,1.mlp,2.0"}
    expected = path_patching(lm, prompt, metric, **options).values
    assert any(call.keys_values for call in bases[-1].calls)
    monkeypatch.setattr(steps, "keeps_all_keys", lambda _lm, _length: False)
    found = path_patching(lm, prompt, metric, **options).values
    assert not any(call.keys_values for call in bases[-1].calls)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert np.nanmax(np.abs(found)) > 1e-4


@pytest.mark.usefixtures("changed_on_purpose")
def test_a_model_that_scales_its_stream_is_refused_by_name() -> None:
    lm, prompt, metric = case("gpt2", text=CLEAN)
    handle = lm.anatomy.layers[1].register_forward_hook(
        lambda _m, _args, out: (0.5 * out[0], *out[1:]) if isinstance(out, tuple) else 0.5 * out
    )
    try:
        with pytest.raises(Unsupported, match="Layer 1 does not pass the residual stream"):
            path_patching(lm, prompt, metric, corrupted=CORRUPTED)
    finally:
        handle.remove()


def test_what_is_not_there_is_refused_and_nothing_is_left_behind() -> None:
    lm, prompt, metric = case("llama", text=CLEAN)
    before = fingerprint(lm)
    run = partial(path_patching, lm, prompt, metric, corrupted=CORRUPTED)
    for receiver, words in (
        ("3.mlp", "no layer 3.*0 to 2"),
        ("0.4.q", "no head 4"),
        ("0.2.k", "no key/value head 2.*0 to 1"),
        ("mlp", "no receiver 'mlp'"),
        ("", "no receiver ''"),
        ([], "No receiver"),
    ):
        with pytest.raises(BadParameter, match=words):
            run(receiver=receiver)
    with pytest.raises(BadParameter, match="direction"):
        run(direction="up")
    with pytest.raises(BadPrompt, match="against"):
        path_patching(lm, prompt, metric, corrupted="The Eiffel")
    steps = iter(range(1000))
    with pytest.raises(Cancelled):
        run(receiver="2.mlp", watch=Watch(cancelled=lambda: next(steps) > 5))
    assert fingerprint(lm) == before
    with pytest.raises(Unsupported, match="Edits at q"):
        path_patching(unproved(lm, {"q"}), prompt, metric, corrupted=CORRUPTED, receiver="1.0.q")


def test_in_the_demo_model_direct_paths_are_what_the_components_write_to_the_logit() -> None:
    lm = open_model("demo")
    clean = "When Mary and John went to the store, John gave a drink to"
    corrupted = clean.replace("store, John", "store, Mary")
    request = MetricRequest("logit", " Mary")
    params = {"path_patching": {"corrupted": corrupted, "direction": "denoising"}}
    paths = analyze(lm, clean, ("path_patching",), request, params).results[0].values
    written = []
    for text in (clean, corrupted):
        direct = analyze(lm, text, ("direct_logit_attribution",), request).results[0]
        written.append(dict(zip(direct.axes[0].labels, direct.values, strict=True)))
    heads = range(lm.anatomy.n_heads)
    labels = [
        f"L{layer} {part}"
        for layer in range(lm.anatomy.n_layers)
        for part in (*(f"H{head}" for head in heads), "MLP")
    ]
    differences = [written[0][label] - written[1][label] for label in labels]
    # Not the same: the final norm is held in the one and runs in the other.
    assert np.corrcoef(paths[:, :-1].ravel(), differences)[0, 1] > 0.9


def test_in_an_encoder_positions_behind_the_metrics_and_before_the_first_difference_matter() -> (
    None
):
    """Through every receiver an embedding acts as if it were exchanged: the other prompt's run."""
    lm = masked_lm("modernbert")
    prompt = make_prompt(lm, "the capital of france is [MASK] in the city")
    metric = resolve_metric(lm, prompt, MetricRequest())
    assert metric.info.position < len(prompt.token_ids) - 2
    every = [f"{layer}.{part}" for layer in range(lm.anatomy.n_layers) for part in ("attn", "mlp")]
    for other in (
        "the capital of france is [MASK] in the tower",
        "the tower of france is [MASK] in a city",
    ):
        found = path_patching(lm, prompt, metric, corrupted=other, receiver=[*every, "output"])
        expected = float(found.extra["corrupted"].values)
        assert found.extra["metric"].values[0, -1] == pytest.approx(expected, rel=1e-5)
        assert abs(expected - metric.baseline) > 1e-4
