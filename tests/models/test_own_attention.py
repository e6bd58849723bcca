"""Attention that families write out themselves: its sites are what the model's own modules and reports say.

The oracles are hooks on the modules that make queries, keys and values, what the model reports as its
attention, and products by hand.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from torch import nn

from interpboard.errors import Unsupported
from interpboard.models.attention_sites import in_attention
from interpboard.models.language_model import LanguageModel
from interpboard.models.sites import at_site
from tests.lm import fingerprint, tiny_lm
from tests.masked import MASKED, masked_lm
from tests.models.test_encoders import WORDS, tokenizer

_SIZES: dict[str, Any] = {
    "vocab_size": len(WORDS) + 5, "hidden_size": 32, "num_hidden_layers": 2,
    "num_attention_heads": 4, "intermediate_size": 48, "max_position_embeddings": 40,
}  # fmt: skip
HEADS = 4
# Besides those of tests.masked: how to build it, its attention, and the module whose heads are its queries.
OWN: dict[str, tuple[Any, str, str]] = {
    "deberta": (
        lambda: tf.DebertaForMaskedLM(
            tf.DebertaConfig(**_SIZES, relative_attention=True, pos_att_type=["c2p", "p2c"])
        ),
        "deberta.encoder.layer.{i}.attention",
        "",
    ),
    "deberta-v2": (
        MASKED["deberta-v2"].make,
        "deberta.encoder.layer.{i}.attention",
        "self.query_proj",
    ),
    "mpnet": (MASKED["mpnet"].make, "mpnet.encoder.layer.{i}.attention", "attn.q"),
    "rembert": (
        lambda: tf.RemBertForMaskedLM(tf.RemBertConfig(**_SIZES)),
        "rembert.encoder.layer.{i}.attention",
        "self.query",
    ),
}
EACH = pytest.mark.parametrize("family", OWN)


@cache
def lm_of(family: str) -> LanguageModel:
    if family in MASKED:
        return masked_lm(family)
    torch.manual_seed(0)
    model = OWN[family][0]().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(6.0)
    return LanguageModel.of(model.double(), tokenizer(), family)


def ids_of(lm: LanguageModel) -> torch.Tensor:
    return torch.tensor([[2, 5, 9, 7, 8, 4, 12, 3], [2, 6, 11, 10, 8, 4, 13, 3]])


@torch.no_grad()
def seen(lm: LanguageModel, site: str, layer: int, **changes: Any) -> torch.Tensor:
    """The activation at ``site`` of a layer; ``changes``: what is done at other sites of it."""
    found: list[torch.Tensor] = []
    with ExitStack() as stack:
        for name, act in changes.items():
            stack.enter_context(at_site(lm.anatomy, name, layer, act))
        stack.enter_context(
            at_site(lm.anatomy, site, layer, lambda value: found.append(value.clone()))
        )
        lm.model(input_ids=ids_of(lm))
    return found[0]


@EACH
def test_every_site_inside_is_proved(family: str) -> None:
    lm = lm_of(family)
    assert {"q", "k", "v", "pattern", "z"} <= lm.verified.sites


@EACH
@torch.no_grad()
def test_the_pattern_is_what_the_model_reports_and_times_the_values_is_z(family: str) -> None:
    lm = lm_of(family)
    before = fingerprint(lm)
    reported = lm.model(input_ids=ids_of(lm), output_attentions=True).attentions
    for layer in range(2):
        pattern = seen(lm, "pattern", layer)
        torch.testing.assert_close(pattern.transpose(1, 2), reported[layer], rtol=1e-9, atol=1e-12)
        z = torch.einsum("bqhk,bkhd->bqhd", pattern, seen(lm, "v", layer))
        torch.testing.assert_close(z, seen(lm, "z", layer), rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(z, seen(lm, "attended", layer), rtol=1e-9, atol=1e-9)
    assert fingerprint(lm) == before


@EACH
@torch.no_grad()
def test_an_edited_pattern_of_one_row_is_what_the_values_are_weighed_by(family: str) -> None:
    lm = lm_of(family)
    values, clean = seen(lm, "v", 1), seen(lm, "z", 1)

    def edit(pattern: torch.Tensor) -> torch.Tensor:
        new = pattern.clone()
        new[1, 2, 3] = torch.arange(8.0)
        return new

    z = seen(lm, "z", 1, pattern=edit)
    expected = torch.einsum("k,kd->d", torch.arange(8.0).double(), values[1, :, 3])
    torch.testing.assert_close(z[1, 2, 3], expected, rtol=1e-9, atol=1e-9)
    untouched = torch.ones(clean.shape[:3], dtype=torch.bool)
    untouched[1, 2, 3] = False
    assert torch.equal(z[untouched], clean[untouched])


@EACH
@torch.no_grad()
def test_a_key_that_is_hidden_leaves_the_others_their_share(family: str) -> None:
    lm = lm_of(family)
    clean = seen(lm, "pattern", 0)

    def hide(mask: torch.Tensor) -> torch.Tensor:
        new = mask.clone()
        new[0, 2, 4, 6] = torch.finfo(mask.dtype).min
        return new

    with in_attention(lm.anatomy, "mask", 0, hide):
        found = seen(lm, "pattern", 0)
    expected = clean.clone()
    expected[0, 4, 2, 6] = 0
    expected[0, 4, 2] /= expected[0, 4, 2].sum()
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("family", [name for name, row in OWN.items() if row[2]])
@torch.no_grad()
def test_edited_queries_are_those_of_the_projections(family: str) -> None:
    """Also where they meet the embeddings of distances a second time (deberta)."""
    lm = lm_of(family)
    path = OWN[family][1].format(i=1)
    projection = lm.model.get_submodule(f"{path}.{OWN[family][2]}")
    calls: list[int] = []

    def double(_module: nn.Module, _args: Any, output: torch.Tensor) -> torch.Tensor | None:
        calls.append(1)
        if len(calls) > 1:  # of distances
            return None
        new = output.unflatten(-1, (HEADS, -1)).clone()
        new[0, 3, 2] *= 2
        return new.flatten(2)

    handle = projection.register_forward_hook(double)
    expected = seen(lm, "pattern", 1)
    handle.remove()

    def twice(query: torch.Tensor) -> torch.Tensor:
        new = query.clone()
        new[0, 3, 2] *= 2
        return new

    found = seen(lm, "pattern", 1, q=twice)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
    assert not torch.allclose(found[0, 3, 2], seen(lm, "pattern", 1)[0, 3, 2], atol=1e-4)


@torch.no_grad()
def test_edited_keys_of_deberta_also_meet_the_distances() -> None:
    lm = lm_of("deberta")
    attention: Any = lm.model.deberta.encoder.layer[0].attention.self

    def edit(key: torch.Tensor) -> torch.Tensor:
        new = key.clone()
        new[0, 3, 2] = 0
        return new

    def module(_module: nn.Module, _args: Any, output: torch.Tensor) -> torch.Tensor:
        new = output.unflatten(-1, (HEADS, 3, -1)).clone()
        new[0, 3, 2, 1] = 0  # by head, then query, key and value
        return new.flatten(2)

    found = seen(lm, "pattern", 0, k=edit)
    handle = attention.in_proj.register_forward_hook(module)
    expected = seen(lm, "pattern", 0)
    handle.remove()
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("family", ["falcon", "bloom", "gptj", "gpt_neo"])
@torch.no_grad()
def test_decoders_give_the_logits_of_a_pattern_put_in_by_their_own_head_outputs(
    family: str,
) -> None:
    lm = tiny_lm(family)
    ids = torch.tensor([[5, 9, 7, 8, 4, 12]])
    pattern, values = (_of(lm, ids, site) for site in ("pattern", "v"))
    values = values.repeat_interleave(HEADS // values.shape[2], dim=2)
    new = pattern.clone()
    new[0, 4, 1] = torch.tensor([0.5, 0, 0.5, 0, 0, 0])
    z = torch.einsum("bqhk,bkhd->bqhd", new, values)
    with at_site(lm.anatomy, "pattern", 1, lambda _own: new):
        found = lm.model(input_ids=ids).logits
    with at_site(lm.anatomy, "z", 1, lambda _own: z):
        expected = lm.model(input_ids=ids).logits
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(pattern.sum(-1), 1, rtol=1e-5)
    assert float(pattern.transpose(1, 2).triu(1).abs().max()) == 0


def _of(lm: LanguageModel, ids: torch.Tensor, site: str) -> torch.Tensor:
    found: list[torch.Tensor] = []
    with at_site(lm.anatomy, site, 1, lambda value: found.append(value.clone())):
        lm.model(input_ids=ids)
    return found[0]


class _Longer(nn.Module):
    """A self-attention that has another algorithm for prompts of more than eight tokens."""

    def __init__(self, own: nn.Module) -> None:
        super().__init__()
        self.own = own

    def forward(self, hidden_states: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        if hidden_states.shape[1] <= 8:
            return self.own(hidden_states, *args, **kwargs)
        return hidden_states.cumsum(1) / hidden_states.shape[1], None


@torch.no_grad()
def test_a_prompt_that_goes_another_way_than_the_proof_is_refused() -> None:
    torch.manual_seed(0)
    model = OWN["rembert"][0]().eval()
    for layer in model.rembert.encoder.layer:
        layer.attention.self = _Longer(layer.attention.self)
    lm = LanguageModel.of(model, tokenizer(), "longer")
    assert "pattern" in lm.verified.sites
    ids = torch.tensor([[2, 5, 9, 7, 8, 4, 12, 13, 14, 3]])
    with (
        at_site(lm.anatomy, "pattern", 0, lambda _own: None),
        pytest.raises(Unsupported, match="computes pattern for 4 heads in no way"),
    ):
        lm.model(input_ids=ids)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: tf.ConvBertForMaskedLM(tf.ConvBertConfig(**_SIZES, embedding_size=32)),
            "2 attention patterns",
        ),
        (
            lambda: tf.YosoForMaskedLM(tf.YosoConfig(**_SIZES)),
            "weighs tokens otherwise",
        ),
    ],
    ids=["convbert", "yoso"],
)  # fmt: skip
def test_why_there_is_no_pattern_is_said(make: Any, words: str) -> None:
    torch.manual_seed(0)
    lm = LanguageModel.of(make().eval(), tokenizer(), "none")
    assert words in " ".join(lm.verified.notes)
    with pytest.raises(Unsupported, match=words):
        lm.verified.require_site("pattern", 0)


def test_attention_by_way_of_landmarks_says_that_few_lengths_fit_it() -> None:
    torch.manual_seed(0)
    config = tf.NystromformerConfig(**_SIZES, num_landmarks=4, segment_means_seq_len=8)
    lm = LanguageModel.of(tf.NystromformerForMaskedLM(config).eval(), tokenizer(), "landmarks")
    assert "runs prompts of 8 tokens but none of 13" in lm.verified.notes[0]


def test_an_attention_that_a_short_prompt_has_switched_is_named() -> None:
    config = tf.BigBirdConfig(**_SIZES, attention_type="block_sparse", block_size=4)
    lm = LanguageModel.of(tf.BigBirdForMaskedLM(config).eval(), tokenizer(), "tiny big_bird")
    assert "original_full for prompts of every length, not block_sparse" in lm.verified.notes[0]
