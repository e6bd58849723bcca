"""RMS norms, gated MLPs and Llama's attention in fewer passes over memory, and of fewer calls.

transformers squares a stream, takes its mean, scales and weighs it: five passes and eight calls, where three
and five do (0.6 ms for 1.2 of 1,024 rows of 768 numbers). A gated MLP's activation and product make a tensor
each; here both are put where the gate lies. Only in passes of which no gradient is taken, and where nobody
looks at what lies between. Which modules may, each proves at load (``proof.fewer_passes``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.functional import silu
from torch.nn.modules.module import _global_forward_hooks, _global_forward_pre_hooks

from interpboard.models.faster_parts import has_a_forward_of_its_own, is_plain_map
from interpboard.models.module_hooks import standing_in
from interpboard.models.rotary_attention import RotaryAttention, is_rotary_attention
from interpboard.models.standin import Standin, one_float32

PassNames = tuple[str, ...]
"""Of a layer: the names of the modules within it that may compute in fewer passes."""

_MAPS = ("gate_proj", "up_proj", "down_proj")
_SILUS = (("transformers.activations", "SiLUActivation"), ("torch.nn.modules.activation", "SiLU"))
_EPSILONS = ("variance_epsilon", "eps")


@contextmanager
def in_fewer_passes(standins: list[Standin]) -> Iterator[None]:
    """While open, modules compute by their ``standins``."""
    with ExitStack() as stack:
        for found in standins:
            stack.enter_context(standing_in(found.module, found.forward))
        yield


def standins_of(layer: nn.Module, names: PassNames) -> list[Standin]:
    """Those of the modules of ``names`` in ``layer``, as long as they are no more than their class."""
    found = (standin_of(layer.get_submodule(name)) for name in names)
    return [standin for standin in found if standin is not None]


def standin_of(module: nn.Module) -> Standin | None:
    """What may stand in for ``module``; None where it is none of these."""
    if "forward" in vars(module):
        return None
    if is_rms_norm(module):
        return RmsNorm(module)
    if is_rotary_attention(module):
        return RotaryAttention(module)
    return GatedMlp(module) if is_gated_mlp(module) else None


def is_rms_norm(module: nn.Module) -> bool:
    """Whether it says to be an RMS norm with a weight and nothing else, of float32 on the CPU."""
    weight = module._parameters.get("weight")
    alone = len(module._parameters) == 1 and not module._buffers and not module._modules
    if not type(module).__name__.endswith("RMSNorm") or type(weight) is not nn.Parameter:
        return False
    fits = weight.dim() == 1 and weight.dtype == torch.float32 and weight.device.type == "cpu"
    return alone and fits and _epsilon(module) is not None


def _epsilon(module: nn.Module) -> float | None:
    found = (getattr(module, name, None) for name in _EPSILONS)
    return next((value for value in found if isinstance(value, float)), None)


def is_gated_mlp(module: nn.Module) -> bool:
    """Whether it has the parts of one whose gate is a SiLU's, of plain maps, and no others."""
    parts = module._modules
    others = [part for name, part in parts.items() if name not in _MAPS]
    maps = [parts.get(name) for name in _MAPS]
    if module._parameters or len(others) != 1 or others[0] is not parts.get("act_fn"):
        return False
    kind = type(others[0])
    if (kind.__module__, kind.__name__) not in _SILUS or "forward" in vars(others[0]):
        return False
    return all(
        part is not None and is_plain_map(part) and not has_a_forward_of_its_own(part)
        for part in maps
    )


class RmsNorm(Standin):
    """weight · x / √(mean x² + ε), by the length of x."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__(module)
        self.weight: torch.Tensor = module.weight  # type: ignore[assignment]
        self.epsilon = self.weight.new_tensor(_epsilon(module))

    def takes(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        return one_float32(args, kwargs)

    def computed(self, given: torch.Tensor) -> torch.Tensor:
        length = torch.linalg.vector_norm(given, dim=-1, keepdim=True)
        mean = torch.addcmul(self.epsilon, length, length, value=1 / given.shape[-1])
        return (given * mean.rsqrt_()).mul_(self.weight)


class GatedMlp(Standin):
    """down(silu(gate(x)) · up(x)), the product put where the gate lies."""

    def takes(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        own: Any = self.module
        activation = own.act_fn
        looked_at = any((
            own.gate_proj._forward_hooks, own.up_proj._forward_hooks, activation._forward_hooks,
            activation._forward_pre_hooks, _global_forward_hooks, _global_forward_pre_hooks,
        ))  # fmt: skip
        return not looked_at and one_float32(args, kwargs)

    def computed(self, given: torch.Tensor) -> torch.Tensor:
        own: Any = self.module
        neurons = silu(own.gate_proj(given), inplace=True).mul_(own.up_proj(given))
        found: torch.Tensor = own.down_proj(neurons)
        return found
