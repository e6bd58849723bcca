"""The two hooks that all sites are made of, on what a module is given and what it gives; and a stand-in."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn

from interpboard.errors import NotALanguageModel

Act = Callable[[torch.Tensor], torch.Tensor | None]


@contextmanager
def on_input(module: nn.Module, act: Act) -> Iterator[None]:
    """While open, ``act`` sees the first input of ``module``, and what it returns takes its place."""

    def hook(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        changed = act(args[0] if args else kwargs["hidden_states"])
        if changed is None:
            return None
        if args:
            return (changed, *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": changed}

    handle = module.register_forward_pre_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def on_output(module: nn.Module, act: Act) -> Iterator[None]:
    """While open, ``act`` sees what ``module`` gives, and what it returns takes its place."""

    def hook(_module: nn.Module, _args: Any, output: Any) -> Any:
        several = isinstance(output, (tuple, list))  # a list: openai-gpt
        changed = act(output[0] if several else output)
        if changed is None:
            return None
        return type(output)((changed, *output[1:])) if several else changed

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def standing_in(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """While open, ``module`` computes ``forward``; the hooks on it stay."""
    own = module.__dict__.get("forward")
    module.__dict__["forward"] = forward
    try:
        yield
    finally:
        del module.__dict__["forward"]
        if own is not None:
            module.__dict__["forward"] = own


def called_by_name(layer: nn.Module) -> inspect.Signature:
    """By which names ``layer`` is called: those of its class where somebody put a forward of any into it."""
    known: list[Callable[..., Any]] = [layer.forward]
    known += [
        partial(vars(of)["forward"], layer) for of in type(layer).__mro__ if "forward" in vars(of)
    ]
    for forward in known:
        found = inspect.signature(forward)
        kinds = [parameter.kind for parameter in found.parameters.values()]
        if kinds and kinds[0] is not inspect.Parameter.VAR_POSITIONAL:
            return found
    raise NotALanguageModel(
        f"{type(layer).__name__} does not say by name what it is called with.",
        "Give its forward the parameters of the layer's.",
    )


def is_of(function: Any, *packages: str) -> bool:
    """Whether ``function``, or what it is a partial of, was written in one of ``packages`` ("name.").

    By where its code is, and that of all that it goes around: ``functools.wraps`` gives it the name and the
    module of that, and ``torch.no_grad()`` makes a function of torch's of it.
    """
    while isinstance(function, partial):
        function = function.func
    there = function is not None
    while function is not None:
        plain = getattr(function, "__func__", function)
        of = getattr(plain, "__globals__", {}).get("__name__", getattr(plain, "__module__", ""))
        if not f"{of}.".startswith(packages):
            return False
        function = getattr(plain, "__wrapped__", None)
    return there
