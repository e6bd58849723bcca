"""Calling one decoder layer again: what it was called with, kept, and cut and expanded to a batch.

In a recorded pass a pre-hook keeps each layer's input and its other arguments (mask, rotary angles,
position ids). Calling the module again with them replays the layer with no code per family. In a
causal model positions before the first edited one are as they were, so a replay may begin there and
take the keys and values before it from the recorded pass. Whether each of this is exact for a given
model is for ``selfcheck`` to prove.

On a model that is divided over devices masks and angles are kept where the layer computes, once a device:
left where they were made, each replay of each layer would move them there anew.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from interpboard.models.anatomy import Anatomy
from interpboard.models.as_opened import require_as_opened
from interpboard.models.division import moved_to
from interpboard.models.kept_tensors import Keeper, Kept
from interpboard.models.layer_caches import (
    EnoughSeen,
    KeysValues,
    Prefix,
    StoppingCache,
)
from interpboard.models.module_hooks import called_by_name, standing_in
from interpboard.models.segments import with_segments

CACHES = ("past_key_values", "past_key_value", "layer_past")
MASK = "attention_mask"
ALIBI = "alibi"
"""By which name a layer takes what it adds to the scores of each key, [row · head, 1, key]."""


@dataclass(frozen=True, eq=False)
class LayerCall:
    """One layer's recorded call. ``hidden`` [batch, pos, d_model]; everything else by name, on ``device``.

    ``keys_values`` fills when it is first needed: [batch, kv_head, pos, d_head] each. ``keeper`` says
    where they lie.
    """

    layer: nn.Module
    hidden: Kept
    arguments: dict[str, Any]
    keeper: Keeper = field(default_factory=Keeper)
    keys_values: list[tuple[Kept, Kept]] = field(default_factory=list)

    @property
    def device(self) -> torch.device:
        """Where the layer computes; what it is given may come from elsewhere."""
        return moved_to(self.layer) or self.hidden.device

    def replay(
        self,
        hidden: torch.Tensor,
        base: torch.Tensor | None = None,
        first: int = 0,
        attending: int | None = None,
        before: KeysValues | None = None,
    ) -> torch.Tensor:
        """The layer's output for ``hidden`` [rows, positions, d_model] at positions ``first`` and on.

        ``base`` [rows] names the recorded row that each row belongs to (None: row 0). Positions
        before ``first`` are taken to be as recorded, or to have the keys and values ``before`` of the
        attending rows [row, kv_head, pos, d_head]; later ones than given are left out. Masks, angles
        and caches are given for the first ``attending`` rows only (None: all), where the others
        keep their attention (``partial_layer.attention_kept``).
        """
        rows, length = hidden.shape[:2]
        if base is None:
            base = torch.zeros(rows, dtype=torch.long, device=self.device)
        base = base[:attending].to(self.device)
        arguments = self._cut(base, first, length)
        if first:
            arguments[MASK] = _causal_if_none(arguments.get(MASK), base, length, first)
            keys, values = self.recorded(base, first) if before is None else before
            arguments[self.cache_argument()] = Prefix(keys, values)
        return hidden_of(self.layer(hidden, **arguments))

    def keys_values_of(
        self, hidden: torch.Tensor, base: torch.Tensor | None = None, first: int = 0
    ) -> KeysValues:
        """The keys and values [rows, kv_head, pos, d_head], from position 0 on, that the layer makes of
        ``hidden``; else as for ``replay``. It is run no further than that.

        Raises ``ValueError`` for a layer that asks its cache for nothing, ``KeyError`` for one without.
        """
        if base is None:
            base = torch.zeros(len(hidden), dtype=torch.long, device=self.device)
        base = base.to(self.device)
        arguments = self._cut(base, first, hidden.shape[1])
        return self._made(hidden, arguments, self.recorded(base, first) if first else None)

    def _made(
        self, hidden: torch.Tensor, arguments: dict[str, Any], before: KeysValues | None = None
    ) -> KeysValues:
        """What the layer puts into its cache; it is run no further than that."""
        cache = StoppingCache(before)
        try:
            self.layer(hidden, **{**arguments, self.cache_argument(): cache})
        except EnoughSeen:
            return cache.made[0]
        raise ValueError("the layer keeps no keys and values")

    def given_to(
        self, part: nn.Module, hidden: torch.Tensor, base: torch.Tensor, first: int
    ) -> torch.Tensor:
        """What the layer gives ``part`` of ``hidden`` [rows, positions, d_model], from position ``first`` on;
        it is run no further. Raises ``ValueError`` where it does not come to ``part``."""
        given: list[torch.Tensor] = []

        def forward(*args: Any, **kwargs: Any) -> None:
            given.append(args[0] if args else kwargs["hidden_states"])
            raise EnoughSeen

        try:
            with standing_in(part, forward):
                self.layer(hidden, **self._cut(base.to(self.device), first, hidden.shape[1]))
        except EnoughSeen:
            return given[0]
        raise ValueError("the layer does not come to that part of it")

    def _cut(self, base: torch.Tensor, first: int, length: int) -> dict[str, Any]:
        cut = _Cut(base, self.hidden.shape[0], self.hidden.shape[1], first, first + length)
        return {name: cut.argument(name, value) for name, value in self.arguments.items()}

    def mask_of(self, base: torch.Tensor, first: int, length: int) -> torch.Tensor | None:
        """What attention of the recorded rows ``base`` is masked by at ``length`` positions from ``first``
        on; None: as it is where it has no mask."""
        cut = _Cut(base, self.hidden.shape[0], self.hidden.shape[1], first, first + length)
        mask = cut.argument(MASK, self.arguments.get(MASK))
        return _causal_if_none(mask, base, length, first) if first else mask

    def recorded(self, base: torch.Tensor, first: int) -> KeysValues:
        """Keys and values of the recorded rows ``base`` before position ``first``."""
        keys, values = self.keys_and_values()
        return keys[base, :, :first], values[base, :, :first]

    def keys_and_values(self) -> tuple[Kept, Kept]:
        """Those of the recorded pass. Ask before any edit is open: the first time runs the layer, as far as
        they are made."""
        if not self.keys_values:
            with torch.no_grad():
                made = self._made(self.hidden[:], self.arguments)
            keys, values = (self.keeper.keep(_alone(part)) for part in made)
            self.keys_values.append((keys, values))
        return self.keys_values[0]

    def cache_argument(self) -> str:
        """By which name the layer takes a cache. Raises ``KeyError`` where it takes none."""
        for name in CACHES:
            if name in self.arguments:
                return name
        raise KeyError("the layer takes no cache")


@contextmanager
def recording_calls(
    anatomy: Anatomy, calls: list[LayerCall], keeper: Keeper | None = None
) -> Iterator[None]:
    """While open, a forward appends each layer's call to ``calls``, kept by ``keeper``."""
    keeper = keeper or Keeper()
    there = _There()

    def hook(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        bound = called_by_name(layer).bind(*args, **kwargs)
        arguments: dict[str, Any] = {}
        for name, value in bound.arguments.items():
            kind = bound.signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_KEYWORD:
                arguments.update(value)
            else:
                arguments[name] = value
        hidden = arguments.pop(next(iter(bound.signature.parameters)))
        arguments = {name: there.moved(layer, value) for name, value in arguments.items()}
        calls.append(LayerCall(layer, keeper.keep(hidden), arguments, keeper))

    if anatomy.strips is not None:
        with anatomy.strips.recording(anatomy, calls, keeper):
            yield
        return
    with ExitStack() as stack:
        for layer in anatomy.layers:
            # Before hooks of others, which a replay calls again.
            handle = layer.register_forward_pre_hook(hook, prepend=True, with_kwargs=True)
            stack.callback(handle.remove)
        yield


@torch.no_grad()
def embeddings_of(anatomy: Anatomy, token_ids: torch.Tensor) -> torch.Tensor:
    """The embedding module's output [..., d_model] for ``token_ids``, as numbers and nothing more.

    Detached: whoever fine-tunes adapters hangs a hook there that asks for gradients
    (``enable_input_require_grads``), and what is a view of its output would ask for them, too.
    """
    output: Any = anatomy.embedding(token_ids)
    # Integer encoders (ibert) give a scale beside it.
    embedded: torch.Tensor = output[0] if isinstance(output, tuple) else output
    return embedded.detach()


def first_layer_input(anatomy: Anatomy, token_ids: torch.Tensor) -> torch.Tensor:
    """Input of layer 0 [batch, pos, d_model] for ``token_ids`` [batch, pos]; no layer is run. Of two strips,
    those of both stacks."""
    if anatomy.strips is not None:
        return anatomy.strips.first_inputs(token_ids)
    seen: list[torch.Tensor] = []

    def hook(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        seen.append(args[0] if args else kwargs["hidden_states"])
        raise EnoughSeen

    require_as_opened(anatomy)
    handle = anatomy.layers[0].register_forward_pre_hook(hook, with_kwargs=True)
    try:
        anatomy.base(input_ids=token_ids, use_cache=False, **with_segments(anatomy, token_ids))
    except EnoughSeen:
        pass
    finally:
        handle.remove()
    return seen[0]


class _There:
    """Arguments where the layer computes that is given them; those that layers share, moved once a device."""

    def __init__(self) -> None:
        # What was moved is held too, so that no other tensor gets its id.
        self._moved: dict[tuple[int, torch.device], tuple[torch.Tensor, torch.Tensor]] = {}

    def moved(self, layer: nn.Module, value: Any) -> Any:
        device = moved_to(layer)
        return value if device is None else self._to(device, value)

    def _to(self, device: torch.device, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(self._to(device, item) for item in value)
        if not isinstance(value, torch.Tensor) or value.device == device:
            return value
        key = id(value), device
        if key not in self._moved:
            self._moved[key] = value, value.to(device)
        return self._moved[key][1]


@dataclass(frozen=True)
class _Cut:
    """Cuts recorded arguments to rows ``base`` of a batch and positions ``first`` to ``stop``."""

    base: torch.Tensor
    batch: int
    length: int
    first: int
    stop: int

    def argument(self, name: str, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(self.argument(name, item) for item in value)
        if not isinstance(value, torch.Tensor):
            return value
        if name == ALIBI:  # [batch · head, 1, key], the same for every row
            return value[: len(value) // self.batch, :, : self.stop].repeat(len(self.base), 1, 1)
        return self._rows(self._positions(value))

    def _positions(self, value: torch.Tensor) -> torch.Tensor:
        if value.dim() == 4 and value.shape[-1] == self.length:
            return value[..., self.first : self.stop, : self.stop]
        if value.dim() in (2, 3) and value.shape[1] == self.length:
            return value[:, self.first : self.stop]
        if value.dim() == 1 and value.shape[0] == self.length:
            return value[self.first : self.stop]
        return value

    def _rows(self, value: torch.Tensor) -> torch.Tensor:
        if value.dim() < 2:
            return value
        if value.shape[0] == 1:
            return value.expand(len(self.base), *value.shape[1:])
        return value[self.base] if value.shape[0] == self.batch else value


def _causal_if_none(
    mask: torch.Tensor | None, base: torch.Tensor, length: int, first: int
) -> torch.Tensor:
    """Without a mask sdpa's own causal flag would align the first query with the first key."""
    if mask is not None:
        return mask
    seen = torch.ones(length, first + length, dtype=torch.bool, device=base.device).tril(first)
    return seen.expand(len(base), 1, *seen.shape)


def _alone(part: torch.Tensor) -> torch.Tensor:
    """``part`` itself, or a copy where it would keep more alive than itself (queries made beside it)."""
    size = part.numel() * part.element_size()
    return part if part.untyped_storage().nbytes() == size else part.contiguous().clone()


def hidden_of(output: Any) -> torch.Tensor:
    """The stream that a layer gives, first of what it returns."""
    return output[0] if isinstance(output, (tuple, list)) else output
