"""Calling one layer of an encoder–decoder again: a block of the encoder, or a half of one of the decoder.

What a layer is given here is both strips [row, pos, d_model], so that a row needs nothing besides:

| group | at the source's positions | at the prefix's |
|---|---|---|
| ``E`` | the encoder's stream | the decoder's input, passed on |
| ``D``, ``X`` | the encoder's last states, passed on | the decoder's stream |

The last block of the encoder gives its states behind the encoder's final norm. Of rows whose states are those
that were recorded, to the bit, cross attention takes the recorded keys and values. Whether this is exact for
a given model is for ``replay_proof`` to prove.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from interpboard.models.anatomy import Anatomy
from interpboard.models.calls import LayerCall, hidden_of
from interpboard.models.kept_tensors import Keeper, Kept
from interpboard.models.layer_caches import EnoughSeen, KeysValues
from interpboard.models.module_hooks import standing_in
from interpboard.models.strips import DECODER, ENCODER, group_of
from interpboard.models.two_strips.blocks import Gives, StackBlock
from interpboard.models.two_strips.modules import StripBody

_STATES = "encoder_hidden_states"


@dataclass(frozen=True)
class StripLayer:
    """What is called again: ``tail``, in the last block of the encoder, is the norm behind it.

    ``forms``: how many things a module returns, of those of which one is put (1: no tuple). ``formats``: the
    number formats of what it is given at the source's positions and at the prefix's, which may differ (T5 in
    float16 keeps its stream in float32, and its states not).
    """

    body: StripBody
    block: StackBlock
    group: str
    border: int
    tail: nn.Module | None
    forms: dict[nn.Module, int]
    formats: tuple[torch.dtype, torch.dtype]


@dataclass(frozen=True, eq=False)
class StripCall(LayerCall):
    """See the module. ``hidden`` [batch, pos, d_model] is over both strips; ``keys_values`` are what the maps
    to keys and values of a cross attention gave [batch, pos, …] for the recorded states."""

    half: StripLayer | None = None

    def replay(
        self,
        hidden: torch.Tensor,
        base: torch.Tensor | None = None,
        first: int = 0,
        attending: int | None = None,
        before: KeysValues | None = None,
    ) -> torch.Tensor:
        """As ``LayerCall.replay``, of both strips: ``first`` is 0, and all rows attend."""
        assert self.half is not None
        if first or attending is not None or before is not None:
            raise ValueError("a layer of two strips is called over all positions of all rows")
        if base is None:
            base = torch.zeros(len(hidden), dtype=torch.long)
        base, half = base.to(hidden.device), self.half
        half.body.border, half.body.length = half.border, hidden.shape[1]
        source = hidden[:, : half.border].to(half.formats[0])
        prefix = hidden[:, half.border :].to(half.formats[1])
        batch = self.hidden.shape[0]
        arguments = {name: _rows(value, base, batch) for name, value in self.arguments.items()}
        if half.group == ENCODER:
            source = hidden_of(self.layer(source, **arguments))
            source = source if half.tail is None else half.tail(source)
            return torch.cat([source, prefix], dim=1)
        arguments[_STATES] = source
        if half.group == DECODER:
            prefix = self._first_half(prefix, arguments)
        else:
            with ExitStack() as stack:
                self._skip_first_half(stack, prefix)
                self._reuse_keys_and_values(stack, source, base)
                prefix = hidden_of(self.layer(prefix, **arguments))
        return torch.cat([source, prefix], dim=1)

    def _first_half(self, stream: torch.Tensor, arguments: dict[str, Any]) -> torch.Tensor:
        assert self.half is not None
        seen: list[torch.Tensor] = []

        def enough(behind: torch.Tensor) -> None:
            seen.append(behind)
            raise EnoughSeen

        # Hung in last, so that it sees what the hooks of edits make, which are open already.
        with self.half.block.own.behind.at(enough), suppress(EnoughSeen):
            self.layer(stream, **arguments)
        return seen[0]

    def _skip_first_half(self, stack: ExitStack, stream: torch.Tensor) -> None:
        """Self-attention gives nothing, and the stream behind it is what the block is given."""
        assert self.half is not None
        own, forms = self.half.block.own, self.half.forms
        nothing = _formed(torch.zeros_like(stream), forms[own.module])
        stack.enter_context(standing_in(own.module, lambda *_a, **_k: nothing))
        if isinstance(own.behind, Gives):
            given = _formed(stream, forms[own.behind.module])
            stack.enter_context(standing_in(own.behind.module, lambda *_a, **_k: given))

    def _reuse_keys_and_values(
        self, stack: ExitStack, states: torch.Tensor, base: torch.Tensor
    ) -> None:
        maps = self._keys_and_values_by()
        if maps is None or states.requires_grad:
            return
        recorded = self.hidden[:, : states.shape[1]]
        new = (states != recorded[base]).flatten(1).any(1).nonzero()[:, 0]
        if len(new) == len(states):
            return
        for module, kept in zip(maps, self.keys_and_values(), strict=True):
            stack.enter_context(
                standing_in(module, partial(_some_anew, module.forward, kept, base, new))
            )

    def _keys_and_values_by(self) -> tuple[nn.Module, nn.Module] | None:
        cross = None if self.half is None else self.half.block.cross
        return None if cross is None else cross.keys_and_values

    def keys_and_values(self) -> tuple[Kept, Kept]:
        """What the maps to keys and values of a cross attention give for the recorded states. Ask before any
        of their forwards stands aside."""
        if not self.keys_values:
            maps = self._keys_and_values_by()
            assert self.half is not None
            assert maps is not None
            with torch.no_grad():
                states = self.hidden[:, : self.half.border].to(self.half.formats[0])
                keys, values = (self.keeper.keep(each.forward(states)) for each in maps)
            self.keys_values.append((keys, values))
        return self.keys_values[0]


def _some_anew(
    forward: Callable[[torch.Tensor], torch.Tensor],
    kept: Kept,
    base: torch.Tensor,
    new: torch.Tensor,
    states: torch.Tensor,
) -> torch.Tensor:
    found = kept[base]
    if len(new):
        found[new] = forward(states[new])
    return found


@contextmanager
def recording_strips(
    anatomy: Anatomy,
    body: StripBody,
    blocks: tuple[StackBlock, ...],
    tail: nn.Module,
    calls: list[LayerCall],
    keeper: Keeper,
) -> Iterator[None]:
    """While open, a forward appends each layer's call to ``calls``, once the decoder begins."""
    assert anatomy.strips is not None
    names = anatomy.strips.names
    streams: list[torch.Tensor] = []  # of the encoder
    arguments: dict[nn.Module, dict[str, Any]] = {}
    forms: dict[nn.Module, int] = {}
    n_encoder = sum(group_of(name) == ENCODER for name in names)

    def told(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        arguments[module] = _arguments(module, args, kwargs)

    def formed(module: nn.Module, _args: Any, output: Any) -> None:
        forms[module] = len(output) if isinstance(output, (tuple, list)) else 1

    def add(index: int, source: torch.Tensor, prefix: torch.Tensor) -> None:
        block, group = blocks[index], group_of(names[index])
        own = {k: v for k, v in arguments[block.module].items() if k != _STATES}
        last = index == n_encoder - 1
        formats = source.dtype, prefix.dtype
        layer = StripLayer(body, block, group, body.border, tail if last else None, forms, formats)
        kept = keeper.keep(torch.cat([source, prefix], dim=1))
        calls.append(StripCall(block.module, kept, own, keeper, half=layer))

    def keep(index: int, hidden: torch.Tensor) -> None:
        border = body.border
        if group_of(names[index]) == ENCODER:
            streams.append(hidden)
            return
        if streams:
            for number, stream in enumerate(streams):
                add(number, stream[:, :border], hidden[:, border:])
            streams.clear()
        states = arguments[blocks[index].module].get(_STATES)
        add(index, hidden[:, :border] if states is None else states, hidden[:, border:])

    with ExitStack() as stack:
        for block in dict.fromkeys(blocks):
            handle = block.module.register_forward_pre_hook(told, with_kwargs=True)
            stack.callback(handle.remove)
            if block.cross is None:
                continue
            returns = [block.own.module]
            if isinstance(block.own.behind, Gives):
                returns.append(block.own.behind.module)
            for module in returns:
                stack.callback(module.register_forward_hook(formed).remove)
        for index in range(len(blocks)):
            stack.enter_context(
                anatomy.strips.at(anatomy, "resid_pre", index, partial(keep, index))
            )
        yield


def first_inputs(
    body: StripBody, blocks: tuple[StackBlock, ...], ids: torch.Tensor
) -> torch.Tensor:
    """What encoder and decoder give their first blocks [row, pos, d_model], for coded ``ids`` [row, pos]."""
    seen: list[torch.Tensor] = []

    def enough(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        seen.append(args[0] if args else kwargs["hidden_states"])
        raise EnoughSeen

    firsts = [blocks[0].module, next(b.module for b in blocks if b.cross is not None)]
    handles = [each.register_forward_pre_hook(enough, with_kwargs=True) for each in firsts]
    try:
        body.stacks_apart(ids, EnoughSeen)
    finally:
        for handle in handles:
            handle.remove()
    return torch.cat(seen, dim=1)


def _arguments(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """What a block was called with besides its stream, by name."""
    bound = inspect.signature(module.forward).bind(*args, **kwargs)
    found: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        if bound.signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
            found.update(value)
        else:
            found[name] = value
    found.pop(next(iter(bound.signature.parameters)))
    return found


def _rows(value: Any, base: torch.Tensor, batch: int) -> Any:
    if isinstance(value, tuple):
        return tuple(_rows(item, base, batch) for item in value)
    if not isinstance(value, torch.Tensor) or value.dim() < 2:
        return value
    if value.shape[0] == 1:
        return value.expand(len(base), *value.shape[1:])
    return value[base] if value.shape[0] == batch else value


def _formed(value: torch.Tensor, count: int) -> Any:
    return value if count == 1 else (value, *(None for _ in range(count - 1)))
