"""Linear maps whose weight is packed into fewer bits, and those that an adapter adds to.

Their ``weight`` says little: four bits lie two to a byte in one long column, an adapter's part lies beside
it, some formats have no ``weight`` at all. Widths, sizes and scales are therefore asked for here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn


def is_linear(module: nn.Module) -> bool:
    """Whether ``module`` maps vectors by a weight, in whatever form it keeps it."""
    return hasattr(module, "weight") or isinstance(getattr(module, "in_features", None), int)


def in_width(module: nn.Module) -> int:
    """Input width of a linear module; GPT-2's Conv1D keeps its weight transposed, adapted or not."""
    module = base_layer(module)
    width = getattr(module, "in_features", None)
    if isinstance(width, int):
        return width
    weight: Any = module.weight
    return int(weight.shape[0] if type(module).__name__ == "Conv1D" else weight.shape[1])


def out_width(module: nn.Module) -> int:
    """Output width of a linear module."""
    module = base_layer(module)
    width = getattr(module, "out_features", None)
    if isinstance(width, int):
        return width
    weight: Any = module.weight
    return int(weight.shape[1] if type(module).__name__ == "Conv1D" else weight.shape[0])


def is_packed(module: nn.Module) -> bool:
    """Whether the weight of a linear module is in fewer bits than it computes with."""
    if not is_linear(module) or isinstance(module, nn.Embedding):
        return False
    weight = getattr(module, "weight", None)
    if weight is None:  # GPTQ, AWQ and compressed-tensors keep it under other names
        return isinstance(getattr(module, "in_features", None), int)
    if not isinstance(weight, torch.Tensor):
        return False
    own_class = type(weight).__module__.startswith(("torchao", "bitsandbytes"))
    return own_class or not weight.is_floating_point() or weight.element_size() == 1


def mixes_rows(module: nn.Module) -> bool:
    """Whether one row of a batch changes what others give: LLM.int8 takes a column apart for all of them
    where one number in it is large."""
    state = getattr(module, "state", None)
    return type(module).__name__ == "Linear8bitLt" and float(getattr(state, "threshold", 0.0)) > 0


def numbers_in(parameter: torch.Tensor) -> int:
    """How many numbers a parameter stands for; two to a byte where it is in four bits."""
    state = getattr(parameter, "quant_state", None)
    shape = getattr(state, "shape", None)
    return parameter.numel() if shape is None else int(torch.Size(shape).numel())


def bytes_of(model: nn.Module) -> int:
    """Bytes that the parameters take, with the scales of packed ones."""
    plain = (p for p in model.parameters() if not is_wrapper(p))
    tensors = [*plain, *(tensor for _, tensor in inner_tensors(model))]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def rounds_inputs(module: object) -> bool:
    """Whether a linear map rounds what it is given to 8 bits, so that parts of a sum do not add up."""
    return type(module).__name__ == "Linear8bitLt"


def is_wrapper(parameter: torch.Tensor) -> bool:
    """Whether a parameter is only a shell around others, which ``inner_tensors`` gives."""
    return type(parameter) not in (torch.Tensor, nn.Parameter) and hasattr(
        parameter, "__tensor_flatten__"
    )


def inner_tensors(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """What packed weights consist of beside their own bytes: scales, and the parts of shells."""
    for path, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            whole = f"{path}.{name}" if path else name
            if is_wrapper(parameter):
                for part in parameter.__tensor_flatten__()[0]:
                    yield f"{whole}.{part}", getattr(parameter, part)
            state = getattr(parameter, "quant_state", None)
            for owner, word in ((state, ""), (getattr(state, "state2", None), "nested ")):
                absmax = getattr(owner, "absmax", None)
                if isinstance(absmax, torch.Tensor):
                    yield f"{whole}.{word}absmax", absmax
            # LLM.int8 hands its scale from the weight to the module at the first run.
            for owner in (parameter, getattr(module, "state", None)):
                scale = getattr(owner, "SCB", None)
                if isinstance(scale, torch.Tensor):
                    yield f"{whole}.SCB", scale


def scales_of(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """The scales of packed weights by name: a NaN in a weight that was packed is in its scale."""
    return ((name, part) for name, part in inner_tensors(model) if part.is_floating_point())


def base_layer(module: nn.Module) -> nn.Module:
    """The base's own module inside one with an adapter, or ``module``."""
    return getattr(module, "base_layer", module)
