"""Where the parts of a decoder are: layers, embedding, final norm, unembedding, attention outputs.

A layer may mix tokens by something else than attention (a state-space or linear-attention block): that
block takes attention's place, and such a layer has no heads.

Models are never rewritten here. A family is recognised by the names its modules go by; what is found
is then proved by ``selfcheck`` before anything relies on it. Sizes come from the modules themselves
(``head_dim``, the width of the output projection), never from ``hidden_size / n_heads``, which is
wrong for qwen3 and gemma3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from interpboard.errors import NotALanguageModel
from interpboard.models.head_sizes import head_sizes
from interpboard.models.label_head import LabelHead, is_classifier, label_map
from interpboard.models.named_parts import Parts, named_layers, named_module
from interpboard.models.packed import is_linear, out_width
from interpboard.models.strips import Strips

_ATTENTION = ("self_attn", "attn", "attention", "self_attention", "self_attn_layer")
# What takes attention's place in other layers of the same stack: state spaces, recurrences, convolutions.
_MIXERS = ("linear_attn", "linear_attention", "mamba", "conv", "temporal_block")
_OUT_PROJ = ("o_proj", "out_proj", "c_proj", "dense", "wo", "out_lin", "linear_out")
_MLP = ("mlp", "feed_forward", "ffn", "block_sparse_moe", "moe", "fc2", "shared_mlp", "mlp_block")
_FINAL_NORM = (
    "norm", "ln_f", "final_layer_norm", "final_layernorm", "final_norm", "norm_f", "embedding_norm",
)  # fmt: skip
_BEFORE_MLP = (
    "pre_feedforward_layernorm", "ln_2", "post_attention_layernorm", "final_layer_norm",
    "pre_ff_layernorm", "ffn_norm", "channel_pre_norm",
)  # fmt: skip
_DOWN = ("down_proj", "c_proj", "fc2", "dense_4h_to_h", "fc_out")


@dataclass(frozen=True)
class Anatomy:
    """The parts of one model. Tuples have one entry per layer.

    ``out_proj`` takes the concatenated head outputs ``z`` [batch, pos, n_heads · d_head]. ``d_head`` is 0
    at a layer without heads, where ``attention`` is what mixes tokens instead. ``alone``: a forward
    pass of several rows gives other numbers than one of each (``selfcheck`` finds it out).
    """

    model: nn.Module
    base: nn.Module
    bodies: tuple[
        nn.Module, ...
    ]  # base and what it wraps around the layers: a head calls one of them
    layers: tuple[nn.Module, ...]
    embedding: nn.Module
    final_norm: nn.Module
    unembedding: nn.Module
    attention: tuple[nn.Module, ...]
    out_proj: tuple[nn.Module, ...]
    mlp: tuple[nn.Module, ...]
    attn_out: tuple[nn.Module, ...]  # whose output attention adds to the residual stream
    mlp_out: tuple[nn.Module, ...]  # likewise for the MLP; both a norm where the family norms late
    before_mlp: tuple[nn.Module, ...]  # whose input is the residual stream between the two
    down_proj: tuple[
        nn.Module | None, ...
    ]  # whose input is the neurons; None for mixtures of experts
    n_heads: int
    n_kv_heads: int
    d_head: tuple[int, ...]
    d_model: int
    d_vocab: int
    context: int | None
    alone: bool = False
    strips: Strips | None = None  # of an encoder–decoder
    label_head: LabelHead | None = None  # what gives labels' logits in place of tokens'
    separator: int | None = None  # the token between two texts, where the model has segments
    # Whose output is the stream between attention and MLP, where a block norms behind its sums (BERT).
    mid_norm: tuple[nn.Module | None, ...] = ()
    end_norm: tuple[nn.Module | None, ...] = ()  # likewise whose output is the layer's

    @property
    def n_logits(self) -> int:
        """How many logits there are: one a token, or one a label."""
        return self.d_vocab if self.label_head is None else len(self.label_head.labels)

    @property
    def reads_mean(self) -> bool:
        """Whether the head reads the mean of all tokens' streams, so that no stream alone has logits."""
        return self.label_head is not None and self.label_head.reads == "mean"

    @property
    def n_layers(self) -> int:
        """Number of decoder layers; of an encoder–decoder, of the layers of all groups (``strips``)."""
        return len(self.layers)

    @property
    def layer_names(self) -> tuple[str, ...]:
        """What a layer is called: its number, with its group in an encoder–decoder."""
        return (
            self.strips.names if self.strips is not None else tuple(map(str, range(self.n_layers)))
        )


