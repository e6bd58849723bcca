"""Tiny random models of many families, and a small tokenizer: what most tests look into."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as tf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

VOCAB = 420
_SENTENCES = (
    "The Eiffel Tower is located in the city of Paris.",
    "When Mary and John went to the store, John gave a drink to Mary.",
    "The keys to the cabinet are on the table in the old house.",
)

_COMMON: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
_GATED = {**_COMMON, "intermediate_size": 48, "num_key_value_heads": 2}
_GPT2 = {
    "vocab_size": VOCAB, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64,
    "bos_token_id": None, "eos_token_id": None,
}  # fmt: skip


def _of(config: str, model: str, **options: Any) -> Callable[[], Any]:
    def make() -> Any:
        return getattr(tf, model)(getattr(tf, config)(**options))

    return make


FAMILIES: dict[str, Callable[[], Any]] = {
    "gpt2": _of("GPT2Config", "GPT2LMHeadModel", **_GPT2),
    "gpt_neo": _of(
        "GPTNeoConfig", "GPTNeoForCausalLM", **_COMMON, num_layers=3, num_heads=4, window_size=4,
        attention_types=[[["global", "local", "global"], 1]],
    ),
    "gptj": _of("GPTJConfig", "GPTJForCausalLM", **_GPT2, rotary_dim=4),
    "gpt_neox": _of("GPTNeoXConfig", "GPTNeoXForCausalLM", **_COMMON, intermediate_size=48),
    "llama": _of("LlamaConfig", "LlamaForCausalLM", **_GATED),
    "mistral": _of("MistralConfig", "MistralForCausalLM", **_GATED, sliding_window=None),
    "mistral_windowed": _of("MistralConfig", "MistralForCausalLM", **_GATED, sliding_window=4),
    "mixtral": _of("MixtralConfig", "MixtralForCausalLM", **_GATED, num_local_experts=4),
    "qwen2": _of("Qwen2Config", "Qwen2ForCausalLM", **_GATED),
    "qwen3": _of("Qwen3Config", "Qwen3ForCausalLM", **_GATED, head_dim=12),
    "gemma2": _of("Gemma2Config", "Gemma2ForCausalLM", **_GATED, head_dim=12, sliding_window=4),
    "gemma3": _of(
        "Gemma3TextConfig", "Gemma3ForCausalLM", **_GATED, head_dim=12, sliding_window=4
    ),
    "phi": _of("PhiConfig", "PhiForCausalLM", **_COMMON, intermediate_size=48),
    "phi3": _of("Phi3Config", "Phi3ForCausalLM", **_GATED),
    "opt": _of(
        "OPTConfig", "OPTForCausalLM", **(_COMMON | {"pad_token_id": 1}), ffn_dim=48,
        word_embed_proj_dim=32,
    ),
    "bloom": _of("BloomConfig", "BloomForCausalLM", **_COMMON, n_layer=3, n_head=4),
    "falcon": _of("FalconConfig", "FalconForCausalLM", **_COMMON, alibi=False),
    "gpt_oss": _of(
        "GptOssConfig", "GptOssForCausalLM", **_GATED, head_dim=12, num_local_experts=4,
        num_experts_per_tok=2, sliding_window=4,
    ),
    "olmo2": _of("Olmo2Config", "Olmo2ForCausalLM", **_GATED),
    "stablelm": _of("StableLmConfig", "StableLmForCausalLM", **_GATED),
    "granite": _of("GraniteConfig", "GraniteForCausalLM", **_GATED, logits_scaling=3.0),
    "cohere": _of("CohereConfig", "CohereForCausalLM", **_GATED, logit_scale=0.25),
    "starcoder2": _of("Starcoder2Config", "Starcoder2ForCausalLM", **_GATED),
    "deepseek_v3": _of(
        "DeepseekV3Config", "DeepseekV3ForCausalLM", **(_GATED | {"num_key_value_heads": 4}),
        q_lora_rank=16, kv_lora_rank=16, qk_rope_head_dim=8, qk_nope_head_dim=8, v_head_dim=12,
        n_routed_experts=4, num_experts_per_tok=2, n_group=2, topk_group=1, first_k_dense_replace=1,
        moe_intermediate_size=16,
    ),
}  # fmt: skip


def tiny_model(
    family: str = "gpt2", dtype: torch.dtype = torch.float32, seed: int = 0, biases: bool = False
) -> Any:
    """A random model of ``family``: 3 layers, 4 heads, d_model 32. Weights large enough to matter; with
    ``biases`` those of linear maps too, which are 0 as initialised, and left out nobody would see."""
    torch.manual_seed(seed)
    model = FAMILIES[family]().eval()
    of_biases = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # As initialised, all logits are nearly equal and any wrong number would pass.
            if parameter.dim() > 1:
                parameter.mul_(4.0)
            elif "norm" in name or "ln_" in name:
                parameter.add_(0.2 * torch.randn_like(parameter))
            elif biases and name.endswith("bias"):
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=of_biases))
    return model.to(dtype)  # last, so that every format has the same numbers


def tiny_tokenizer() -> Any:
    """A byte-level BPE of 420 tokens: any text encodes."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    bpe.train_from_iterator(_SENTENCES * 20, trainer)
    return tf.PreTrainedTokenizerFast(tokenizer_object=bpe)


def save_tiny(folder: Path, family: str = "gpt2") -> Path:
    """A folder that ``open_model`` can load."""
    tiny_model(family).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder
