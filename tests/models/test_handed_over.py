"""A model handed over in what wraps it, in the mode it is in; what cannot be taken is named."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers as tf
from torch import nn

from interpboard.analyze import analyze
from interpboard.circuits.heads.ablator import AttentionHeadAblator
from interpboard.errors import NotALanguageModel, Unsupported
from interpboard.models.anatomy import find_anatomy
from interpboard.models.language_model import LanguageModel
from interpboard.models.packed import in_width
from interpboard.models.plain_linear import plain_linear
from interpboard.models.proof.selfcheck import self_check
from tests.lm import TEXT, fingerprint
from tests.tiny import VOCAB, tiny_model, tiny_tokenizer

GRADIENTS = ["grad_x_input", "saliency", "integrated_gradients", "noise_tunnel", "lrp"]


class _Lora(nn.Module):
    """Named ``Linear`` in PEFT, too, and its ``weight`` is that of the layer below alone."""

    def __init__(self, base_layer: nn.Module) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.down = nn.Parameter(0.3 * torch.randn(4, in_width(base_layer)))
        self.up = nn.Parameter(0.3 * torch.randn(32, 4))
        self.disable_adapters = False

    @property
    def weight(self) -> torch.Tensor:
        return self.base_layer.weight  # type: ignore[return-value]

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.base_layer(hidden)
        return out if self.disable_adapters else out + hidden @ self.down.T @ self.up.T


Linear = type("Linear", (_Lora,), {})


class PeftModel(nn.Module):
    """What PEFT's has of what is read: adapters lie inside the model, the wrapper hands it out."""

    def __init__(self, model: Any, prompt_learning: bool = False) -> None:
        super().__init__()
        self.base_model = nn.ModuleDict({"model": model})
        kind = "PREFIX_TUNING" if prompt_learning else "LORA"
        self.peft_config = {
            "mine": SimpleNamespace(is_prompt_learning=prompt_learning, peft_type=kind)
        }
        self.active_adapters = ["mine"]

    def get_base_model(self) -> nn.Module:
        return self.base_model["model"]


class OptimizedModule(nn.Module):
    """What torch.compile gives back."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._orig_mod = model


def _adapted() -> Any:
    model = tiny_model("llama")
    torch.manual_seed(1)
    for layer in model.model.layers:
        layer.self_attn.o_proj = Linear(layer.self_attn.o_proj).eval()
    return model


def test_a_peft_model_is_looked_into_with_its_adapter_at_work() -> None:
    inside = _adapted()
    lm = LanguageModel.of(PeftModel(inside).eval(), tiny_tokenizer())
    assert lm.model is inside
    assert lm.verified.path == "replay"
    assert any("adapter mine" in note for note in lm.info.notes)
    plain = LanguageModel.of(tiny_model("llama"), tiny_tokenizer())
    effects = [analyze(each, TEXT, ["head_ablation"]).results[0].values for each in (lm, plain)]
    assert abs(effects[0] - effects[1]).max() > 1e-3
    for layer in inside.model.layers:
        layer.self_attn.o_proj.disable_adapters = True
    off = LanguageModel.of(PeftModel(inside).eval(), tiny_tokenizer())
    assert any("adapters are off" in note for note in off.info.notes)


def test_no_weight_of_an_adapted_layer_is_read_as_if_it_were_all() -> None:
    module = _adapted().model.layers[0].self_attn.o_proj
    assert type(module).__name__ == "Linear"
    assert plain_linear(module) is None
    assert plain_linear(module.base_layer) is not None
    down = tiny_model("gpt2").transformer.h[0].mlp.c_proj  # kept transposed, below an adapter, too
    assert in_width(Linear(down)) == in_width(down) == 128


@pytest.mark.parametrize("wrap", [nn.DataParallel, OptimizedModule])
def test_what_wraps_a_model_and_adds_nothing_is_taken_off(wrap: Any) -> None:
    inside = tiny_model("llama")
    lm = LanguageModel.of(wrap(PeftModel(inside)).eval(), tiny_tokenizer())
    assert lm.model is inside


class FullyShardedDataParallel(nn.Module):
    """Holds a part of every weight."""


class _NoConfig(nn.Module):
    """A model of somebody's own."""


def _small_whisper() -> Any:
    return tf.WhisperForConditionalGeneration(
        tf.WhisperConfig(
            vocab_size=VOCAB, d_model=16, pad_token_id=0, bos_token_id=0, eos_token_id=0,
            decoder_start_token_id=0, encoder_layers=1, decoder_layers=1, decoder_ffn_dim=16,
            encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=16,
        )
    )  # fmt: skip


