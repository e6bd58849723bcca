"""Two devices that there are not: tensors of the CPU that say they are elsewhere, and a count of what moves.

A tensor that is placed says so (``tensor.device``), an operation over two places is refused as torch refuses
it, and what it makes is where its inputs are. Everything that goes from one place to another is counted. The
numbers are the CPU's, so that what is computed can be held against the same model in one place.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend


class _Nowhere:
    """What torch asks a backend: there is none that anybody else should use."""

    def is_initialized(self) -> bool:
        return True

    def is_available(self) -> bool:
        return False

    def current_device(self) -> int:
        return 0

    def _is_in_bad_fork(self) -> bool:
        return False

    def manual_seed_all(self, seed: int) -> None: ...

    def device_count(self) -> int:
        return 2


class _Hook(torch._C._acc.PrivateUse1Hooks):  # type: ignore[misc, name-defined]
    def is_available(self) -> bool:
        return False

    def has_primary_context(self, dev_id: int) -> bool:
        return True

    def is_built(self) -> bool:
        return True


_setup_privateuseone_for_python_backend("pretend", backend_module=_Nowhere(), hook=_Hook())
FIRST, SECOND = torch.device("pretend:0"), torch.device("pretend:1")
_CPU = torch.device("cpu")
_COPY = torch.ops.aten._to_copy.default
_COPY_INTO = torch.ops.aten.copy_.default
_KNOWS = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "_unique2", "unique_dim")
_INDEXED = ("index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index")


class Placed(torch.Tensor):
    """A tensor whose numbers are ``held`` on the CPU and which says it is elsewhere."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor, device: torch.device) -> Placed:
        placed: Placed = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=device,
            requires_grad=False,
        )
        placed.held = held
        return placed

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"{self.held!r} on {self.device}"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {}, None)


class Moves(TorchDispatchMode):
    """While open, factories know the two places, and ``counted`` has what moves, by (from, to)."""

    def __init__(self) -> None:
        super().__init__()
        self.counted: Counter[tuple[str, str]] = Counter()
        self.unannounced: Counter[str] = Counter()  # from the CPU, not by ``crossing``; by where to
        self.waits: Counter[str] = (
            Counter()
        )  # other than moves: what makes a host wait for a device

    @property
    def across(self) -> int:
        """Moves from one of the two to the other."""
        return sum(
            count for (one, other), count in self.counted.items() if "cpu" not in (one, other)
        )

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {}, self)


def _run(func: Any, args: Any, kwargs: Any, moves: Moves | None) -> Any:
    flat, _ = tree_flatten((args, kwargs))
    tensors = [each for each in flat if isinstance(each, torch.Tensor)]
    wanted = kwargs.get("device")
    _count_waits(moves, func, args, tensors)
    if func is _COPY_INTO:
        _count(moves, args[1].device, args[0].device)
        place = args[0].device
    elif wanted is not None:
        place = torch.device(wanted)
        if tensors and func is _COPY:
            _count(moves, args[0].device, place)
    else:
        place = _common(func, tensors)
    plain = tree_map(lambda each: each.held if isinstance(each, Placed) else each, (args, kwargs))
    if wanted is not None and place.type != "cpu":
        plain[1]["device"] = _CPU
    made = func(*plain[0], **plain[1])
    if func._schema.name.endswith("_") and isinstance(made, torch.Tensor) and tensors:
        return args[0]
    if place == _CPU:
        return made
    return tree_map(
        lambda each: (
            Placed(each, place)
            if isinstance(each, torch.Tensor) and not isinstance(each, Placed)
            else each
        ),
        made,
    )


def _count(moves: Moves | None, begin: torch.device, end: torch.device) -> None:
    if begin != end and moves is not None:
        moves.counted[str(begin), str(end)] += 1
        if begin == _CPU and not _in_crossing():
            moves.unannounced[str(end)] += 1


def _count_waits(moves: Moves | None, func: Any, args: Any, tensors: list[torch.Tensor]) -> None:
    """What has to know a number, or how many there are; and an index that is sent as it is used."""
    name = func._schema.name.partition("::")[2]
    if moves is None or all(each.device == _CPU for each in tensors):
        return
    if name in _KNOWS:
        moves.waits[name] += 1
    if name in _INDEXED:
        for index in args[1]:
            if index is not None and index.dtype == torch.bool:
                moves.waits["a mask as index"] += 1
            elif index is not None:
                _count(moves, index.device, args[0].device)


def _in_crossing() -> bool:
    """Whether it is ``interpboard.models.crossing`` that moves."""
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_globals.get("__name__") == "interpboard.models.crossing":
            return True
    return False


def _common(func: Any, tensors: list[torch.Tensor]) -> torch.device:
    """The place of all of ``tensors``; numbers of the CPU may go with any, and indices, as in torch."""
    if not tensors:
        return _CPU
    name = func._schema.name.partition("::")[2]
    chosen = tensors[:1] if name in _INDEXED else tensors
    places = {each.device for each in chosen if each.dim() or len(chosen) == 1}
    elsewhere = {each.device for each in tensors} - {_CPU}
    if len(elsewhere) > 1 or (len(places) > 1):
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but {name} got "
            f"{sorted(map(str, places | elsewhere))}"
        )
    return next(iter(places or {_CPU}))


def place(module: nn.Module, device: torch.device) -> None:
    """Put the parameters and buffers of ``module`` there."""
    for own in module.modules():
        for name, parameter in list(own._parameters.items()):
            if parameter is not None and not isinstance(parameter, Placed):
                own._parameters[name] = nn.Parameter(
                    Placed(parameter.data, device), requires_grad=False
                )
        for name, buffer in list(own._buffers.items()):
            if buffer is not None and not isinstance(buffer, Placed):
                own._buffers[name] = Placed(buffer, device)


@contextmanager
def counting_moves() -> Iterator[Moves]:
    """``Moves`` open, and ``torch.tensor`` made on the CPU before it goes anywhere."""
    before = torch._C._only_lift_cpu_tensors()  # type: ignore[attr-defined]
    torch._C._set_only_lift_cpu_tensors(True)  # type: ignore[attr-defined]
    try:
        with Moves() as moves:
            yield moves
    finally:
        torch._C._set_only_lift_cpu_tensors(before)  # type: ignore[attr-defined]
