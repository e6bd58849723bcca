"""The parts of one layer, found by their names: what mixes tokens, the MLP, what they add to the stream.

A layer may lack a part: a state-space layer has no heads, a layer of one block has no MLP, one that shares a
module with another has none of its own. ``Absent`` stands there: it is never called, so that no hook
fires on it and nothing is proved of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import nn

from interpboard.models.packed import is_linear

ATTENTION_NAMES = (
    "self_attn", "attn", "attention", "self_attention", "self_attn_layer", "multi_head_attention",
    "rel_attn", "self_att",
)  # fmt: skip
# What takes attention's place in other layers of the same stack: state spaces, recurrences, convolutions.
_MIXERS = (
    "linear_attn", "linear_attention", "mamba", "conv", "temporal_block", "mixer", "mlstm_layer",
    "mamba_decoder",
)  # fmt: skip
_PROJECTIONS = ("q_proj", "query", "q_lin", "qkv_proj", "query_key_value", "c_attn", "Wqkv")
_OUT_PROJ = (
    "o_proj", "out_proj", "c_proj", "dense", "wo", "out_lin", "linear_out", "attention_out",
    "output", "Wo",
)  # fmt: skip
_MLP = (
    "mlp", "feed_forward", "ffn", "block_sparse_moe", "moe", "fc2", "shared_mlp", "mlp_block", "ff",
)  # fmt: skip
_BEFORE_MLP = (
    "pre_feedforward_layernorm", "ln_2", "post_attention_layernorm", "final_layer_norm",
    "pre_ff_layernorm", "ffn_norm", "channel_pre_norm", "pre_mlp_layernorm", "norm_2", "ln2",
    "layernorm2", "norm_ffn", "feedforward_layernorm")  # fmt: skip
_DOWN = (
    "down_proj", "c_proj", "fc2", "dense_4h_to_h", "fc_out", "w2", "lin2", "layer_2", "w_out",
    "output", "dense", "proj_down", "Wo", "output_linear",
)  # fmt: skip
# Norms of what is added: that of the MLP, by which such layers are known, then that of attention.
_LATE = (
    ("post_feedforward_layernorm", "post_attention_layernorm"),
    ("post_mlp_layernorm", "post_self_attn_layernorm"),
    ("post_mlp_layernorm", "post_attention_layernorm"),
    ("post_ffn_norm", "post_operator_norm"),
)
_CHOSEN = ("expert", "shared", "gate", "router")  # by whom something else is added, too


class Absent(nn.Module):
    """Stands where a layer has no part of its own; never called."""


def mixer_of(layer: nn.Module) -> tuple[nn.Module, bool]:
    """What mixes tokens in ``layer``, and whether it is attention (``Absent``, False: nothing found)."""
    for inside in (layer, *_children(layer)):
        found = child(inside, ATTENTION_NAMES)
        if found is not None and not isinstance(found, nn.ModuleList):
            return found, True
    found = child(layer, _MIXERS)
    if found is None or _is_mlp(found):
        return Absent(), False
    return found, _has(found, _PROJECTIONS)


def mlp_of(layer: nn.Module) -> nn.Module:
    """The MLP of ``layer``, or its last linear map where it is a few maps of the layer itself."""
    for inside in (layer, *_children(layer)):
        found = child(inside, _MLP)
        if found is not None:
            return found
    output = child(layer, ("output",))
    if output is not None and child(layer, ("intermediate",)) is not None:
        return output  # of BERT: a map, a norm and the sum with the stream
    found = child(layer, ("mixer",))
    return found if found is not None and _is_mlp(found) else Absent()


def out_projection(attention: nn.Module) -> nn.Module:
    """The map of the heads side by side to what is added to the stream."""
    for name in _OUT_PROJ:
        for path, module in attention.named_modules():
            last = path.rpartition(".")[2]
            if last == name and _is_map(module):
                return module
            if last == "linear" and path.rpartition(".")[0].endswith(name) and _is_map(module):
                return module  # a map in a wrapper of its own
    return Absent()


def down_projection(mlp: nn.Module) -> nn.Module | None:
    """The MLP's last linear map; None for mixtures of experts, where none is all there is."""
    if _is_map(mlp):  # opt: the MLP is two linear modules of the layer itself
        return mlp
    if isinstance(mlp, nn.Sequential):
        return next((module for module in reversed(mlp) if _is_map(module)), None)
    if any(part in name for name, _ in mlp.named_modules() for part in _CHOSEN[:2]):
        return _direct(mlp)
    found = _direct(mlp)
    if found is None:
        inner = [module for _name, module in mlp.named_children() if not _is_map(module)]
        found = next((down for module in inner if (down := _direct(module)) is not None), None)
    return found


