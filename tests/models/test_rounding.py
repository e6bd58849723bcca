"""Outliers neither hide a wrong answer nor cost a healthy model its sites, in every number format."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from interpboard.errors import NotALanguageModel
from interpboard.models.anatomy import find_anatomy
from interpboard.models.proof import rounding
from interpboard.models.proof.rounding import Noise, agrees, differs, same_within_rounding
from interpboard.models.proof.selfcheck import self_check
from interpboard.models.sites import SITES
from tests.tiny import tiny_model

FORMATS = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
in_every_format = pytest.mark.parametrize("dtype", FORMATS, ids=str)


@torch.no_grad()
def large_dimension(dtype: torch.dtype) -> Any:
    """One dimension of the stream is 300 where the others spread by about 1, as in real models."""
    model = tiny_model("llama")
    model.model.embed_tokens.weight.mul_(4.0)
    model.model.embed_tokens.weight[:, 7] = 300.0
    for name, parameter in model.named_parameters():
        if "norm" in name:  # it is there for the norms to see, hardly for what they feed
            parameter.mul_(30.0)
            parameter[7] = 0.01
    return model.to(dtype)


@torch.no_grad()
def large_first_position(dtype: torch.dtype) -> Any:
    """The first position is a hundred times as large as the rest: an attention sink."""
    model = tiny_model("gpt2")
    model.transformer.wpe.weight[0] = 30.0 * torch.randn(32)
    return model.to(dtype)


@torch.no_grad()
def padded_vocabulary(dtype: torch.dtype) -> Any:
    """Logits of rows that no token has are −1e9 (−60,000 where that is too much)."""
    model = tiny_model("phi")
    model.lm_head.bias[-8:] = -6e4 if dtype == torch.float16 else -1e9
    return model.to(dtype)


OUTLIERS: dict[str, Callable[[torch.dtype], Any]] = {
    "large dimension": large_dimension,
    "large first position": large_first_position,
    "padded vocabulary": padded_vocabulary,
}


@in_every_format
@pytest.mark.parametrize("outlier", OUTLIERS)
def test_a_healthy_model_with_outliers_keeps_all_it_has(outlier: str, dtype: torch.dtype) -> None:
    verified = self_check(find_anatomy(OUTLIERS[outlier](dtype)))
    lacking = (
        {"resid_mid"} if outlier == "padded vocabulary" else set()
    )  # phi runs them side by side
    assert verified.sites == frozenset(SITES) - lacking
    assert (verified.path, verified.reuse, verified.lens) == ("replay", True, True)
    assert verified.keeps_attention
    assert verified.mlp_at_one


@in_every_format
@pytest.mark.parametrize("outlier", OUTLIERS)
def test_a_head_that_does_more_than_unembed_is_refused_beside_outliers(
    outlier: str, dtype: torch.dtype
) -> None:
    model = OUTLIERS[outlier](dtype)

    def more(_module: Any, _args: Any, logits: torch.Tensor) -> torch.Tensor:
        logits = logits.clone()
        real = logits[..., :400]
        real += 0.1 * (real.mean(1, keepdim=True) - real)  # every position hears of the others
        return logits

    model.lm_head.register_forward_hook(more)
    with pytest.raises(NotALanguageModel, match="its head does more than unembed"):
        self_check(find_anatomy(model))


@in_every_format
@pytest.mark.parametrize("outlier", OUTLIERS)
def test_a_lens_that_is_a_little_off_is_switched_off_beside_outliers(
    outlier: str, dtype: torch.dtype
) -> None:
    model = OUTLIERS[outlier](dtype)
    norm = find_anatomy(model).final_norm

    def off(_module: Any, _args: Any, out: torch.Tensor) -> torch.Tensor:
        return out * (1.0 if out.dim() == 3 else 1.05)  # the tail calls it in two dimensions

    norm.register_forward_hook(off)
    verified = self_check(find_anatomy(model))
    assert not verified.lens
    assert any("no logit lens" in note for note in verified.notes)


@in_every_format
@pytest.mark.parametrize("outlier", ["large dimension", "large first position"])
def test_heads_that_are_not_all_that_attention_writes_are_found_beside_outliers(
    outlier: str, dtype: torch.dtype
) -> None:
    model = OUTLIERS[outlier](dtype)
    anatomy = find_anatomy(model)
    seen: list[torch.Tensor] = []
    for layer, out in zip(anatomy.layers, anatomy.out_proj, strict=True):
        layer.register_forward_pre_hook(
            lambda _m, args, kwargs: seen.append(args[0] if args else kwargs["hidden_states"]),
            with_kwargs=True,
        )
        out.register_forward_hook(lambda _m, _args, z: z + 0.3 * z.abs().mean() * seen[-1].sign())
    verified = self_check(anatomy)
    assert "z" not in verified.sites
    assert "resid_post" in verified.sites


@in_every_format
def test_what_one_place_may_round_to_is_not_allowed_at_another(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    stream = torch.randn(8, 64, dtype=torch.float64)
    stream[:, 5] = 300.0
    stream[0] *= 100.0
    stream[3, 9] = -1e4
    expected = stream.to(dtype)
    unit = torch.finfo(dtype).eps
    rounded = (expected.double() * (1 + unit * torch.randn(8, 64))).to(dtype)
    assert agrees(rounded, expected)
    assert not differs(rounded, expected)
    for place in ((4, 20), (7, 63), (3, 10)):
        wrong = expected.clone()
        wrong[place] += 0.5
        assert not agrees(wrong, expected)
        assert not same_within_rounding(wrong, expected)
    small = expected.double().clone()
    small[6] += 0.05 * torch.randn(64)  # a little in every number, each below rounding in bfloat16
    assert not same_within_rounding(small.to(dtype), expected)
    assert same_within_rounding(small.to(dtype), expected, Noise(largest=0.2, usual=0.06))


def test_what_is_not_finite_agrees_with_nothing() -> None:
    one = torch.ones(2, 4)
    for bad in (float("nan"), float("inf")):
        broken = one.clone()
        broken[1, 2] = bad
        assert not agrees(broken, one)
        assert not agrees(one, broken)
        assert not same_within_rounding(broken, broken)
    assert not agrees(torch.ones(2, 3), one)


def test_nothing_but_zeros_is_held_to_an_absolute_tolerance() -> None:
    zeros = torch.zeros(3, 4)
    assert agrees(zeros + 1e-6, zeros)
    assert not agrees(zeros + 1e-3, zeros)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_many_layers_in_half_precision_are_held_to_the_rounding_measured_on_them(
    dtype: torch.dtype,
) -> None:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=420, hidden_size=64, intermediate_size=96, num_hidden_layers=16,
        num_attention_heads=4, num_key_value_heads=2, bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4.0)
    verified = self_check(find_anatomy(model.to(dtype)))
    assert verified.sites == frozenset(SITES)
    assert (verified.path, verified.reuse, verified.lens) == ("replay", True, True)


@pytest.mark.parametrize("zeros", [0, 5, 200], ids=lambda n: f"{n} zeros")
@pytest.mark.parametrize("dim", [0, -1])
def test_the_usual_size_is_the_median_of_what_is_not_zero(dim: int, zeros: int) -> None:
    sizes = torch.randn(20, 31, generator=torch.Generator().manual_seed(3)).abs()
    sizes.view(-1)[torch.randperm(620, generator=torch.Generator().manual_seed(4))[:zeros]] = 0.0
    found = rounding._usual(sizes, dim)
    ordered = [sorted(x for x in each.tolist() if x) for each in sizes.movedim(dim, -1)]
    expected = [own[(len(own) - 1) // 2] for own in ordered]
    assert found.flatten().tolist() == expected
    assert found.shape == ((1, 31) if dim == 0 else (20, 1))
