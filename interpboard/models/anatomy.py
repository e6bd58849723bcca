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

import torch
from torch import nn

from interpboard.errors import NotALanguageModel
from interpboard.models.as_opened import AsOpened
from interpboard.models.division import device_of
from interpboard.models.head_sizes import head_sizes
from interpboard.models.label_head import LabelHead, is_classifier, label_map, takes_choices
from interpboard.models.layer_parts import (
    Absent,
    added_by,
    before_mlp_of,
    down_projection,
    is_stack,
    mixer_of,
    mlp_of,
    out_projection,
    why_no_stack,
    without_shared,
)
from interpboard.models.mixtures import Mixture, mixtures_of
from interpboard.models.named_parts import Parts, named_layers, named_module, refuse_other_counts
from interpboard.models.packed import is_linear, out_width
from interpboard.models.strips import Strips

_FINAL_NORM = (
    "norm", "ln_f", "final_layer_norm", "final_layernorm", "final_norm", "norm_f", "embedding_norm",
    "layer_norm", "layernorm", "ln_out", "out_norm", "output_layernorm",
)  # fmt: skip


@dataclass(frozen=True)
class Anatomy:
    """The parts of one model. Tuples have one entry per layer.

    ``out_proj`` takes the concatenated head outputs ``z`` [batch, pos, n_heads · d_head]. ``d_head`` is 0
    at a layer without heads, where ``attention`` is what mixes tokens instead. ``alone``: a forward
    pass of several rows gives other numbers than one of each (``selfcheck`` finds it out).
    """

    model: nn.Module
    base: nn.Module
    bodies: tuple[nn.Module, ...]  # base and what of it holds all layers: a head calls one of them
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
    down_proj: tuple[nn.Module | None, ...]  # whose input is the neurons; None of experts
    n_heads: int
    n_kv_heads: int
    d_head: tuple[int, ...]
    d_model: int
    d_vocab: int
    context: int | None
    alone: bool = False
    final_norms: tuple[nn.Module, ...] = ()  # what else the last may be, for ``selfcheck`` to try
    strips: Strips | None = None  # of an encoder–decoder
    label_head: LabelHead | None = None  # what gives labels' logits in place of tokens'
    separator: int | None = None  # the token between two texts, where the model has segments
    # Whose output is the stream between attention and MLP, where a block norms behind its sums (BERT).
    mid_norm: tuple[nn.Module | None, ...] = ()
    end_norm: tuple[nn.Module | None, ...] = ()  # likewise whose output is the layer's
    mixtures: tuple[Mixture | None, ...] = ()  # of experts, by layer; empty where there is none
    opened: AsOpened | None = None  # what its modules were when it was proved; None until it is

    @property
    def n_logits(self) -> int:
        """How many logits there are: one a token, or one a label."""
        return self.d_vocab if self.label_head is None else len(self.label_head.labels)

    @property
    def reads_all(self) -> bool:
        """Whether the head reads all tokens' streams at once, so that no stream alone has logits."""
        return self.label_head is not None and self.label_head.reads_all

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
    refuse_other_counts(parts, text_config)
    unembedding = _named(model, parts.head, "head") or unembedding_of(model)
    base = _named(model, parts.body, "body") or body_of(model, bool(parts.layers))
    if parts.layers:
        layers = named_layers(model, parts.layers)
    else:
        layers = layers_of(base, int(text_config.num_hidden_layers), model)
    attention, out_proj, attends = _attention(layers, parts)
    mlp = _in_layers(layers, parts.mlp, "mlp") or without_shared(
        layers, tuple(mlp_of(layer) for layer in layers)
    )
    down_proj: tuple[nn.Module | None, ...] = _in_layers(
        layers, parts.down_proj, "down_proj"
    ) or tuple(down_projection(module) for module in mlp)
    n_heads = parts.n_heads or int(getattr(text_config, "num_attention_heads", None) or 0)
    kv_heads = parts.n_kv_heads or _kv_heads(text_config, n_heads)
    # The last linear map, not the module around it: bloom's modules add the stream themselves.
    attn_out = _in_layers(layers, parts.attn_out, "attn_out") or tuple(
        added_by(layer, 1, a if isinstance(p, Absent) else p)
        for layer, a, p in zip(layers, attention, out_proj, strict=True)
    )
    mlp_out = _in_layers(layers, parts.mlp_out, "mlp_out") or tuple(
        added_by(layer, 0, d or m) for layer, m, d in zip(layers, mlp, down_proj, strict=True)
    )
    before_mlp = _in_layers(layers, parts.before_mlp, "before_mlp") or tuple(
        before_mlp_of(layer, m) for layer, m in zip(layers, mlp, strict=True)
    )
    embedding = _named(model, parts.embedding, "embedding") or model.get_input_embeddings()  # type: ignore[operator]
    norms = () if parts.final_norm else _final_norms(base, layers)
    return Anatomy(
        model=model,
        base=base,
        bodies=_bodies(base, layers),
        layers=layers,
        embedding=embedding,
        final_norm=_named(model, parts.final_norm, "final_norm") or norms[0],
        final_norms=norms,
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
        d_head=head_sizes(attends, attention, out_proj, n_heads, parts),
        d_model=int(getattr(text_config, "hidden_size", 0)) or _width(out_proj, embedding),
        d_vocab=out_width(unembedding),
        context=_context(text_config),
        mixtures=mixtures_of(layers),
    )


def _width(out_proj: tuple[nn.Module, ...], embedding: nn.Module) -> int:
    of_tokens = int(getattr(embedding, "embedding_dim", 0))
    return next((out_width(module) for module in out_proj if is_linear(module)), of_tokens)


