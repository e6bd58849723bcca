"""What heads write: copied, suppressed and promoted tokens, on heads that are known by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from interpboard.circuits.direct.path import pull_back
from interpboard.circuits.heads.name_mover import name_mover_probe
from interpboard.circuits.heads.ov_circuit import moved_alone, promotion
from interpboard.circuits.heads.probes import (
    among_top,
    copying_probe,
)
from interpboard.circuits.heads.types import above_chance
from interpboard.errors import Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.results import MetricRequest
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import input_ids
from interpboard.runs.watch import SILENT
from tests.circuits.eager import eager_patterns
from tests.lm import case, fingerprint, tiny_lm
from tests.tiny import tiny_model, tiny_tokenizer


def copying_model(sign: float) -> LanguageModel:
    """A GPT-2 each head of which writes ``sign`` times the part of the embedding that it reads."""
    model = tiny_model("gpt2", torch.float64, seed=2)
    body = model.transformer
    with torch.no_grad():
        body.wpe.weight.zero_()
        for block in body.h:
            basis = torch.linalg.qr(torch.randn(32, 32, dtype=torch.float64)).Q
            for norm in (block.ln_1, block.ln_2):
                norm.weight.fill_(1)
                norm.bias.zero_()
            block.attn.c_attn.weight[:, 64:] = basis
            block.attn.c_attn.bias.normal_()  # a value that is the same for all tokens copies nothing
            block.attn.c_proj.weight[:] = sign * basis.T
            block.mlp.c_proj.weight.zero_()
        body.ln_f.weight.fill_(1)
        body.ln_f.bias.normal_()
    return LanguageModel.of(model, tiny_tokenizer(), "copying")


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_heads_that_copy_score_one_and_heads_that_suppress_score_minus_one(sign: float) -> None:
    lm = copying_model(sign)
    before = fingerprint(lm)
    probe, eigenvalues = copying_probe(lm, samples=4, seed=0, watch=SILENT)
    assert fingerprint(lm) == before
    assert probe.values.shape == probe.null.shape == (4, 3, 4)
    np.testing.assert_array_less(0.97, sign * eigenvalues[0])
    if sign > 0:
        assert probe.values[:, 0].mean() > 0.8
        assert above_chance(probe)[0].min() > 10
    else:
        assert probe.values[:, 0].max() == 0
    assert probe.null[:, 0].mean() < 0.15


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2", "qwen3"])
def test_what_a_head_promotes_is_what_it_would_add_to_the_logits(family: str) -> None:
    lm = tiny_lm(family, torch.float32)
    candidates = torch.arange(40, 60)
    promotes = promotion(lm, 1, candidates)
    moved = torch.randn(4, lm.anatomy.d_head[1], generator=torch.Generator().manual_seed(0))
    stream = torch.randn(32, generator=torch.Generator().manual_seed(1))
    for head in range(4):
        z = torch.zeros(4, lm.anatomy.d_head[1])
        z[head] = moved[head]
        with torch.no_grad():
            zero = lm.anatomy.out_proj[1](torch.zeros(1, z.numel()))[0]
            written = lm.anatomy.out_proj[1](z.flatten()[None])[0] - zero
        expected = []
        for candidate in candidates:
            up = lm.anatomy.unembedding.weight[candidate].detach()
            direction = pull_back(lm.anatomy.final_norm, stream, up, "norm").gradient
            if family == "gemma2":  # its late norm is a diagonal, up to the scale
                late = lm.anatomy.attn_out[1]
                direction = direction * (1 + late.weight.detach())  # type: ignore[operator]
            expected.append(float(direction @ written))
        found = (moved[head] @ promotes[head]).numpy()
        assert np.corrcoef(found, expected)[0, 1] > 0.9999


def test_what_a_head_moves_from_a_lone_token_is_its_value_there() -> None:
    lm = tiny_lm("llama", torch.float64)
    tokens = torch.tensor([7, 300, 21])
    moved = list(moved_alone(lm, [], tokens, SILENT))
    block = lm.model.model.layers[0]
    with torch.no_grad():
        embedded = lm.model.model.embed_tokens(tokens)
        value = block.self_attn.v_proj(block.input_layernorm(embedded)).unflatten(-1, (2, 8))
    expected = value.repeat_interleave(2, dim=1)
    np.testing.assert_allclose(moved[0].numpy(), expected.numpy(), atol=1e-9)
    assert [part.shape for part in moved] == [(3, 4, 8)] * 3


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_the_name_mover_score_is_attention_counted_where_it_copies(family: str) -> None:
    lm, prompt, _ = case(family, torch.float64, text="a b a c a d")
    metric = resolve_metric(lm, prompt, MetricRequest("logit", " a"))
    places = [i for i, token in enumerate(prompt.token_ids) if token == metric.target_id]
    assert len(places) == 2
    probe = name_mover_probe(lm, prompt, metric, seed=0, watch=SILENT)
    assert probe is not None
    assert len(probe.null) == len(set(prompt.token_ids)) - 1
    attended = eager_patterns(lm, input_ids(lm, prompt))[:, 0, :, -1][..., places]
    for layer in range(3):
        for head in range(4):
            sums = [attended[layer, head, list(chosen)].sum() for chosen in ([], [0], [1], [0, 1])]
            found = probe.values[0, layer, head]
            assert min(abs(found - total) for total in sums) < 1e-6
    assert max(probe.values.max(), probe.null.max()) > 0


def test_candidates_that_are_promoted_alike_are_not_among_the_first() -> None:
    one = torch.ones(1, 1, 1, dtype=torch.float64)

    def top(*logits: float) -> list[float]:
        return among_top(one, torch.tensor(logits, dtype=torch.float64)[None, None])[0, 0].tolist()

    assert top(8, *[0] * 20) == [1, *[0] * 20]  # the rest is no better than the sixth
    assert top(1, 2, 3, 4, 5, 6, 7, 8, 9, 10) == [0] * 5 + [1] * 5
    assert top(3, 1, 2, 0) == [1, 0, 1, 0]  # not all of four
    assert np.isnan(top(*[2] * 20)).all()


class _Few:
    """A tokenizer of a few tokens, as far as random ones are drawn from it."""

    all_special_ids: tuple[int, ...] = ()

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __call__(self, _text: str, add_special_tokens: bool = True) -> dict[str, list[int]]:
        return {"input_ids": [0]}


def test_on_a_few_tokens_a_head_is_held_against_another_token_than_its_own() -> None:
    lm = copying_model(1.0)
    few = replace(lm, tokenizer=_Few(9))  # 8 samples would have a token each
    probe, _ = copying_probe(few, samples=8, seed=0, watch=SILENT)
    assert len(probe.values) == 4
    assert probe.values.mean(0).max() == 1
    assert (probe.values.mean(0) - probe.null.mean(0)).max() > 0.2
    with pytest.raises(Unsupported, match="one token"):
        copying_probe(replace(lm, tokenizer=_Few(1)), samples=8, seed=0, watch=SILENT)