def find_anatomy(model: nn.Module, parts: Parts | None = None) -> Anatomy:
    """The parts of ``model``, those that the user names first; raises ``NotALanguageModel`` naming the part
    that is missing."""
    parts = parts or Parts()
    config: Any = model.config
    text_config: Any = config.get_text_config() if hasattr(config, "get_text_config") else config
    unembedding = _named(model, parts.head, "head") or unembedding_of(model)
    base = _named(model, parts.body, "body") or body_of(model)
    if parts.layers:
        layers = named_layers(model, parts.layers)
    else:
        layers = layers_of(base, int(text_config.num_hidden_layers))
    attention, out_proj = _attention(layers, parts)
    mlp = _in_layers(layers, parts.mlp, "mlp") or tuple(
        _child(layer, _MLP, "MLP") for layer in layers
    )
    down_proj: tuple[nn.Module | None, ...] = _in_layers(
        layers, parts.down_proj, "down_proj"
    ) or tuple(_down_proj(module) for module in mlp)
    n_heads = parts.n_heads or int(text_config.num_attention_heads)
    kv_heads = parts.n_kv_heads or int(getattr(text_config, "num_key_value_heads", None) or n_heads)
    # The last linear map, not the module around it: bloom's modules add the stream themselves.
    attn_out = _in_layers(layers, parts.attn_out, "attn_out") or tuple(
        _late_norm(layer, "attention", p) for layer, p in zip(layers, out_proj, strict=True)
    )
    mlp_out = _in_layers(layers, parts.mlp_out, "mlp_out") or tuple(
        _late_norm(layer, "feedforward", d or m)
        for layer, m, d in zip(layers, mlp, down_proj, strict=True)
    )
    before_mlp = _in_layers(layers, parts.before_mlp, "before_mlp") or tuple(
        _before_mlp(layer, m) for layer, m in zip(layers, mlp, strict=True)
    )
    return Anatomy(
        model=model,
        base=base,
        bodies=_bodies(base, layers),
        layers=layers,
        embedding=_named(model, parts.embedding, "embedding") or model.get_input_embeddings(),  # type: ignore[operator]
        final_norm=_named(model, parts.final_norm, "final_norm") or _final_norm(base, layers),
        unembedding=unembedding,
        attention=attention,
        out_proj=out_proj,
        mlp=mlp,
        attn_out=attn_out,
        mlp_out=mlp_out,
        before_mlp=before_mlp,
        down_proj=down_proj,
        n_heads=n_heads,
        n_kv_heads=kv_heads,
        d_head=head_sizes(
            [_has(layer, _ATTENTION) for layer in layers], attention, out_proj, n_heads, parts
        ),
        d_model=int(getattr(text_config, "hidden_size", 0)) or out_width(out_proj[0]),
        d_vocab=out_width(unembedding),
        context=_context(text_config),
    )


def _named(model: nn.Module, path: str, what: str) -> nn.Module | None:
    return named_module(model, path, what) if path else None


def _in_layers(layers: tuple[nn.Module, ...], path: str, what: str) -> tuple[nn.Module, ...]:
    """The module at ``path`` of each layer; empty where none is named."""
    return tuple(named_module(layer, path, what) for layer in layers) if path else ()


def _attention(
    layers: tuple[nn.Module, ...], parts: Parts
) -> tuple[tuple[nn.Module, ...], tuple[nn.Module, ...]]:
    attention = _in_layers(layers, parts.attention, "attention")
    out_proj = _in_layers(layers, parts.out_proj, "out_proj")
    if not attention:
        attention = tuple(_child(layer, (*_ATTENTION, *_MIXERS), "attention") for layer in layers)
    return attention, out_proj or tuple(_descendant(module, _OUT_PROJ) for module in attention)


def attention_modules(
    layers: tuple[nn.Module, ...],
) -> tuple[tuple[nn.Module, ...], tuple[nn.Module, ...]]:
    """What mixes tokens and its output projection, one of each a layer; raises ``NotALanguageModel``."""
    attention = tuple(_child(layer, (*_ATTENTION, *_MIXERS), "attention") for layer in layers)
    return attention, tuple(_descendant(module, _OUT_PROJ) for module in attention)


