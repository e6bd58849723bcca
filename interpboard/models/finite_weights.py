"""Is every number of every weight finite? Looked at once, where the weights are, tensor by tensor.

One NaN in a projection need not show in the logits: fused attention can swallow it and give plausible
numbers that are wrong. The largest and smallest number of a tensor are NaN or infinite if any number of it
is, which one pass over memory finds (17 to 30 GiB a second on one core, see the benchmarks) and no copy.

A buffer may hold minus infinity, as a mask does, or be one number that others are clipped at, and nothing
else that is not finite: a rotary frequency of infinity makes every query NaN.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from interpboard.errors import NotALanguageModel
from interpboard.models.division import held
from interpboard.models.packed import is_wrapper, scales_of

NOT_LOOKED_AT = "the weights were not looked at for NaN and infinity (--no-check-weights)"
_CHUNK = 1 << 24  # numbers counted at a time, so that a large tensor needs no copy of its size


def check_finite(model: nn.Module, source: str) -> tuple[str, ...]:
    """Raise ``NotALanguageModel`` if a weight holds NaN or infinity; else notes on what was not seen.

    ``source``: what to call the model. Of weights in a packed format their scales are looked at; those on
    disk are read, one after the other. Weights in a format that is not known cannot be; notes count them.
    """
    unseen = 0
    for name, tensor, is_buffer in _tensors(model):
        if tensor.is_meta:
            unseen += 1
            continue
        if is_wrapper(tensor):
            continue  # its scales are among the tensors
        if not tensor.numel() or not (tensor.is_floating_point() or tensor.is_complex()):
            continue
        try:
            suspect = not _is_plainly_finite(tensor)
        except (
            RuntimeError,
            NotImplementedError,
            TypeError,
        ):  # a packed format has no such operation
            unseen += 1
            continue
        if suspect:
            _refuse(source, name, tensor, is_buffer)
    return (f"{unseen} weights could not be looked at for NaN",) if unseen else ()


def _tensors(model: nn.Module) -> Iterator[tuple[str, torch.Tensor, bool]]:
    """Parameters, shared ones once, then buffers; what lies on disk is read when its turn comes."""
    for name, parameter in model.named_parameters():
        owner, _, own = name.rpartition(".")
        read = held(model.get_submodule(owner), own) if parameter.is_meta else None
        yield name, (parameter if read is None else read).detach(), False
    for name, scale in scales_of(model):
        yield name, scale.detach(), False
    for name, buffer in model.named_buffers():
        yield name, buffer.detach(), True


def _is_plainly_finite(tensor: torch.Tensor) -> bool:
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    if tensor.element_size() == 1:  # float8 has no order of its own
        return all(_is_plainly_finite(part.float()) for part in tensor.reshape(-1).split(_CHUNK))
    least, most = torch.aminmax(tensor)
    return bool(torch.isfinite(least) & torch.isfinite(most))


def _refuse(source: str, name: str, tensor: torch.Tensor, is_buffer: bool) -> None:
    nan = infinite = 0
    tensor = torch.view_as_real(tensor) if tensor.is_complex() else tensor
    for part in tensor.reshape(-1).split(_CHUNK):
        part = part.float() if part.element_size() == 1 else part
        nan += int(torch.isnan(part).sum())
        infinite += int((torch.isposinf(part) if is_buffer else torch.isinf(part)).sum())
    if is_buffer and tensor.numel() == 1:
        infinite = 0  # a limit that numbers are clipped at, which may be none
    found = [
        f"{n} {'is' if n == 1 else 'are'} {what}"
        for n, what in ((nan, "NaN"), (infinite, "infinite"))
        if n
    ]
    if found:
        half = not nan and tensor.dtype == torch.float16
        damaged = "Is config.json or the file damaged?" if is_buffer else "Is the file damaged?"
        raise NotALanguageModel(
            f"{source}: of the {tensor.numel()} numbers of {name}, {' and '.join(found)}.",
            f"{'Try --dtype float32.' if half else damaged} Not to look: --no-check-weights.",
        )