class _Odd(nn.Module):
    """Calls itself a model of transformers and has none of its parts."""

    config = SimpleNamespace(model_type="odd")

    def get_output_embeddings(self) -> nn.Module:
        return nn.Linear(2, 2)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: "gpt2", "open_model"),
        (lambda: 5, "A int is no model"),
        (_NoConfig, "_NoConfig has no configuration"),
        (_Odd, "_Odd"),
        (
            _small_whisper,
            "WhisperForConditionalGeneration is an encoder–decoder whose encoder reads no",
        ),
        (FullyShardedDataParallel, "FullyShardedDataParallel spreads"),
        (lambda: PeftModel(tiny_model(), prompt_learning=True), "PREFIX_TUNING"),
    ],
)
def test_what_cannot_be_taken_is_named(make: Any, words: str) -> None:
    with pytest.raises(NotALanguageModel, match=words) as caught:
        LanguageModel.of(make(), tiny_tokenizer())
    assert "\n" not in str(caught.value)


def test_every_module_keeps_its_mode_and_no_number_is_random_without_a_word() -> None:
    model = tiny_model("gpt2").train()
    model.transformer.h[1].mlp.eval()
    modes = [module.training for module in model.modules()]
    lm = LanguageModel.of(model, tiny_tokenizer())
    assert [module.training for module in model.modules()] == modes
    with pytest.raises(Unsupported, match="training mode"):
        analyze(lm, TEXT, ["head_ablation"])
    with lm.evaluating():
        twice = [analyze(lm, TEXT, ["head_ablation"]).results[0].values for _ in range(2)]
    assert (twice[0] == twice[1]).all()
    assert [module.training for module in model.modules()] == modes
    with AttentionHeadAblator(model, tiny_tokenizer()) as ablator:
        assert not ablator.lm.model.training
    assert [module.training for module in model.modules()] == modes
    model.eval()
    model.transformer.h[2].attn.train()  # one that drops by a function call
    with pytest.raises(Unsupported, match="training mode"):
        analyze(lm, TEXT, ["logit_lens"])


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_gradients_are_the_same_where_inputs_are_asked_to_require_them(family: str) -> None:
    plain = LanguageModel.of(tiny_model(family), tiny_tokenizer())
    model = tiny_model(family)
    model.enable_input_require_grads()
    tuned = LanguageModel.of(model, tiny_tokenizer())
    before = fingerprint(tuned)
    expected, found = (analyze(lm, "The keys to", GRADIENTS).results for lm in (plain, tuned))
    for one, other in zip(expected, found, strict=True):
        assert abs(one.values - other.values).max() < 1e-6, one.analysis
    assert fingerprint(tuned) == before


@pytest.mark.parametrize("field", ["image_hidden_states", "shared_kv_states", "aux_scores"])
def test_a_head_may_read_any_field_of_its_bodys_output(field: str) -> None:
    model = tiny_model("llama")

    def forward(input_ids: torch.Tensor, **_: Any) -> Any:
        body = model.model(input_ids, use_cache=False)
        if type(body).__module__.startswith("transformers."):
            setattr(body, field, None)  # as the output of a body that has the field
        extra = getattr(body, field)
        return SimpleNamespace(logits=model.lm_head(body.last_hidden_state), extra=extra)

    model.forward = forward
    assert self_check(find_anatomy(model)).lens


def test_a_head_that_needs_more_than_the_last_hidden_state_is_refused_by_name() -> None:
    model = tiny_model("llama")

    def forward(input_ids: torch.Tensor, **_: Any) -> Any:
        body = model.model(input_ids, use_cache=False, output_hidden_states=True)
        logits = model.lm_head(body.last_hidden_state + body.hidden_states[1])
        return SimpleNamespace(logits=logits)

    model.forward = forward
    with pytest.raises(NotALanguageModel, match="its head reads more of what its body gives"):
        self_check(find_anatomy(model))


def test_a_gemma3_for_images_and_text_is_opened_by_its_text_model() -> None:
    text = tf.Gemma3TextConfig(
        vocab_size=VOCAB, hidden_size=32, intermediate_size=48, num_hidden_layers=3, head_dim=8,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64, sliding_window=4,
    )  # fmt: skip
    vision = {
        "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "image_size": 28,
        "num_attention_heads": 2, "patch_size": 14,
    }  # fmt: skip
    config = tf.Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4)
    lm = LanguageModel.of(tf.Gemma3ForConditionalGeneration(config).eval(), tiny_tokenizer())
    assert (lm.verified.path, lm.verified.lens, lm.info.family) == ("replay", True, "gemma3")
    assert analyze(lm, TEXT, ["head_ablation"]).results[0].values.shape == (3, 4)