def unembedding_of(model: nn.Module) -> nn.Module:
    """The unembedding, of a classifier the map to its labels; raises ``NotALanguageModel``."""
    if is_classifier(model):
        return label_map(model, body_of(model))
    getter = getattr(model, "get_output_embeddings", None)
    found: nn.Module | None = getter() if getter is not None else None
    if found is None:
        raise NotALanguageModel(
            f"{type(model).__name__} has no unembedding.", "Choose a model that predicts tokens."
        )
    return found


def body_of(model: nn.Module) -> nn.Module:
    """All of the model but its head; raises ``NotALanguageModel``."""
    for name in (str(getattr(model, "base_model_prefix", "")), "model", "transformer"):
        base: nn.Module | None = getattr(model, name, None) if name else None
        if isinstance(base, nn.Module) and base is not model:
            return base
    raise NotALanguageModel(f"{type(model).__name__} has no body apart from its head.")


def layers_of(base: nn.Module, expected: int) -> tuple[nn.Module, ...]:
    """The stack of ``expected`` layers; raises ``NotALanguageModel``."""
    for _name, module in base.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == expected:
            layers = tuple(module)
            attends = [_has(layer, _ATTENTION) for layer in layers]
            if any(attends) and all(
                found or _has(layer, _MIXERS) for found, layer in zip(attends, layers, strict=True)
            ):
                return layers
    raise NotALanguageModel(
        f"No stack of {expected} attention layers found in {type(base).__name__}.",
        "Models without attention (state-space, recurrent) are not supported.",
    )


def _bodies(base: nn.Module, layers: tuple[nn.Module, ...]) -> tuple[nn.Module, ...]:
    """``base`` and every module inside it that holds all the layers, the list itself left out."""
    return tuple(
        module
        for module in base.modules()
        if not isinstance(module, nn.ModuleList)
        and {id(layer) for layer in layers} <= {id(inner) for inner in module.modules()}
    )


def _has(module: nn.Module, names: tuple[str, ...]) -> bool:
    return any(isinstance(getattr(module, name, None), nn.Module) for name in names)


def _child(module: nn.Module, names: tuple[str, ...], what: str) -> nn.Module:
    for name in names:
        found = getattr(module, name, None)
        if isinstance(found, nn.Module):
            return found
    raise NotALanguageModel(f"No {what} found in {type(module).__name__}.")


def _descendant(attention: nn.Module, names: tuple[str, ...]) -> nn.Module:
    for name in names:
        for path, module in attention.named_modules():
            if path.rpartition(".")[2] == name and is_linear(module):
                return module
    raise NotALanguageModel(f"No output projection found in {type(attention).__name__}.")


def _late_norm(layer: nn.Module, what: str, module: nn.Module) -> nn.Module:
    """The norm behind ``module`` in families that norm what they add (gemma2, olmo2), or ``module``."""
    if not hasattr(layer, "post_feedforward_layernorm"):
        return module
    norm: nn.Module = getattr(layer, f"post_{what}_layernorm")
    return norm


def _before_mlp(layer: nn.Module, mlp: nn.Module) -> nn.Module:
    late = hasattr(layer, "post_feedforward_layernorm")
    for name in _BEFORE_MLP[:1] if late else _BEFORE_MLP:
        found = getattr(layer, name, None)
        if isinstance(found, nn.Module):
            return found
    return mlp


def _down_proj(mlp: nn.Module) -> nn.Module | None:
    if is_linear(mlp):  # opt: the MLP is two linear modules of the layer itself
        return mlp
    for (
        name
    ) in _DOWN:  # direct children only: shared experts have one too, and are not all there is
        found = getattr(mlp, name, None)
        if isinstance(found, nn.Module) and is_linear(found):
            return found
    return None


def _final_norm(base: nn.Module, layers: tuple[nn.Module, ...]) -> nn.Module:
    inside = {id(module) for layer in layers for module in layer.modules()}
    for name in _FINAL_NORM:
        for path, module in base.named_modules():
            if path.rpartition(".")[2] == name and id(module) not in inside:
                return module
    raise NotALanguageModel(f"No final norm found in {type(base).__name__}.")


def _context(config: Any) -> int | None:
    for name in ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length"):
        value = getattr(config, name, None)
        if isinstance(value, int) and value > 0:
            return value
    return None
