"""Where the parts of an encoder's block are: found in the numbers of one forward pass, not by names.

Encoders norm in different places and call their modules by many names. What they share is the sum: what
attention gives is added to the layer's input, what the MLP gives is added to that. So one prompt is run,
every module of a layer is heard, and the parts are those whose numbers fit:

    pre-norm:   mid = x + a             y = mid + m               before_mlp sees mid
    post-norm:  mid = N1(x + a)         y = N2(mid + m)           N1 and N2 are norms

What fits is a proposal; the proof of each site (``proof.sites``) decides whether it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from interpboard.models.packed import base_layer, is_linear
from interpboard.models.proof.rounding import agrees


@dataclass(frozen=True, eq=False)
class Heard:
    """One call of a module: its first input and output, and when it began and ended."""

    module: nn.Module
    given: torch.Tensor
    gave: torch.Tensor
    began: int
    ended: int


@dataclass(frozen=True, eq=False)
class Block:
    """The parts of one layer; None where the numbers show none.

    ``attn_out`` and ``mlp_out`` give what is added, ``mid_norm`` the stream between the two where the
    block norms behind its sums, ``before_mlp`` is given it where it does not.
    """

    attention: nn.Module | None = None
    out_proj: nn.Module | None = None
    attn_out: nn.Module | None = None
    mid_norm: nn.Module | None = None
    end_norm: nn.Module | None = None
    before_mlp: nn.Module | None = None
    down_proj: nn.Module | None = None
    mlp_out: nn.Module | None = None


@dataclass
class _Hearing:
    calls: list[Heard] = field(default_factory=list)
    open: list[tuple[nn.Module, torch.Tensor | None, int]] = field(default_factory=list)


@torch.no_grad()
def heard_in(
    layers: Sequence[nn.Module], run: Callable[[], Any]
) -> list[tuple[list[Heard], Heard | None]]:
    """For each of ``layers`` the calls of the modules inside it during ``run()``, in the order in which they
    ended, and its own call."""
    clock = iter(range(1 << 30))
    hearings = [_Hearing() for _ in layers]
    with ExitStack() as stack:
        for layer, hearing in zip(layers, hearings, strict=True):
            for module in layer.modules():
                _hear(stack, module, hearing, clock)
        run()
    found = []
    for layer, hearing in zip(layers, hearings, strict=True):
        own = [call for call in hearing.calls if call.module is layer]
        inside = [call for call in hearing.calls if call.module is not layer]
        found.append((inside, own[0] if len(own) == 1 else None))
    return found


def _hear(stack: ExitStack, module: nn.Module, hearing: _Hearing, clock: Any) -> None:
    def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = args[0] if args else kwargs.get("hidden_states")
        kept = given.clone() if isinstance(given, torch.Tensor) else None
        hearing.open.append((module, kept, next(clock)))

    def after(module: nn.Module, _args: Any, output: Any) -> None:
        _module, given, began = hearing.open.pop()
        gave = output[0] if isinstance(output, tuple) and output else output
        if given is not None and isinstance(gave, torch.Tensor):
            hearing.calls.append(Heard(module, given, gave.clone(), began, next(clock)))

    for handle in (
        module.register_forward_pre_hook(before, with_kwargs=True),
        module.register_forward_hook(after),
    ):
        stack.callback(handle.remove)


def find_block(layer: nn.Module, calls: Sequence[Heard], own: Heard) -> Block:
    """The parts of ``layer``, which made of ``own.given`` [1, pos, d_model] ``own.gave``."""
    x, y = own.given, own.gave
    streams = [call for call in calls if call.gave.shape == x.shape]
    for adds, seen in _sums(streams, calls, x):
        if agrees(seen.gave, y) and not _calls_after(calls, seen):
            return (
                Block()
            )  # all of the layer is one sum: attention in it cannot be told from the rest
        out_proj = _last_linear(calls, adds)
        block = Block(out_proj=out_proj.module if out_proj else None, attn_out=adds.module)
        later = [call for call in streams if call.ended > seen.began]
        inner = out_proj.module if out_proj else adds.module
        block = _with_mlp(block, later, calls, seen, seen.given, y)
        if block.mlp_out is None and _inside_one(layer, inner, seen.module):
            # A norm within attention: what it gives is the stream, whatever else comes (xmod).
            block = replace(block, mid_norm=seen.module, before_mlp=None)
        own_parts = (block.mlp_out or block.before_mlp,)
        return replace(block, attention=_around(layer, inner, own_parts))
    return Block()


def _inside_one(layer: nn.Module, *modules: nn.Module) -> bool:
    """Whether one part of ``layer`` holds all of ``modules``."""
    inside = [{id(module) for module in child.modules()} for child in layer.children()]
    return any(all(id(module) in one for module in modules) for one in inside)


def _calls_after(calls: Sequence[Heard], seen: Heard) -> bool:
    """Whether any module was called once ``seen`` had ended."""
    return any(call.began > seen.ended for call in calls)


def _sums(
    streams: Sequence[Heard], calls: Sequence[Heard], x: torch.Tensor
) -> Iterator[tuple[Heard, Heard]]:
    """What may be added to ``x`` first, and who was given the sum: the output of linear maps, or else of
    none (a Fourier transform); as it is, or else by a factor (esmc)."""
    for by_factor in (False, True):
        found = []
        for adds in streams:
            later = [c for c in calls if c.began > adds.ended and c.given.shape == x.shape]
            fits = [c for c in later if _is_sum(x, adds.gave, c.given, by_factor)]
            if fits:
                found.append((adds, min(fits, key=lambda call: call.began)))
        yield from (pair for pair in found if _last_linear(calls, pair[0]) is not None)
        yield from (pair for pair in found if _last_linear(calls, pair[0]) is None)


def _is_sum(x: torch.Tensor, added: torch.Tensor, total: torch.Tensor, by_factor: bool) -> bool:
    if not by_factor:
        return agrees(total, x + added)
    size = added.double().square().sum()
    if not bool(size):
        return False
    factor = float(((total - x).double() * added.double()).sum() / size)
    return factor > 0 and agrees(total, (x.double() + factor * added.double()).to(x.dtype))


def find_final_norm(behind: Sequence[Heard], last: Heard | None, hidden: torch.Tensor) -> nn.Module:
    """What makes ``hidden``, the body's output, of the ``last`` layer's: one of ``behind``, or nothing."""
    for call in behind:
        if last is not None and agrees(call.given, last.gave) and agrees(call.gave, hidden):
            return call.module
    return nn.Identity()


def _with_mlp(
    block: Block,
    streams: Sequence[Heard],
    calls: Sequence[Heard],
    seen: Heard,
    total: torch.Tensor,
    y: torch.Tensor,
) -> Block:
    """``block`` with its second half: ``seen`` is the first that was given ``total``, the first sum."""
    # The last linear map first: the modules around it give the same.
    linear = [call for call in reversed(streams) if _is_map(call.module)]
    for adds in (*linear, *(call for call in reversed(streams) if call not in linear)):
        if adds.began >= seen.began and any(
            _is_sum(total, adds.gave, y, by_factor) for by_factor in (False, True)
        ):
            return _joined(block, calls, adds, before_mlp=seen.module)
        second = _given(calls, seen.gave + adds.gave, adds.ended) if _fits(seen, adds) else None
        if second is not None and agrees(second.gave, y):
            entered = _given(calls, seen.gave, seen.ended)
            return _joined(
                block, calls, adds, mid_norm=seen.module, end_norm=second.module,
                before_mlp=entered.module if entered is not None else None,
            )  # fmt: skip
    return replace(block, before_mlp=seen.module)


def _joined(block: Block, calls: Sequence[Heard], adds: Heard, **parts: nn.Module | None) -> Block:
    linear = adds.module if _is_map(adds.module) else None
    if linear is None:
        # Behind a norm or a dropout; a mixture of experts has several, and none is its last.
        near = _last_linear(calls, adds)
        is_its = near is not None and agrees(near.gave, adds.given)
        linear = near.module if near is not None and is_its else None
    found: dict[str, Any] = {"down_proj": linear, "mlp_out": adds.module, **parts}
    return replace(block, **found)


def _fits(seen: Heard, adds: Heard) -> bool:
    return seen.gave.shape == adds.gave.shape and adds.began > seen.ended


def _given(calls: Sequence[Heard], value: torch.Tensor, after: int) -> Heard | None:
    """The first call begun ``after`` that time that was given ``value``."""
    fitting = [
        call
        for call in calls
        if call.began > after and call.given.shape == value.shape and agrees(call.given, value)
    ]
    return min(fitting, key=lambda call: call.began, default=None)


def _last_linear(calls: Sequence[Heard], adds: Heard) -> Heard | None:
    """``adds`` itself, or the last linear map that ended before it."""
    if _is_map(adds.module):
        return adds
    before = [c for c in calls if _is_map(c.module) and c.ended < adds.ended]
    return max(before, key=lambda call: call.ended, default=None)


def _is_map(module: nn.Module) -> bool:
    """Whether it is a linear map, and no norm, which has a weight too."""
    if not is_linear(module):
        return False
    weight = getattr(base_layer(module), "weight", None)
    return weight is None or weight.dim() > 1 or hasattr(base_layer(module), "in_features")


def _around(
    layer: nn.Module, out_proj: nn.Module, without: Sequence[nn.Module | None]
) -> nn.Module:
    """The largest part of ``layer`` that holds ``out_proj`` and none of the parts ``without``."""
    for child in layer.children():
        inside = {id(module) for module in child.modules()}
        if id(out_proj) in inside:
            if any(id(part) in inside for part in without):
                return _around(child, out_proj, without)
            return child
    return layer
