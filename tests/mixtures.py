"""Tiny random mixtures of experts of eight families, and what their experts say, written out by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
import transformers as tf

from interpboard.models.language_model import LanguageModel
from interpboard.results import MetricRequest, PromptInfo
from interpboard.runs.metrics import Metric, resolve_metric
from interpboard.runs.prompt import make_prompt
from tests.tiny import VOCAB, tiny_tokenizer

TEXT = "The keys to the cabinet are on"
OTHER = "The keys to the cabinet of in"
_COMMON: dict[str, Any] = {
    "vocab_size": VOCAB, "hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 2,
    "num_key_value_heads": 2, "max_position_embeddings": 32, "num_hidden_layers": 2, "head_dim": 8,
    "bos_token_id": None, "eos_token_id": None, "pad_token_id": None, "num_experts_per_tok": 2,
}  # fmt: skip
_FEW = {"num_experts": 4, "moe_intermediate_size": 12}
_LOCAL = {"num_local_experts": 4}
_OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "mixtral": ("Mixtral", _LOCAL),
    "qwen2_moe": ("Qwen2Moe", {**_FEW, "shared_expert_intermediate_size": 12}),
    "qwen3_moe": ("Qwen3Moe", {**_FEW, "norm_topk_prob": True}),
    "olmoe": ("Olmoe", {"num_experts": 4}),
    "granitemoe": ("GraniteMoe", _LOCAL),
    "deepseek_v3": (
        "DeepseekV3",
        {"n_routed_experts": 4, "n_group": 2, "topk_group": 1, "first_k_dense_replace": 1,
         "q_lora_rank": 8, "kv_lora_rank": 8, "qk_rope_head_dim": 4, "qk_nope_head_dim": 4,
         "v_head_dim": 8, "moe_intermediate_size": 12, "num_hidden_layers": 3},
    ),
    "gpt_oss": ("GptOss", _LOCAL),
    "llama4": ("Llama4", {**_LOCAL, "intermediate_size_mlp": 24, "interleave_moe_layer_step": 1}),
}  # fmt: skip
FAMILIES = tuple(_OPTIONS)
RESCALING = ("mixtral", "qwen3_moe", "granitemoe", "deepseek_v3", "gpt_oss")
Act = Callable[[torch.Tensor], torch.Tensor]


@cache
def mixture(family: str, dtype: torch.dtype = torch.float32, kernel: str = "") -> LanguageModel:
    """A tiny random mixture of ``family``, its experts computed by ``kernel`` (empty: the usual one). Shared:
    tests must leave it as it was."""
    name, own = _OPTIONS[family]
    options = {**_COMMON, **own}
    if family == "deepseek_v3":
        options.pop("head_dim")
    text = "TextConfig" if family == "llama4" else "Config"
    torch.manual_seed(0)
    model = getattr(tf, f"{name}ForCausalLM")(getattr(tf, f"{name}{text}")(**options)).eval()
    with torch.no_grad():
        for path, parameter in model.named_parameters():
            # As they are initialised all logits are nearly equal, and so are the experts.
            if parameter.dim() > 1:
                parameter.normal_(0, 0.15 if "experts" not in path else 0.3)
            elif path.endswith("bias"):
                parameter.normal_(0, 0.2)
    if kernel:
        model.set_experts_implementation(kernel)
    return LanguageModel.of(model.to(dtype), tiny_tokenizer(), f"tiny {family}")


def asked(lm: LanguageModel, text: str = TEXT) -> tuple[PromptInfo, Metric]:
    """A prompt and the logit of its own top token."""
    prompt = make_prompt(lm, text)
    return prompt, resolve_metric(lm, prompt, MetricRequest(name="logit"))


def plain_of(lm: LanguageModel, prompt: PromptInfo, layer: int, act: Act) -> torch.Tensor:
    """Logits [pos, d_vocab] of a forward of the unmodified model in which ``act`` is done to the weights
    [pos, expert] of ``layer``, and what the experts say is computed by hand from their matrices."""
    ids = torch.tensor([prompt.token_ids])
    with torch.no_grad(), _by_hand(lm.anatomy.layers[layer], act):
        logits: torch.Tensor = lm.model(input_ids=ids, use_cache=False).logits[0]
    return logits


@contextmanager
def _by_hand(layer: Any, act: Act) -> Iterator[None]:
    block: Any = next(
        block for block in layer.modules() if "experts" in dict(block.named_children())
    )
    experts = block.experts

    def said(_experts: Any, args: tuple[Any, ...], kwargs: Any, output: torch.Tensor) -> Any:
        tokens, index, weights = (*args, *kwargs.values())
        dense = torch.zeros(len(tokens), experts.num_experts, dtype=weights.dtype)
        for token in range(len(tokens)):
            for rank, expert in enumerate(index[token].tolist()):
                dense[token, expert] = weights[token, rank]
        dense = act(dense)
        out = torch.zeros_like(output)
        for token in range(len(tokens)):
            for expert in range(experts.num_experts):
                said_by = _one_expert(experts, expert, tokens[token])
                out[token] += (dense[token, expert] * said_by).to(out)
        return out

    def scored(_router: Any, _args: Any, output: Any) -> Any:
        return act(output[0]), *output[1:]

    if hasattr(block, "shared_expert") and hasattr(block, "router"):  # llama4
        handle = block.router.register_forward_hook(scored)
    else:
        handle = experts.register_forward_hook(said, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def _one_expert(experts: Any, expert: int, token: torch.Tensor) -> torch.Tensor:
    if hasattr(experts, "gate_up_proj_bias"):  # gpt_oss
        inner = token @ experts.gate_up_proj[expert] + experts.gate_up_proj_bias[expert]
        gate, up = inner[::2].clamp(max=experts.limit), inner[1::2]
        up = up.clamp(-experts.limit, experts.limit)
        neurons = (up + 1) * gate * torch.sigmoid(gate * experts.alpha)
        return neurons @ experts.down_proj[expert] + experts.down_proj_bias[expert]
    gate, up = (experts.gate_up_proj[expert] @ token).chunk(2)
    return experts.down_proj[expert] @ (experts.act_fn(gate) * up)


def unit_of_neuron(lm: LanguageModel, layer: int, expert: int, neuron: int) -> torch.Tensor:
    """What one unit of a neuron adds to what its expert says [d_model]."""
    modules = dict(lm.anatomy.layers[layer].named_modules())
    down: torch.Tensor = next(
        m for path, m in modules.items() if path.endswith("experts")
    ).down_proj
    neurons = next(i for i, size in enumerate(down.shape[1:], 1) if size != lm.anatomy.d_model)
    return down.detach()[expert].select(neurons - 1, neuron)
