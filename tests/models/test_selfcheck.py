"""Parts are found in every family, and a model that breaks a promise is caught at load."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers as tf
from torch import nn

from interpboard.errors import NotALanguageModel, Unsupported
from interpboard.models.anatomy import find_anatomy
from interpboard.models.language_model import LanguageModel
from interpboard.models.packed import in_width
from interpboard.models.proof.selfcheck import self_check
from interpboard.models.sites import SITES
from interpboard.models.unembedding import forward_logits, residual_to_logits
from tests.tiny import FAMILIES, VOCAB, tiny_model, tiny_tokenizer

NO_FLOAT64 = {"mixtral", "gpt_oss", "deepseek_v3"}  # grouped matrix products exist in float32 only
# In float64 nothing hides behind rounding; in float32 some layers are computed by faster kernels.
IN_BOTH = {"gpt2", "llama", *NO_FLOAT64}
FORMATS = [
    *((family, torch.float64) for family in FAMILIES if family not in NO_FLOAT64),
    *((family, torch.float32) for family in FAMILIES if family in IN_BOTH),
]
# What a family has no place for. Parallel attention and MLP: no residual stream between them. Mixtures of
# experts: no one neuron.
WITHOUT = {
    "gptj": {"resid_mid"},
    "gpt_neox": {"resid_mid"},
    "phi": {"resid_mid"},
    "falcon": {"resid_mid"},
    "cohere": {"resid_mid"},
    "mixtral": {"neuron"},
    "gpt_oss": {"neuron"},
    "deepseek_v3": {"neuron"},
}

# What a replay cannot leave out: opt flattens rows before its MLP, falcon has one norm before both its
# parallel blocks.
FLAT_MLP = {"opt", "falcon"}
OWN_LINEAR = {"falcon"}  # a class of linear maps of its own


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_proves_every_site_and_its_path(family: str) -> None:
    anatomy = find_anatomy(tiny_model(family))
    verified = self_check(anatomy)
    missing = WITHOUT.get(family, set())
    mixed = {"router"} if family in ("mixtral", "gpt_oss") else set()
    assert verified.sites == (frozenset(SITES) | mixed) - missing
    assert bool(verified.notes) == bool(missing)
    for site in missing:
        assert site in verified.notes[0]
        with pytest.raises(Unsupported, match=site):
            verified.require_site(site)
    assert verified.lens
    assert verified.path == "replay"
    assert verified.reuse
    assert verified.some_logits
    assert verified.faster_parts == (family not in OWN_LINEAR)
    assert verified.faster_head
    assert verified.mlp_at_one == (family not in FLAT_MLP)
    assert verified.one_query
    assert verified.keeps_attention
    assert anatomy.n_layers == 3
    assert anatomy.n_heads == 4
    widths = [in_width(projection) for projection in anatomy.out_proj]
    assert widths == [4 * d_head for d_head in anatomy.d_head]


@pytest.mark.parametrize("family", sorted(NO_FLOAT64))
def test_a_family_that_has_no_float64_is_refused_by_name(family: str) -> None:
    with pytest.raises(NotALanguageModel, match="cannot run in torch"):
        self_check(find_anatomy(tiny_model(family, torch.float64)))


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_logits_at_one_position_are_the_models_own(family: str) -> None:
    model = tiny_model(family)
    ids = torch.randint(VOCAB, (2, 9), generator=torch.Generator().manual_seed(1))
    expected = model(input_ids=ids).logits
    anatomy = find_anatomy(model)
    for position in (0, 5, -1):
        logits = forward_logits(anatomy, ids, position)
        torch.testing.assert_close(logits, expected[:, position], rtol=2e-5, atol=2e-5)
    assert not any("forward" in vars(module) for module in model.modules())


def test_a_head_size_that_is_not_hidden_size_over_heads_is_read_from_the_module() -> None:
    anatomy = find_anatomy(tiny_model("qwen3"))
    assert anatomy.d_head == (12, 12, 12)
    assert anatomy.d_model // anatomy.n_heads == 8


def test_a_decoder_without_a_head_is_refused() -> None:
    torch.manual_seed(0)
    config = tf.GPT2Config(n_layer=2, n_head=4, n_embd=32, vocab_size=VOCAB, n_positions=32)
    with pytest.raises(NotALanguageModel, match="GPT2Model has no unembedding"):
        LanguageModel.of(tf.GPT2Model(config).eval(), tiny_tokenizer())


def test_a_model_that_looks_ahead_is_refused() -> None:
    model = tiny_model()
    model.transformer.drop.register_forward_hook(lambda _m, _i, x: x + x.mean(1, keepdim=True))
    with pytest.raises(NotALanguageModel, match="looks at later tokens"):
        LanguageModel.of(model, tiny_tokenizer())


class _ForgetfulLayer(nn.Module):
    """A layer that reads something only the model's own forward sets: replay cannot be exact."""

    def __init__(self, layer: nn.Module, owner: Any) -> None:
        super().__init__()
        self.inner = layer
        self.attn, self.mlp = layer.attn, layer.mlp
        self.owner = [owner]

    def forward(self, hidden: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        shift = self.owner[0].calls.pop() if self.owner[0].calls else 5.0
        return self.inner(hidden * shift, *args, **kwargs)


def test_a_layer_that_cannot_be_replayed_switches_to_hooked_forwards_and_says_so() -> None:
    model = tiny_model()
    model.calls = []
    model.transformer.h[1] = _ForgetfulLayer(model.transformer.h[1], model)
    model.transformer.wte.register_forward_pre_hook(lambda *_: model.calls.append(0.5))
    verified = self_check(find_anatomy(model))
    assert verified.path == "hooks"
    assert any("hooked forwards" in note for note in verified.notes)


def test_a_site_whose_edits_do_not_act_is_named_and_refused() -> None:
    model = tiny_model()
    for block in model.transformer.h:
        nn.init.zeros_(block.attn.c_proj.weight)  # heads write nothing: z cannot matter
    verified = self_check(find_anatomy(model))
    assert "z" not in verified.sites
    assert any("edits at z" in note for note in verified.notes)
    with pytest.raises(Unsupported, match="z"):
        verified.require_site("z")


def test_a_wrong_final_norm_costs_the_lens_and_not_the_model() -> None:
    model = tiny_model()
    model.transformer.ln_f.register_forward_hook(lambda _m, _i, out: out + 1.0 / len(out.shape))
    verified = self_check(find_anatomy(model))  # only 3-d calls differ: the tail calls it in 2-d
    assert not verified.lens
    assert verified.path == "hooks"
    with pytest.raises(Unsupported, match="unembedding"):
        verified.require_lens()


def test_logits_that_are_not_finite_are_refused() -> None:
    model = tiny_model()
    with torch.no_grad():
        model.transformer.ln_f.weight.fill_(float("nan"))
    with pytest.raises(NotALanguageModel, match="not finite"):
        self_check(find_anatomy(model))


def test_the_self_check_leaves_no_hook_and_no_changed_parameter() -> None:
    model = tiny_model("llama")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    self_check(find_anatomy(model))
    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


@torch.no_grad()
def test_the_tail_of_the_last_residual_is_the_output_with_soft_caps_and_scales() -> None:
    for family in ("gemma2", "cohere", "granite"):
        model = tiny_model(family)
        ids = torch.randint(VOCAB, (1, 7), generator=torch.Generator().manual_seed(2))
        anatomy = find_anatomy(model)
        kept: list[torch.Tensor] = []
        handle = anatomy.layers[-1].register_forward_hook(
            lambda _m, _i, out, kept=kept: kept.append(out[0] if isinstance(out, tuple) else out)
        )
        expected = model(input_ids=ids).logits[0]
        handle.remove()
        measured = residual_to_logits(anatomy, kept[0][0])
        torch.testing.assert_close(measured, expected, rtol=2e-5, atol=2e-5)
        plain = model.lm_head(anatomy.final_norm(kept[0][0]))
        assert not torch.allclose(plain, expected, atol=1e-3)  # the scale or cap is really there


def test_tokens_that_a_model_masks_by_minus_infinity_are_named_as_that() -> None:
    model = tiny_model("llama")
    model.lm_head.register_forward_hook(
        lambda _module, _args, logits: logits.index_fill(-1, torch.tensor([7, 9]), -torch.inf)
    )
    with pytest.raises(NotALanguageModel, match="masks tokens with logits of minus infinity"):
        LanguageModel.of(model, tiny_tokenizer())
