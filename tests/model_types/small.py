"""A small model of any type that transformers names: its configuration shrunk by rules, field by field.

No family is named here. A field's name says what it counts (layers, heads, widths, experts …), and each
such count has one small value that goes with the others. Where a family checks its configuration or builds
itself in another way, single fields are left as they are, until a model without memory can be built.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
import itertools
import re
from collections.abc import Iterator
from typing import Any

import torch
from transformers import AutoConfig, PreTrainedConfig

from tests.tiny import VOCAB

LARGEST = 12_000_000  # parameters
LAYERS, HEADS, WIDTH = 4, 4, 32
# What a field counts, by its name, the first that fits; the values suit each other.
_RULES: tuple[tuple[str, int], ...] = (
    (r"vocab_size(_per_layer_input)?|.*_vocab_size|n_vocab", VOCAB),
    (r"hidden_size_per_layer_input|altup_.*dim|laurel_rank|.*lora_(rank|dim)|dt_rank", 8),
    (r"(q|kv|o|output|.*)_?lora_rank|index_(head_)?dim|.*_low_rank_dim|qk_rope_head_dim", 8),
    (r"mamba_dt_rank|time_step_rank|indexer_.*dim|index_head_dim", 8),
    (r"v_head_dim", 12),
    (r"qk_head_dim", 16),  # the two parts of it, of 8 each
    (r".*head_?dim|d_kv|kv_channels|attention_head_size|.*d_head|head_size", 8),
    (r"mamba_n_heads|mamba_num_heads|n_mamba_heads", HEADS),
    (r"(mamba_)?expand|(mamba_)?n_?groups", 1),
    (r"mamba_d_ssm", WIDTH),
    (r"linear_num_key_heads|linear_num_value_heads", 4),
    (r".*(num_key_value|num_kv|n_kv|key_value|num_query_group).*", 2),
    (r"index_n_heads|.*(num_attention_heads|attention_heads|num_heads|n_heads?|n_head)", HEADS),
    (r"num_nextn_predict_layers|.*num_kv_shared_layers|.*num_mtp.*|mtp_.*layers", 0),
    (r"first_k_dense_replace|num_dense_layers|n_dense_layers|moe_layer_start_index", 1),
    (r"(.*_)?(layer_)?(freq|period|interval|step|frequency)|.*_every(_n.*)?", 2),
    (r".*_offset", 1),
    (r".*(num_hidden_layers|num_layers|n_layers?|encoder_layers|decoder_layers|depth)", LAYERS),
    (r"moe_(intermediate|ffn)_(hidden_)?size|.*expert.*(intermediate|ffn).*size", 16),
    (r".*(intermediate_size|ffn_dim|n_inner|ffn_hidden_size|d_inner|d_ff|dim_ff|mlp_hidden_size)", 48),
    (r"n_shared_experts|num_shared_experts|num_expert_groups?|.*zero_expert_num", 1),
    (r".*(experts_per_tok|top_k|topk|moe_k|num_selected_experts|num_experts_per_token)", 2),
    (r"n_group", 2),
    (r"topk_group", 1),
    (r".*(num_local_experts|num_experts|n_routed_experts|moe_num_experts)", 4),
    (r"sliding_window.*|window_size|attention_window|.*local_attn.*(size|window|chunk).*|index_topk", 4),
    (r"attention_chunk_size|chunk_size|.*chunk_length", 8),
    (r".*(max_position_embeddings|n_positions|max_seq_len|max_sequence_length|n_ctx)", 64),
    (r"max_(source|target|text)_positions|max_length", 64),
    (r".*(hidden_size|d_model|n_embd|model_dim|emb_dim|embedding_size|embed_dim|proj_dim)", WIDTH),
    (r"dim|width|ngram_width", WIDTH),
    (r".*(d_state|state_size|ssm_state)", 8),
    (r".*d_conv|conv_kernel|.*conv_kernel_dim", 4),
    (r"lru_width|embedding_dim|.*_width", WIDTH),
    (r"rotary_dim", 4),
    (r"num_latents", 8),
    (r"d_latents|(qk|v)_channels", WIDTH),
    (r"num_self_attends_per_block", LAYERS),
    (r"image_size", 28),
    (r"patch_size", 14),
)  # fmt: skip
_TOKENS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
_AS_IT_IS: Any = object()
Fields = dict[tuple[str, ...], Any]
_TOKEN = re.compile(r".*_token_(id|index)|.*_token")


def small_model(model_class: Any, *, decoder: bool) -> Any:
    """A random model of ``model_class`` in evaluation mode, which gives finite logits for a few tokens.

    Raises ``CannotBeSmall`` with the first reason where none can be built.
    """
    first = ""
    fields_of = _shrunk(model_class.config_class)
    if decoder and "is_decoder" in _fields(model_class.config_class):
        fields_of[("is_decoder",)] = True
    for fields in _variants(fields_of):
        try:
            return _built(model_class, model_class.config_class(**_nested(fields)))
        except Exception as error:  # noqa: BLE001 (the next configuration is tried)
            first = first or f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
    raise CannotBeSmall(first)


class CannotBeSmall(Exception):
    """No configuration that the rules make can be built and run; the reason of the first."""


def _built(model_class: Any, config: Any) -> Any:
    with torch.device("meta"):
        size = sum(p.numel() for p in model_class(copy.deepcopy(config)).parameters())
    if size > LARGEST:
        raise ValueError(f"it would have {size / 1e6:.0f} million parameters")
    torch.manual_seed(0)
    model = model_class(config).eval()
    _enlarge(model)
    ids = torch.randint(VOCAB - 1, (1, 9), generator=torch.Generator().manual_seed(0))
    prefix = {"decoder_input_ids": ids[:, :3]} if config.is_encoder_decoder else {}
    if type(model).__name__.endswith("ForMultipleChoice"):
        ids = ids[:, None]  # one choice
    with torch.no_grad():
        output = model(input_ids=ids, **prefix)
    if "logits" in output and not torch.isfinite(output.logits).all():
        raise ValueError("logits that are not finite")
    return model


def _variants(wanted: Fields) -> Iterator[Fields]:
    """``wanted``; with special tokens that have numbers, with as many key/value heads as heads; then each of
    them without one name, and ``wanted`` without two: those are left as the family has them."""
    numbered = {path: _TOKENS.get(path[-1], value) for path, value in wanted.items()}
    bases = [wanted, numbered]
    bases += [
        {p: HEADS if p[-1] == "num_key_value_heads" else v for p, v in b.items()} for b in bases
    ]
    yield from bases
    names = [name for name in dict.fromkeys(path[-1] for path in wanted) if name != "model_type"]
    for base in bases:
        yield from (_without(base, (name,)) for name in names)
    for base in bases[:2]:
        yield from (_without(base, pair) for pair in itertools.combinations(names, 2))


def _without(fields: Fields, names: tuple[str, ...]) -> Fields:
    return {path: value for path, value in fields.items() if path[-1] not in names}


def _nested(fields: Fields) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for path, value in fields.items():
        inner = made
        for step in path[:-1]:
            inner = inner.setdefault(step, {})
        inner[path[-1]] = value
    return made


def _shrunk(config_class: Any) -> Fields:
    """The fields of ``config_class``, by their path, that a rule has a value for."""
    found: Fields = {}
    fields = _fields(config_class)
    for name, default in fields.items():
        if name in config_class.sub_configs:
            inner = _class_of_part(config_class, name)
            if inner is not None:
                found[name, "model_type"] = inner.model_type
                found |= {(name, *path): value for path, value in _shrunk(inner).items()}
            continue
        value = _small_value(name, default)
        if name == "default_language":  # of those that it has adapters for
            value = next(iter(fields.get("languages") or ()), _AS_IT_IS)
        if value is not _AS_IT_IS:
            found[(name,)] = value
    return found | _kinds_in_turn(config_class)


def _class_of_part(config_class: Any, name: str) -> Any:
    """The class of a configuration within another, None where it is not said."""
    named = config_class.sub_configs[name]
    if named is not AutoConfig:
        return named
    try:
        part = getattr(config_class(), name)
    except Exception:  # noqa: BLE001 (it wants something to be given)
        return None
    return type(part) if isinstance(part, PreTrainedConfig) else None


def _small_value(name: str, default: Any) -> Any:
    if name in _TOKENS:
        return None
    if _TOKEN.fullmatch(name):
        return VOCAB - 1 if isinstance(default, int) and default >= VOCAB else _AS_IT_IS
    if default is not None and (isinstance(default, bool) or not isinstance(default, int)):
        return _AS_IT_IS
    return next((value for rule, value in _RULES if re.fullmatch(rule, name)), _AS_IT_IS)


def _kinds_in_turn(config_class: Any) -> Fields:
    """Lists that have an entry for each layer, made as long as there are layers: every kind in turn."""
    try:
        whole = config_class()
    except Exception:  # noqa: BLE001 (it wants something to be given)
        return {}
    layers = vars(whole).get("num_hidden_layers")
    found: Fields = {}
    for name, default in _fields(config_class).items():
        if re.fullmatch(r"attn_layer_indices", name) and default is None:
            found[(name,)] = list(range(1, LAYERS, 2))
        entries = vars(whole).get(name)
        if name == "layer_types" and entries is None:
            found[(name,)] = ["full_attention"] * LAYERS
        if not isinstance(entries, list) or not entries or len(entries) != layers:
            continue
        if all(isinstance(entry, (str, int)) for entry in entries):
            kinds = list(dict.fromkeys(entries))
            if kinds in (
                ["mamba"],
                ["linear_attention"],
            ):  # of a hybrid: attention where it is said
                kinds.append("attention" if kinds == ["mamba"] else "full_attention")
            found[(name,)] = [kinds[i % len(kinds)] for i in range(LAYERS)]
    return found


def _fields(config_class: Any) -> dict[str, Any]:
    """The fields of a configuration with their defaults (None where there is none)."""
    named = {
        name: parameter.default
        for name, parameter in inspect.signature(config_class.__init__).parameters.items()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD and name != "self"
    }
    if dataclasses.is_dataclass(config_class):
        named |= {field.name: field.default for field in dataclasses.fields(config_class)}
    nothing = (inspect.Parameter.empty, dataclasses.MISSING)
    return {name: None if default in nothing else default for name, default in named.items()}


def _enlarge(model: Any) -> None:
    """Make weights large enough to matter: as initialised, all logits are nearly equal."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 3 or (parameter.dim() == 2 and name.endswith("weight")):
                parameter.mul_(4.0)
                if not parameter.any():  # as some begin (neomme)
                    parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
            elif "norm" in name or "ln_" in name:
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
