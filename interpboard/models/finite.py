"""Was every number of a forward pass finite? Asked of the stream and of attention, not of the answer alone.

A number beyond the format (65,504 in float16) becomes infinite, then NaN. The logits need not show it: fused
attention gives finite outputs for a query that is NaN, and a metric looks at one logit only. So each layer's
output is measured as it passes, what attention's own projections give, and the queries and keys that fused
attention is handed, since a rotation in between can overflow too. The measure is the length of a
row's numbers: NaN and infinity stay in it, and it is infinite, too, where squares leave the format, which
is what makes a norm give zeros.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from interpboard.models.anatomy import Anatomy
from interpboard.models.crossing import HOST_DEVICE
from interpboard.models.stopping import look_on_the_way_back, stop_if_unwanted


class Tally:
    """By row of the batch, whether all that was heard was finite; and where it first was not."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self._heard: list[tuple[str, torch.Tensor]] = []

    def hear(self, place: str, value: torch.Tensor) -> None:
        """``value`` [row, …] of the first rows of the batch; some modules see [row · pos, …]."""
        stop_if_unwanted()
        look_on_the_way_back(value)
        value = value.detach()
        if value.shape[0] <= self.rows:
            lengths = _lengths(value)
        elif value.shape[0] % self.rows == 0:
            lengths = _lengths(value.unflatten(0, (self.rows, -1)))
        else:  # whose each number is cannot be told: all rows' together
            lengths = _lengths(value[None]).expand(self.rows)
        self._heard.append((place, lengths))

    @contextmanager
    def over(self, anatomy: Anatomy, unheard_inside: Sequence[int] = ()) -> Iterator[None]:
        """While open, a forward is heard: every layer's output, and what its attention projects.

        Open it behind the hooks that edit: it then hears what they make. Of the layers ``unheard_inside``
        what attention projects is told by whoever computes them.
        """
        with ExitStack() as stack:
            for index, layer in enumerate(anatomy.layers):
                if index not in unheard_inside:
                    stack.enter_context(self.on_attention(anatomy, index))
                stack.enter_context(self._on_output(layer, f"layer {index}"))
            yield

    @contextmanager
    def on_attention(self, anatomy: Anatomy, layer: int) -> Iterator[None]:
        """While open, what the projections of ``layer``'s attention give is heard, and what it fuses."""
        place = f"the attention of layer {layer}"
        with ExitStack() as stack:
            for module in _projections(anatomy, layer):
                stack.enter_context(self._on_output(module, place))
            stack.enter_context(_inside(anatomy.attention[layer], _FusedHeard(self, place)))
            yield

    def finite(self) -> torch.Tensor:
        """[row], true or false, on the CPU."""
        return self.finite_on(HOST_DEVICE)

    def finite_on(self, device: torch.device) -> torch.Tensor:
        """[row], true or false, on ``device``: where that is no CPU, nobody waits for it here."""
        alike: dict[tuple[torch.device, int, torch.dtype], list[torch.Tensor]] = {}
        for _, lengths in self._heard:
            alike.setdefault((lengths.device, len(lengths), lengths.dtype), []).append(lengths)
        by_device: dict[torch.device, torch.Tensor] = {}  # read once each
        for (there, rows, _), several in alike.items():
            if there not in by_device:
                by_device[there] = torch.ones(self.rows, dtype=torch.bool, device=there)
            by_device[there][:rows] &= torch.stack(several).isfinite().all(0)
        fine = torch.ones(self.rows, dtype=torch.bool, device=device)
        for of_device in by_device.values():
            fine &= of_device.to(device)
        return fine

    def where(self) -> str:
        """The first place at which a row was not finite; empty if there was none."""
        places = (place for place, lengths in self._heard if not bool(lengths.isfinite().all()))
        return next(places, "")

    @contextmanager
    def _on_output(self, module: nn.Module, place: str) -> Iterator[None]:
        def hook(_module: nn.Module, _args: Any, output: Any) -> None:
            self.hear(place, output[0] if isinstance(output, (tuple, list)) else output)

        handle = module.register_forward_hook(hook)
        try:
            yield
        finally:
            handle.remove()


class _FusedHeard(TorchFunctionMode):
    """While open, ``tally`` hears the queries and keys of torch's fused attention, as ``place``."""

    def __init__(self, tally: Tally, place: str) -> None:
        super().__init__()
        self.tally, self.place = tally, place

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if function is functional.scaled_dot_product_attention:
            for value in (*args[:2], kwargs.get("query"), kwargs.get("key")):
                if value is not None:
                    self.tally.hear(self.place, value)
        return function(*args, **kwargs)


@contextmanager
def _inside(module: nn.Module, mode: TorchFunctionMode) -> Iterator[None]:
    """``mode`` is on in every forward of ``module``, also in one that fails, and off outside."""

    entered: list[bool] = []  # another hook may fail before ours is reached

    def enter(_module: nn.Module, _args: Any) -> None:
        mode.__enter__()
        entered.append(True)

    def leave(_module: nn.Module, _args: Any, _output: Any) -> None:
        if entered:
            entered.pop()
            mode.__exit__(None, None, None)

    handles = (
        module.register_forward_pre_hook(enter),
        module.register_forward_hook(leave, always_call=True),
    )
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def finite_logits(logits: torch.Tensor, masked: torch.Tensor | None = None) -> torch.Tensor:
    """Which rows [row] of ``logits`` [row, token] are finite, but for −∞ at the tokens ``masked`` [token]."""
    if (
        masked is None and logits.device.type == "cpu"
    ):  # a pass that makes nothing as large as they are
        sums = logits.sum(-1, dtype=_wide(logits))
        if bool(sums.isfinite().all()):
            return torch.ones_like(sums, dtype=torch.bool)
    fine = logits.isfinite()
    if masked is not None:
        fine = fine | (masked.to(logits.device) & (logits == -torch.inf))
    return fine.all(-1)


def _projections(anatomy: Anatomy, layer: int) -> list[nn.Module]:
    """The modules with weights inside attention but for its output's, which the stream shows."""
    return [
        module
        for module in anatomy.attention[layer].modules()
        if module is not anatomy.out_proj[layer]
        and not any(True for _ in module.children())
        and any(True for _ in module.parameters())
    ]


def _lengths(value: torch.Tensor) -> torch.Tensor:
    """[row]: of all numbers of a row together, in at least float32."""
    dims = tuple(range(1, value.dim()))
    return torch.linalg.vector_norm(value, dim=dims, dtype=_wide(value)) if dims else value.abs()


def _wide(value: torch.Tensor) -> torch.dtype:
    return torch.float64 if value.dtype == torch.float64 else torch.float32
