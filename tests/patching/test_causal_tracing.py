"""Causal tracing: its identities, portions and subjects. Cells against plain forwards: test_families."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from interpboard.errors import BadParameter, BadPosition, Cancelled, OutOfMemory
from interpboard.patching import causal_tracing
from interpboard.patching.causal_tracing import causal_trace
from interpboard.patching.subject import subject_positions
from interpboard.runs import portions, steps
from interpboard.runs.noise import embedding_deviation, embedding_noise
from interpboard.runs.record import Run
from interpboard.runs.replay import evaluate
from interpboard.runs.watch import Watch
from tests.lm import TEXT, case, fingerprint, tiny_lm

FAMILIES = pytest.mark.parametrize("family", ["gpt2", "llama", "falcon", "gemma3"])
SUBJECT = "Eiffel Tower"


@FAMILIES
def test_without_noise_nothing_is_lost_and_nothing_restored(family: str) -> None:
    lm, prompt, metric = case(family, torch.float64, name="prob")
    result = causal_trace(lm, prompt, metric, subject=SUBJECT, noise=0.0, samples=2)
    np.testing.assert_allclose(result.values, 0, atol=1e-7)
    assert float(result.extra["corrupted"].values) == pytest.approx(metric.baseline, abs=1e-7)


def test_the_last_state_of_the_last_layer_restores_everything() -> None:
    lm, prompt, metric = case("llama", torch.float64, name="prob")
    before = fingerprint(lm)
    result = causal_trace(lm, prompt, metric, subject=(1, 2), samples=3)
    np.testing.assert_allclose(
        result.values[-1, -1], float(result.extra["total_effect"].values), atol=1e-9
    )
    np.testing.assert_allclose(result.extra["recovered"].values[-1, -1], 1, atol=1e-6)
    np.testing.assert_allclose(result.values[-1, :-1], 0, atol=1e-9)
    assert (result.values[:, 0] == 0).all()  # before the subject
    np.testing.assert_allclose(result.values, result.extra["per_sample"].values.mean(0))
    np.testing.assert_allclose(
        result.extra["spread"].values, result.extra["per_sample"].values.std(0)
    )
    assert fingerprint(lm) == before


@pytest.mark.parametrize(("state", "window"), [("resid", 10), ("mlp", 1), ("attn", 2)])
def test_states_that_nothing_reads_are_not_put_back_and_their_effect_is_none(
    state: str, window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm, prompt, metric = case("gpt2", torch.float64, name="prob", position=6)
    rows: list[int] = []

    def heard(run: Run, cells: list[Any], *args: Any, **kwargs: Any) -> np.ndarray:
        rows.append(len(cells))
        return evaluate(run, cells, *args, **kwargs)

    options: dict[str, Any] = {"subject": (1, 2), "state": state, "window": window, "samples": 2}
    monkeypatch.setattr(causal_tracing, "evaluate", heard)
    found = causal_trace(lm, prompt, metric, **options).values
    nowhere = np.zeros(found.shape, dtype=bool)
    monkeypatch.setattr(causal_tracing, "_unread", lambda *_: nowhere.copy())
    everywhere = causal_trace(lm, prompt, metric, **options).values
    np.testing.assert_allclose(found, everywhere, rtol=0, atol=1e-12)
    last_alone = window == 1 or state == "resid"
    unread = np.zeros(found.shape, dtype=bool)
    unread[:, 7:] = True
    unread[-1, :6] = last_alone
    assert (found[unread] == 0).all()
    assert (found[~unread][:, None] != 0)[1:].any()
    assert found[-1, 6] != 0
    assert rows == [2 * int((~unread[:, 1:]).sum()), 2 * unread[:, 1:].size]


def test_the_same_seed_gives_the_same_result_and_another_one_does_not() -> None:
    lm, prompt, metric = case(name="prob")
    first, again, other = (
        causal_trace(lm, prompt, metric, subject=SUBJECT, samples=2, seed=seed).values
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-6


def test_noise_is_scaled_by_the_deviation_of_the_embeddings() -> None:
    lm = tiny_lm("gemma2")  # whose embedding module scales what it holds
    everything = lm.anatomy.embedding(torch.arange(lm.anatomy.d_vocab)).double()
    assert embedding_deviation(lm) == pytest.approx(float(everything.std(correction=0)), rel=1e-6)
    noise = torch.stack([s[0].value for s in embedding_noise(lm, range(50), 3.0, 8, 0)])
    assert float(noise.std()) == pytest.approx(3 * float(everything.std()), rel=0.02)


def _portioned(monkeypatch: pytest.MonkeyPatch, most: int) -> list[int]:
    """From here on no more than ``most`` rows are recorded together; how many were."""
    recorded = []

    def heard(*args: Any, **kwargs: Any) -> Run:
        run = portions.record_first(*args, **kwargs)
        recorded.append(run.batch)
        return run

    monkeypatch.setattr(causal_tracing, "rows_of_a_recording", lambda *_: most)
    monkeypatch.setattr(causal_tracing, "record_first", heard)
    return recorded


@pytest.mark.parametrize("state", ["resid", "attn"])
def test_the_values_do_not_depend_on_how_many_samples_are_recorded_together(
    state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm, prompt, metric = case("llama", torch.float64, name="prob")
    found = {}
    for most, expected in {9: [5], 5: [5], 3: [3, 2], 2: [2, 2, 1], 1: [1] * 5}.items():
        recorded = _portioned(monkeypatch, most)
        found[most] = causal_trace(lm, prompt, metric, subject=SUBJECT, samples=4, state=state)
        assert recorded == expected
        for name in ("per_sample", "corrupted"):
            np.testing.assert_allclose(
                found[most].extra[name].values, found[9].extra[name].values, rtol=0, atol=1e-12
            )
    assert found[9].extra["per_sample"].values.std(0).max() > 1e-4, "samples are not told apart"


def test_a_cancel_between_two_portions_leaves_nothing_and_says_what_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lm, prompt, metric = case("gpt2", torch.float64, name="prob")
    whole = causal_trace(lm, prompt, metric, subject=SUBJECT, samples=2)
    recorded = _portioned(monkeypatch, 2)  # the clean row and a sample, then the other sample
    before = fingerprint(lm)
    heard = []
    watch = Watch(
        lambda _done, _total, partial: heard.append(partial),
        lambda: bool(heard) and heard[-1] is not None and not np.isnan(heard[-1].values).any(),
    )
    with pytest.raises(Cancelled):
        causal_trace(lm, prompt, metric, subject=SUBJECT, samples=2, watch=watch)
    assert recorded == [2]
    assert fingerprint(lm) == before
    np.testing.assert_allclose(heard[-1].values, whole.extra["per_sample"].values[0], atol=1e-12)


def test_partial_means_are_marked_until_every_sample_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lm, prompt, metric = case("gpt2", torch.float64, name="prob")
    _portioned(monkeypatch, 2)
    heard = []
    watch = Watch(lambda _done, _total, partial: heard.append(partial))
    result = causal_trace(lm, prompt, metric, subject=SUBJECT, samples=2, watch=watch)
    partials = [partial for partial in heard if partial is not None]
    assert any(partial.estimated.any() for partial in partials)
    for partial in partials:
        exact = ~partial.estimated & ~np.isnan(partial.values)
        np.testing.assert_array_equal(partial.values[exact], result.values[exact])
    assert not partials[-1].estimated.any()
    np.testing.assert_array_equal(partials[-1].values, result.values)


def test_where_memory_is_short_fewer_rows_are_recorded_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lm, prompt, metric = case("gpt2", torch.float64, name="prob")
    expected = causal_trace(lm, prompt, metric, subject=SUBJECT, samples=4)

    def limited(*args: Any, **kwargs: Any) -> Run:
        rows.append(len(args[3]))
        if len(args[3]) > limit:
            raise torch.OutOfMemoryError("CUDA ran out")
        return record(*args, **kwargs)

    record = portions.record
    monkeypatch.setattr(portions, "record", limited)
    rows: list[int] = []
    limit = 2
    found = causal_trace(lm, prompt, metric, subject=SUBJECT, samples=4)
    np.testing.assert_allclose(found.values, expected.values, rtol=0, atol=1e-12)
    assert rows == [5, 3, 2, 3, 2, 1]
    limit = 0
    with pytest.raises(OutOfMemory, match="does not fit"):
        causal_trace(lm, prompt, metric, subject=SUBJECT, samples=4)


def test_portions_grow_with_free_memory_and_shrink_with_the_prompt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lm = case("gpt2")[0]
    a_row = 3 * 4 * 32 * 4 * 10  # layers; input, heads, keys, values; d_model; bytes; positions
    monkeypatch.setattr(steps, "free_memory", lambda _device: 4 * 5 * a_row)
    assert steps.rows_of_a_recording(lm, 10) == 5
    assert steps.rows_of_a_recording(lm, 25) == 2
    assert steps.rows_of_a_recording(lm, 1000) == 1
    monkeypatch.setattr(steps, "free_memory", lambda _device: 1 << 40)
    assert steps.rows_of_a_recording(lm, 10) == steps.TOKENS_A_STEP["cpu"][1] // 10


def test_a_first_step_through_large_layers_is_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    lm = case("gpt2")[0]
    least, most = steps.TOKENS_A_STEP["cpu"]
    assert steps.StepSize(lm, None).tokens == most
    a_layer = sum(parameter.numel() for parameter in lm.anatomy.layers[0].parameters())
    monkeypatch.setattr(steps, "FIRST_LAYER", 2 * a_layer * 100)
    assert steps.StepSize(lm, None).tokens == 100
    monkeypatch.setattr(steps, "FIRST_LAYER", 1)
    assert steps.StepSize(lm, None).tokens == least


def test_few_new_tokens_behind_a_long_prefix_are_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    lm = case("gpt2")[0]
    free = 4 * 4 * 32 * 4 * 1000  # keys and values of 1000 tokens, twice, in a quarter of it
    monkeypatch.setattr(steps, "free_memory", lambda _device: free)
    size = steps.StepSize(lm, 512)
    assert size.rows(0, 8) == 64
    assert size.rows(100, 101) == 10
    assert size.rows(2000, 2001) == 1


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("Eiffel Tower", (1, 2)),
        (" Eiffel Tower", (1, 2)),
        ("iffel Tow", (1, 2)),
        (["Eiffel", "Tower"], (1, 2)),
        ([" Eiffel", " Tower"], (1, 2)),
        ([2, 1], (1, 2)),
        (["Eiffel"], (1,)),
        ("The", (0,)),
        ("1,2", (1, 2)),
        (" 2 , 1", (1, 2)),
        ("4", (4,)),
        ("1:3", (1, 2)),
        ("-2:", (7, 8)),
        (":2,-1", (0, 1, 8)),
        ("0:-7", (0, 1)),
        ("7:9", (7, 8)),
    ],
)
def test_a_subject_is_found_as_text_words_or_positions(subject, expected) -> None:
    prompt = case(text=TEXT)[1]
    assert subject_positions(prompt, subject) == expected


@pytest.mark.parametrize(
    "subject", ["Louvre", "", [], ["Tower", "Eiffel"], "  ", "1,two", "1;2", "٣"]
)
def test_a_subject_that_is_not_there_is_refused(subject) -> None:
    with pytest.raises(BadParameter, match=r"subject|1,2 or 1:3"):
        subject_positions(case(text=TEXT)[1], subject)


@pytest.mark.parametrize("subject", ["9", "-10", "1:10", "2,99", "9:"])
def test_positions_outside_the_prompt_are_refused(subject: str) -> None:
    with pytest.raises(BadPosition, match="outside the prompt of 9 tokens"):
        subject_positions(case(text=TEXT)[1], subject)


@pytest.mark.parametrize("subject", ["3:1", "2:2", ":0", "0:-9"])
def test_ranges_without_positions_are_refused(subject: str) -> None:
    with pytest.raises(BadParameter, match="no positions"):
        subject_positions(case(text=TEXT)[1], subject)


def test_what_stands_in_the_prompt_is_text_even_if_it_looks_like_positions() -> None:
    prompt = case(text="At 1:3 the odds are 4,2 to")[1]
    for subject in ("1:3", "4,2", "4"):
        found = subject_positions(prompt, subject)
        touched = "".join(prompt.tokens[at] for at in found)
        assert subject in touched
        assert min(found) > 0
    assert subject_positions(prompt, "1,2") == (1, 2)
