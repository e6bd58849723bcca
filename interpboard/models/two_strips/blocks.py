"""A layer's parts in the two ways that encoder–decoders are built: sublayers (T5), or all in one (BART).

What is asked for are the places where the residual stream can be read and put: behind each part. Where a
part is a module that gives the stream (T5's sublayers; a norm behind the sum, BART), it is that module's
output. Where the norm comes first (mBART, Pegasus, M2M-100) no module gives the sum: there it is what the
attention gives and what its norm was given, and a change of the sum is a change of what attention gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from interpboard.errors import NotALanguageModel
from interpboard.models.module_hooks import Act, on_input, on_output
from interpboard.models.packed import is_linear

_OUT = ("o", "out_proj", "output")
_PROJECTIONS = (("q", "k", "v"), ("q_proj", "k_proj", "v_proj"), ("query", "key", "value"))


@dataclass(frozen=True)
class Gives:
    """The stream is what ``module`` gives."""

    module: nn.Module

    @contextmanager
    def at(self, act: Act) -> Iterator[None]:
        """While open, ``act`` sees the stream there, and what it returns takes its place."""
        with on_output(self.module, act):
            yield


@dataclass(frozen=True)
class Adds:
    """The stream is what ``norm`` is given and what ``module`` gives, added."""

    module: nn.Module
    norm: nn.Module

    @contextmanager
    def at(self, act: Act) -> Iterator[None]:
        """As ``Gives.at``; what it changes is added to what the module gives."""
        before: list[torch.Tensor] = []

        def keep(stream: torch.Tensor) -> None:
            before.append(stream)

        def change(added: torch.Tensor) -> torch.Tensor | None:
            stream = before.pop() + added
            changed = act(stream)
            return None if changed is None else added + (changed - stream)

        with ExitStack() as stack:
            stack.enter_context(on_input(self.norm, keep))
            stack.enter_context(on_output(self.module, change))
            yield


@dataclass(frozen=True)
class Attention:
    """An attention of a layer, its last linear map, and the stream behind it.

    ``sum_norm``: the norm of the sum of both, where the family norms there (BART).
    """

    module: nn.Module
    out_proj: nn.Module
    behind: Gives | Adds
    sum_norm: nn.Module | None = None

    @property
    def projections(self) -> tuple[nn.Module, nn.Module, nn.Module] | None:
        """The maps to queries, keys and values; None where they go by other names."""
        inner = getattr(self.module, "self", self.module)  # bigbird_pegasus
        for names in _PROJECTIONS:
            found = [getattr(inner, name, None) for name in names]
            if all(isinstance(each, nn.Module) and is_linear(each) for each in found):
                return found[0], found[1], found[2]  # type: ignore[return-value]
        return None

    @property
    def keys_and_values(self) -> tuple[nn.Module, nn.Module] | None:
        """The maps to keys and values."""
        found = self.projections
        return None if found is None else found[1:]


@dataclass(frozen=True)
class StackBlock:
    """A layer: its self-attention, cross attention where it has one, and the last map of its MLP.

    ``end_norm``: the norm behind the MLP's sum, where the family norms there.
    """

    module: nn.Module
    own: Attention
    cross: Attention | None
    down: nn.Module
    end_norm: nn.Module | None = None


def read_block(layer: nn.Module, norm_first: bool, crosses: bool) -> StackBlock:
    """The parts of ``layer``. ``norm_first``: of a layer all in one. ``crosses``: it has cross attention.

    Raises ``NotALanguageModel`` naming what is missing.
    """
    parts = getattr(layer, "layer", None)
    if isinstance(parts, nn.ModuleList):
        return _of_sublayers(layer, list(parts), crosses)
    own = _attention(layer, "self_attn", "self_attn_layer_norm", norm_first)
    cross = None
    if crosses:
        cross = _attention(layer, "encoder_attn", "encoder_attn_layer_norm", norm_first)
    end = None if norm_first else _child(layer, "final_layer_norm")
    return StackBlock(layer, own, cross, _child(layer, "fc2"), end)


def norms_first(layer: nn.Module) -> tuple[nn.Module, nn.Module] | None:
    """The norm and the attention whose order tells where a layer norms; None where it is of sublayers."""
    if isinstance(getattr(layer, "layer", None), nn.ModuleList):
        return None
    return _child(layer, "self_attn_layer_norm"), _child(layer, "self_attn")


def _of_sublayers(layer: nn.Module, parts: list[nn.Module], crosses: bool) -> StackBlock:
    if len(parts) != 2 + crosses:
        raise NotALanguageModel(
            f"{type(layer).__name__} has {len(parts)} sublayers, where {2 + crosses} are known."
        )
    own = _child(parts[0], "SelfAttention")
    cross = _child(parts[1], "EncDecAttention") if crosses else None
    mlp = _child(parts[-1], "DenseReluDense")
    return StackBlock(
        layer,
        Attention(own, _out_proj(own), Gives(parts[0])),
        None if cross is None else Attention(cross, _out_proj(cross), Gives(parts[1])),
        _child(mlp, "wo"),
    )


def _attention(layer: nn.Module, name: str, norm: str, norm_first: bool) -> Attention:
    module, normed = _child(layer, name), _child(layer, norm)
    if norm_first:
        return Attention(module, _out_proj(module), Adds(module, normed))
    return Attention(module, _out_proj(module), Gives(normed), normed)


def _out_proj(attention: nn.Module) -> nn.Module:
    for name in _OUT:
        found = getattr(attention, name, None)
        if isinstance(found, nn.Module) and is_linear(found):
            return found
    raise NotALanguageModel(f"No output projection found in {type(attention).__name__}.")


def _child(module: nn.Module, name: str) -> nn.Module:
    found = getattr(module, name, None)
    if isinstance(found, nn.Module):
        return found
    raise NotALanguageModel(
        f"{type(module).__name__} has no {name}: encoder–decoders are known that are built like T5 or BART."
    )