def _direct(mlp: nn.Module) -> nn.Module | None:
    # direct children only: shared experts have one too, and are not all there is
    for name in _DOWN:
        found = getattr(mlp, name, None)
        if isinstance(found, nn.Module) and _is_map(found):
            return found
    return None


def added_by(layer: nn.Module, what: int, module: nn.Module) -> nn.Module:
    """The norm behind ``module`` in families that norm what they add (gemma2, olmo2), or ``module``.

    ``what``: 0 the MLP, 1 attention.
    """
    for names in _LATE:
        norms = [getattr(layer, name, None) for name in names]
        if all(isinstance(norm, nn.Module) for norm in norms):
            norm: nn.Module = norms[what]  # type: ignore[assignment]
            return norm
    return module


def before_mlp_of(layer: nn.Module, mlp: nn.Module) -> nn.Module:
    """The module whose input is the stream between attention and MLP."""
    late = any(all(hasattr(layer, name) for name in names) for names in _LATE)
    names = ("pre_feedforward_layernorm", "pre_mlp_layernorm", "ffn_norm") if late else _BEFORE_MLP
    found = child(layer, names)
    if found is None and late and child(layer, ("post_self_attn_layernorm",)) is not None:
        found = child(layer, ("post_attention_layernorm",))
    if found is None and child(layer, ("output",)) is mlp:
        found = child(layer, ("intermediate",))
    return found or mlp


def child(module: nn.Module, names: tuple[str, ...]) -> nn.Module | None:
    """The first of ``names`` that ``module`` has as a module."""
    for name in names:
        found = getattr(module, name, None)
        if isinstance(found, nn.Module):
            return found
    return None


def without_shared(
    layers: tuple[nn.Module, ...], found: tuple[nn.Module, ...]
) -> tuple[nn.Module, ...]:
    """``found`` [layer], with ``Absent`` where another layer has the module, too: a hook there would fire
    in both."""
    owners: dict[int, int] = {}
    for layer in layers:
        for module in {id(inner) for inner in layer.modules()}:
            owners[module] = owners.get(module, 0) + 1
    return tuple(Absent() if owners.get(id(module), 0) > 1 else module for module in found)


def is_stack(modules: nn.Module, mixes: Callable[[nn.Module], bool]) -> bool:
    """Whether each of ``modules`` mixes tokens, or is an MLP alone beside others that do."""
    known = [mixes(layer) for layer in modules.children()]
    return any(known) and all(
        found or not isinstance(mlp_of(layer), Absent)
        for found, layer in zip(known, modules.children(), strict=True)
    )


def why_no_stack(base: nn.Module, expected: int) -> str:
    """What a refusal says of a model in which no stack of layers was found."""
    name = type(base).__name__
    for module in base.modules():
        if not isinstance(module, nn.ModuleList):
            continue
        if any(isinstance(child(layer, ATTENTION_NAMES), nn.ModuleList) for layer in module):
            return f"Each layer of {name} attends several times over, and its attentions are not told apart."
        if len(module) == expected and all(_has(entry, _PROJECTIONS) for entry in module):
            return f"{name} keeps attention and MLPs in lists of their own, not in layers."
    return f"No stack of {expected} layers that mix tokens was found in {name}."


def _has(module: nn.Module, names: tuple[str, ...]) -> bool:
    return child(module, names) is not None


def _is_mlp(mixer: nn.Module) -> bool:
    """Whether the one block of a layer is an MLP: maps up and down, or experts, and nothing that mixes."""
    widths = _has(mixer, ("up_proj", "fc1", "gate_up_proj")) and _direct(mixer) is not None
    return (widths or _has(mixer, ("experts",))) and not _has(mixer, _PROJECTIONS)


def _children(layer: nn.Module) -> Iterator[nn.Module]:
    """Blocks within a layer that are layers themselves (zamba)."""
    for _name, inner in layer.named_children():
        if not isinstance(inner, nn.ModuleList) and _has(inner, ATTENTION_NAMES):
            yield inner


def _is_map(module: nn.Module) -> bool:
    weight = getattr(module, "weight", None)
    return is_linear(module) and getattr(weight, "ndim", 2) != 1  # or it is a norm
