"""What a model writes on with interventions held, against ``generate`` and against loops of plain hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import pytest
import torch

from interpboard.errors import BadParameter, Unsupported
from interpboard.interventions.edited_continuation import edited_continuation, gumbel_noise
from interpboard.models.language_model import LanguageModel
from interpboard.results import MetricRequest, Result
from interpboard.runs.metrics import metric_for
from interpboard.runs.prompt import make_prompt
from tests.lm import TEXT, fingerprint, tiny_lm
from tests.masked import masked_lm
from tests.strips import TEXT as TWO
from tests.strips import strips_lm

STEPS = 6


def continued(lm: LanguageModel, text: str = TEXT, **params: Any) -> Result:
    prompt = make_prompt(lm, text)
    metric = metric_for(lm, prompt, MetricRequest(), ("edited_continuation",))
    return edited_continuation(lm, prompt, metric, **{"new_tokens": STEPS, **params})


def ids_of(lm: LanguageModel, text: str = TEXT) -> list[int]:
    return list(make_prompt(lm, text).token_ids)


def plain_loop(lm: LanguageModel, ids: list[int], hooked: Callable[[], Any]) -> list[int]:
    """Greedy decoding by plain forwards, each whole, with ``hooked`` around each."""
    ids, begin = list(ids), len(ids)
    for _ in range(STEPS):
        with hooked(), torch.no_grad():
            logits = lm.model(torch.tensor([ids]), use_cache=False).logits[0, -1]
        ids.append(int(logits.argmax()))
    return ids[begin:]


@contextmanager
def hook(module: torch.nn.Module, act: Callable[[torch.Tensor], torch.Tensor]) -> Iterator[None]:
    def edited(_module: Any, _args: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (act(output[0]), *output[1:])
        return act(output)

    handle = module.register_forward_hook(edited)
    try:
        yield
    finally:
        handle.remove()


def written(result: Result, run: int) -> list[int]:
    return [token for token in result.extra["token_ids"].values[run].tolist() if token >= 0]


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_without_interventions_it_is_the_models_own_greedy_generation(family: str) -> None:
    lm = tiny_lm(family, torch.float64)
    before, result = fingerprint(lm), continued(lm)
    ids = torch.tensor([ids_of(lm)])
    with torch.no_grad():
        out = lm.model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=STEPS, do_sample=False,
            eos_token_id=None, pad_token_id=0, output_logits=True, return_dict_in_generate=True,
        )  # fmt: skip
    own = out.sequences[0, ids.shape[1] :].tolist()
    assert result.axes[0].labels == ("clean",)
    assert written(result, 0) == own
    shares = [
        float(step[0].softmax(-1)[token]) for step, token in zip(out.logits, own, strict=True)
    ]
    np.testing.assert_allclose(result.values[0], shares, rtol=1e-6)  # it narrows logits
    assert fingerprint(lm) == before


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_zero_and_mean_are_held_at_the_written_tokens_too(family: str) -> None:
    lm = tiny_lm(family, torch.float64)
    ids, mlp = ids_of(lm), lm.anatomy.layers[1].mlp
    zero = continued(lm, interventions="1.mlp=zero")
    own = plain_loop(lm, ids, lambda: hook(mlp, torch.zeros_like))
    assert written(zero, 1) == own

    seen: list[torch.Tensor] = []

    def keep(output: torch.Tensor) -> torch.Tensor:
        seen.append(output[0].mean(0))
        return output

    with hook(mlp, keep), torch.no_grad():
        lm.model(torch.tensor([ids]))
    mean = continued(lm, interventions="1.mlp=mean")
    own = plain_loop(lm, ids, lambda: hook(mlp, lambda out: seen[0].expand_as(out)))
    assert written(mean, 1) == own


def test_what_is_of_positions_and_a_patch_stay_at_those_of_the_prompt() -> None:
    lm = tiny_lm("gpt2", torch.float64)
    ids, block = ids_of(lm), lm.anatomy.layers[1]
    length = len(ids)
    source = TEXT.replace("city", "Tower")
    there: list[torch.Tensor] = []

    def keep(output: torch.Tensor) -> torch.Tensor:
        there.append(output[0].clone())
        return output

    with hook(block, keep), torch.no_grad():
        lm.model(torch.tensor([ids_of(lm, source)]))

    def put(output: torch.Tensor) -> torch.Tensor:
        output = output.clone()
        output[0, :length] = there[0]
        return output

    found = continued(lm, interventions="1.resid=patch", source=source)
    assert written(found, 1) == plain_loop(lm, ids, lambda: hook(block, put))

    def last(output: torch.Tensor) -> torch.Tensor:
        output = output.clone()
        output[0, length - 1] = 0
        return output

    found = continued(lm, interventions=f"1.resid@{length - 1}=zero")
    assert written(found, 1) == plain_loop(lm, ids, lambda: hook(block, last))


def test_both_runs_are_told_apart_where_they_part() -> None:
    lm = tiny_lm("gpt2", torch.float64)
    result = continued(lm, interventions="0.mlp=zero; 1.mlp=zero")
    clean, edited = written(result, 0), written(result, 1)
    at = next((at for at in range(STEPS) if clean[at] != edited[at]), None)
    parted, kl = float(result.extra["parted"].values), result.extra["kl"].values
    assert at is not None, "the interventions of this test change what is written"
    assert parted == at
    assert np.isfinite(kl[: at + 1]).all()
    assert np.isnan(kl[at + 1 :]).all()
    same = [lm.anatomy.layers[layer].mlp for layer in (0, 1)]
    with torch.no_grad():
        ids = torch.tensor([ids_of(lm)])
        one = lm.model(ids).logits[0, -1].log_softmax(-1)
        with ExitStack() as stack:
            for mlp in same:
                stack.enter_context(hook(mlp, torch.zeros_like))
            other = lm.model(ids).logits[0, -1].log_softmax(-1)
    np.testing.assert_allclose(kl[0], float((one.exp() * (one - other)).sum()), rtol=1e-8)


def test_what_is_drawn_is_the_seeds_and_the_same_in_both_runs() -> None:
    lm = tiny_lm("gpt2", torch.float64)
    drawn = continued(lm, temperature=1.5, seed=3)
    assert written(continued(lm, temperature=1.5, seed=3), 0) == written(drawn, 0)
    assert written(continued(lm, temperature=1.5, seed=4), 0) != written(drawn, 0)
    assert written(continued(lm, temperature=1e-6, seed=3), 0) == written(continued(lm), 0)
    # An intervention that changes nothing: the embedding of the token that stands there.
    token = make_prompt(lm, TEXT).tokens[2]
    held = continued(lm, temperature=1.5, seed=3, interventions=f'@2="{token}"')
    assert written(held, 1) == written(drawn, 0) == written(held, 0)
    assert np.isnan(held.extra["parted"].values)
    np.testing.assert_allclose(held.extra["kl"].values, 0, atol=1e-12)


def test_noise_draws_tokens_as_often_as_they_are_likely() -> None:
    lm, generator = tiny_lm("gpt2"), torch.Generator().manual_seed(0)
    logits = torch.linspace(0, 2, lm.anatomy.d_vocab, dtype=torch.float64)
    counts = torch.zeros(lm.anatomy.d_vocab, dtype=torch.float64)
    for _ in range(4000):
        counts[int((logits + gumbel_noise(lm, generator)).argmax())] += 1
    expected = logits.softmax(-1) * 4000
    half = lm.anatomy.d_vocab // 2
    upper, due = float(counts[half:].sum()), float(expected[half:].sum())
    assert abs(upper - due) < 4 * (due * (1 - due / 4000)) ** 0.5


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_the_target_of_an_encoder_decoder_is_written_on(family: str) -> None:
    lm = strips_lm(family, torch.float64)
    prompt = make_prompt(lm, TWO)
    source = torch.tensor([prompt.token_ids[: prompt.border]])
    layer = len(lm.anatomy.layer_names) - 1
    name = lm.anatomy.layer_names[layer]

    def loop(hooked: Callable[[], Any]) -> list[int]:
        ids = list(prompt.token_ids[prompt.border :])
        begin = len(ids)
        for _ in range(STEPS):
            with hooked(), torch.no_grad():
                logits = lm.model(
                    input_ids=source, decoder_input_ids=torch.tensor([ids]), use_cache=False
                ).logits[0, -1]
            ids.append(int(logits.argmax()))
        return ids[begin:]

    @contextmanager
    def nothing() -> Iterator[None]:
        yield

    result = continued(lm, TWO, interventions=f"{name}.resid=zero")
    count = len(written(result, 0))
    assert written(result, 0) == loop(nothing)[:count]
    block = lm.anatomy.layers[layer]
    zero = loop(lambda: hook(block, torch.zeros_like))
    assert written(result, 1) == zero[: len(written(result, 1))]


def test_what_continues_no_text_or_has_no_room_is_refused() -> None:
    lm = tiny_lm("gpt2")
    with pytest.raises(BadParameter, match="beyond the model's context"):
        continued(lm, new_tokens=10_000)
    with pytest.raises(BadParameter, match="temperature"):
        continued(lm, temperature=float("nan"))
    with pytest.raises(Unsupported, match="continues no text"):
        continued(masked_lm("bert"), TEXT)