def _named(model: nn.Module, path: str, what: str) -> nn.Module | None:
    return named_module(model, path, what) if path else None


def _in_layers(layers: tuple[nn.Module, ...], path: str, what: str) -> tuple[nn.Module, ...]:
    """The module at ``path`` of each layer; empty where none is named."""
    return tuple(named_module(layer, path, what) for layer in layers) if path else ()


def _attention(
    layers: tuple[nn.Module, ...], parts: Parts
) -> tuple[tuple[nn.Module, ...], tuple[nn.Module, ...], list[bool]]:
    """What mixes tokens, its output projection, and whether it is attention, of each layer."""
    named = _in_layers(layers, parts.attention, "attention")
    attention, out_proj, attends = _mixers(layers)
    if named:
        attention, attends = named, [True] * len(layers)
        out_proj = tuple(out_projection(module) for module in attention)
    return attention, _in_layers(layers, parts.out_proj, "out_proj") or out_proj, attends


def _mixers(
    layers: tuple[nn.Module, ...],
) -> tuple[tuple[nn.Module, ...], tuple[nn.Module, ...], list[bool]]:
    found = [mixer_of(layer) for layer in layers]
    attention = without_shared(layers, tuple(module for module, _ in found))
    return attention, tuple(map(out_projection, attention)), [attends for _, attends in found]


def attention_modules(
    layers: tuple[nn.Module, ...],
) -> tuple[tuple[nn.Module, ...], tuple[nn.Module, ...]]:
    """What mixes tokens and its output projection, one of each a layer; raises ``NotALanguageModel``."""
    attention, out_proj, attends = _mixers(layers)
    for layer, projection, own in zip(layers, out_proj, attends, strict=True):
        if not own or isinstance(projection, Absent):
            raise NotALanguageModel(f"No attention found in {type(layer).__name__}.")
    return attention, out_proj


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


def body_of(model: nn.Module, or_all: bool = False) -> nn.Module:
    """All of the model but its head; ``or_all``: the model if there is none (``caught_body``), else raises
    ``NotALanguageModel``."""
    for name in (str(getattr(model, "base_model_prefix", "")), "model", "transformer"):
        base: nn.Module | None = getattr(model, name, None) if name else None
        if isinstance(base, nn.Module) and base is not model:
            return base
    if or_all:
        return model
    raise NotALanguageModel(f"{type(model).__name__} has no body apart from its head.")


def layers_of(
    base: nn.Module, expected: int, model: nn.Module | None = None
) -> tuple[nn.Module, ...]:
    """The stack of ``expected`` layers; of several (of a text and of images) that which a text runs through
    in ``model``. Raises ``NotALanguageModel``."""
    every = [m for m in base.modules() if isinstance(m, nn.ModuleList) and len(m)]
    lists = [m for m in every if len(m) == expected] or every  # it may count them in another way
    for mixes in (_attends, _mixes):
        stacks = [found for found in lists if is_stack(found, mixes)]
        if len(stacks) > 1 and model is not None:
            stacks = [found for found in stacks if is_run(model, found[0])] or stacks
        if stacks:
            return tuple(stacks[0])
    raise NotALanguageModel(why_no_stack(base, expected))


def _attends(layer: nn.Module) -> bool:
    return mixer_of(layer)[1]


def _mixes(layer: nn.Module) -> bool:
    return not isinstance(mixer_of(layer)[0], Absent)


@torch.no_grad()
def is_run(model: nn.Module, layer: nn.Module) -> bool:
    """Whether a text of two tokens runs through ``layer``."""
    runs: list[bool] = []
    ids = torch.zeros((1, 2), dtype=torch.long, device=device_of(model.get_input_embeddings()))  # type: ignore[operator]
    handle = layer.register_forward_pre_hook(lambda *_: runs.append(True))
    try:
        model(input_ids=ids[:, None] if takes_choices(model) else ids, use_cache=False)
    finally:
        handle.remove()
    return bool(runs)


def _bodies(base: nn.Module, layers: tuple[nn.Module, ...]) -> tuple[nn.Module, ...]:
    """``base`` and every module inside it that holds all the layers, the list itself left out."""
    return tuple(
        module
        for module in base.modules()
        if not isinstance(module, nn.ModuleList)
        and {id(layer) for layer in layers} <= {id(inner) for inner in module.modules()}
    )


def _final_norms(base: nn.Module, layers: tuple[nn.Module, ...]) -> tuple[nn.Module, ...]:
    """What may stand between the last layer and the head, the likeliest first; nothing at all (a stack whose
    layers norm last) is the last of them."""
    inside = {id(module) for layer in layers for module in layer.modules()}
    named = [
        (path.rpartition(".")[2], module)
        for path, module in base.named_modules()
        if id(module) not in inside
    ]
    known = [module for name in _FINAL_NORM for own, module in named if own == name]
    others = [module for _, module in named if "norm" in type(module).__name__.lower()]
    found = {id(module): module for module in (*known, *others)}
    return (*found.values(), nn.Identity())


def _kv_heads(config: Any, n_heads: int) -> int:
    """How many heads keys and values have where attention reads them."""
    named = getattr(config, "num_key_value_heads", None)
    if named:
        return int(named)
    one = getattr(config, "multi_query", False)  # falcon's newer layout hands keys out before
    return 1 if one and not getattr(config, "new_decoder_architecture", False) else n_heads


def _context(config: Any) -> int | None:
    for name in ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length"):
        value = getattr(config, name, None)
        if isinstance(value, int) and value > 0:
            return value
    return None
