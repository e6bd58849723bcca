"""Adapters at work, off, or absent: what is asked of a model that holds some, whoever put them there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from interpboard.errors import BadParameter, Unsupported

_INSIDE = (
    ".base_layer",
    ".original_module",
)  # where the base's own module is, in one with an adapter


_OFF = "_disable_adapters"
_AT_WORK = (_OFF, "_active_adapter", "merged_adapters", "scaling")
"""What PEFT keeps in a module of whether its adapters are on, which, merged or not, and times how much."""


def adapters_at_work(module: nn.Module) -> str:
    """How the adapters in ``module`` are, of which no hook and no weight tells; empty where it has none."""
    own = module.__dict__
    return repr([own.get(name) for name in _AT_WORK]) if _OFF in own else ""


def adapted_layers(model: nn.Module) -> list[tuple[str, Any]]:
    """The modules, by name, that hold an adapter beside what they had."""
    return [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(getattr(module, "disable_adapters", None), bool)
    ]


def adapters_are_off(model: nn.Module) -> bool:
    """Whether ``model`` holds adapters and none is at work."""
    layers = adapted_layers(model)
    return bool(layers) and all(module.disable_adapters for _, module in layers)


def base_name(model_name: str) -> str:
    """The name that a parameter had before adapters were put around it."""
    for inside in _INSIDE:
        model_name = model_name.replace(inside, "")
    return model_name


def names_of_adapters(model: nn.Module) -> tuple[str, ...]:
    """What the names of all parameters begin with that belong to an adapter and not to the base."""
    return tuple(
        f"{name}.{part}."
        for name, module in adapted_layers(model)
        for part, _ in module.named_children()
        if f".{part}" not in _INSIDE
    )


@contextmanager
def without_adapters(model: nn.Module) -> Iterator[None]:
    """While open, the adapters in ``model`` are off.

    Raises ``BadParameter`` where there is none at work, ``Unsupported`` where one changed the base itself.
    """
    layers = [module for _, module in adapted_layers(model) if not module.disable_adapters]
    if not layers:
        raise BadParameter(
            "There is no adapter at work that could be switched off.",
            "Open the model with --adapter.",
        )
    refuse_changed_base(model, layers)
    wanted = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        for module in layers:
            module.enable_adapters(False)
        yield
    finally:
        for module in layers:
            module.enable_adapters(True)
        for parameter, requires in wanted:
            parameter.requires_grad_(requires)


def refuse_changed_base(model: nn.Module, layers: list[Any]) -> None:
    """Raise ``Unsupported`` for adapters that cannot be switched off: in the weights, or with biases."""
    if any(getattr(module, "merged", False) for module in layers):
        raise Unsupported("An adapter is merged into the weights and cannot be switched off.")
    biased = any(
        getattr(config, "bias", "none") != "none"
        for config in getattr(model, "peft_config", {}).values()
    )
    if biased or getattr(model, CHANGED_BASE, False):
        raise Unsupported(
            "An adapter put weights of its own in the place of the base's, so it cannot be switched off.",
            "Open the model a second time without it.",
        )


CHANGED_BASE = "_interpboard_changed_base"
