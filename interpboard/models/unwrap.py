"""The Hugging Face model inside what people wrap around one, or a refusal that names the wrapper.

A wrapper that changes what the model computes is taken only where its change lies inside the model
(adapters of PEFT that replace modules); one that adds something around it (a learned prompt) is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from interpboard.errors import NotALanguageModel
from interpboard.models.two_strips.kinds import refuse_other_inputs

_PEFT = "PeftModel"
_COMPILED = "OptimizedModule"
_SPREAD = ("FullyShardedDataParallel", "DeepSpeedEngine")


def unwrapped(model: Any) -> nn.Module:
    """The model with a ``config`` that ``model`` is or holds; raises ``NotALanguageModel``."""
    if isinstance(model, (str, Path)):
        raise NotALanguageModel(
            f"{str(model)!r} is a name, not a model.", "Open it with open_model."
        )
    seen = {type(model).__name__}
    while isinstance(model, nn.Module):
        inner = _inside(model)
        if inner is None:
            break
        model = inner
        seen.add(type(model).__name__)
    name = type(model).__name__
    if not isinstance(model, nn.Module):
        raise NotALanguageModel(f"A {name} is no model of torch.", "Give a Hugging Face model.")
    config: Any = getattr(model, "config", None)
    if config is None or not hasattr(config, "model_type"):
        raise NotALanguageModel(
            f"{name} has no configuration of transformers.",
            "Give a Hugging Face causal language model.",
        )
    refuse_other_inputs(config, name)
    return model


def wrapper_notes(model: Any) -> tuple[str, ...]:
    """What a reader of results must know of the wrapper: which adapters were at work."""
    if not _is_peft(model):
        return ()
    active = model.active_adapters
    named = ", ".join([active] if isinstance(active, str) else active)
    off = any(getattr(m, "disable_adapters", False) is True for m in model.modules())
    return (f"the adapters are off ({named})" if off else f"with the adapter {named}",)


def _inside(model: nn.Module) -> nn.Module | None:
    """What ``model`` is wrapped around; None if it wraps nothing that is known."""
    name = type(model).__name__
    if name in _SPREAD:
        raise NotALanguageModel(
            f"{name} spreads the weights over processes.", "Gather them into one model first."
        )
    if _is_peft(model):
        return _with_adapter(model)
    if name == _COMPILED:
        found: nn.Module = model._orig_mod  # type: ignore[assignment]
        return found
    if isinstance(
        model, (nn.DataParallel, DistributedDataParallel, torch.optim.swa_utils.AveragedModel)
    ):
        return model.module
    return None


def _is_peft(model: Any) -> bool:
    return any(cls.__name__ == _PEFT for cls in type(model).__mro__)


def _with_adapter(model: Any) -> nn.Module:
    for adapter, config in model.peft_config.items():
        if getattr(config, "is_prompt_learning", False):
            raise NotALanguageModel(
                f"The adapter {adapter} ({config.peft_type}) puts learned vectors around the model.",
                "Only adapters inside the model (LoRA and its kin) can be looked into.",
            )
    found: nn.Module = model.get_base_model()
    return found
