"""Whether a model computes by the modules, forwards and hooks that it was opened with.

What is proved of a model at load holds for these. Who puts another ``forward``, another module, or a hook
into it afterwards has a model of which nothing is known: shortcuts may pass by what was put in, and a layer
is given some of the positions, so that a hook on it counts from another token. Hooks on the embeddings are
given whole prompts by every run. Values of weights are no part of it, nor the mode.

Of a model that is opened with hooks of others within its layers the proof says what they do to eight tokens.
What they do at other places is unknown, so that no run of it begins behind the first token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import nn
from torch.nn.modules import module as every_module

from interpboard.errors import Unsupported
from interpboard.models.module_hooks import is_of
from interpboard.models.training_mode import require_evaluating

if TYPE_CHECKING:
    from interpboard.models.anatomy import Anatomy

_HARMLESS = ("interpboard.", "transformers.", "torch.utils.")
"""Whose hooks and forwards come and go: our own, what records streams for a caller, what counts."""

_OF_WEIGHTS = ("torch.", "accelerate.")
"""Whose look at weights alone: pruning, normed weights, what moves them to and fro."""

_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
_GLOBAL = tuple(f"_global{name}" for name in _HOOKS)


class _Part(NamedTuple):
    module: nn.Module
    own: dict[str, Any]
    of_class: type[nn.Module]
    forward: Callable[..., Any] | None
    children: tuple[nn.Module | None, ...]
    hooks: tuple[Any, ...] | None  # None: any are taken


class AsOpened:
    """The model as it is now. ``called``: the modules that every run gives whole prompts."""

    def __init__(self, model: nn.Module, called: Iterable[nn.Module]) -> None:
        any_hooks = set(called)
        self._model = model
        self._parts = [_part(module, module not in any_hooks) for module in model.modules()]
        self._forwards = {part.of_class: part.of_class.forward for part in self._parts}
        self._everywhere = _on_every_module()

    def require(self) -> None:
        """Raise ``Unsupported``, naming the module, if anything was put into the model or taken out since."""
        for of_class, forward in self._forwards.items():
            if of_class.forward is not forward:
                raise _refused(
                    f"Modules of the class {of_class.__name__} have another forward, {_SINCE}"
                )
        for part in self._parts:
            changed = _changed(part)
            if changed:
                raise _refused(f"{self._called(part.module)} has {changed}, {_SINCE}")
        if not _same(_on_every_module(), self._everywhere):
            raise _refused(f"torch has other hooks on every module, {_SINCE}")

    def _called(self, module: nn.Module) -> str:
        path = next((path for path, each in self._model.named_modules() if each is module), "")
        return f"Its module {path}" if path else "It"


_SINCE = "put there or taken away since it was opened"


def _refused(what: str) -> Unsupported:
    return Unsupported(
        f"The model is not what it was. {what}: what was proved at opening may not hold.",
        "Open it anew as it is now (LanguageModel.of), or take it back.",
    )


def _part(module: nn.Module, strict: bool) -> _Part:
    own = vars(module)
    children, hooks = tuple(own["_modules"].values()), _hooks(own) if strict else None
    return _Part(module, own, type(module), own.get("forward"), children, hooks)


def _changed(part: _Part) -> str:
    module, own, of_class, was, children, hooks = part
    forward = own.get("forward")
    if module.__class__ is not of_class:
        return "another class"
    if forward is not was and not (forward is not None and is_of(forward, *_HARMLESS)):
        return "another forward"
    if tuple(own["_modules"].values()) != children:
        return "other modules"
    if hooks is None or (not hooks and not any(map(own.__getitem__, _HOOKS))):
        return ""
    return "" if _same(_hooks(own), hooks) else "other hooks"


def _hooks(of: Mapping[str, Any], names: Iterable[str] = _HOOKS) -> tuple[Any, ...]:
    every = (hook for name in names for hook in of[name].values())
    return tuple(hook for hook in every if not is_of(hook, *_HARMLESS))


def _on_every_module() -> tuple[Any, ...]:
    return _hooks(vars(every_module), _GLOBAL)


def _same(some: tuple[Any, ...], others: tuple[Any, ...]) -> bool:
    return len(some) == len(others) and all(a is b for a, b in zip(some, others, strict=True))


def may_look_at_places(layers: Iterable[nn.Module]) -> bool:
    """Whether there are hooks or forwards of others within ``layers``: what they do may depend on where a
    token is, or on how many are given."""
    return any(
        any(not is_of(hook, *_OF_WEIGHTS) for hook in _hooks(own))
        or ("forward" in own and not is_of(own["forward"], *_HARMLESS, *_OF_WEIGHTS))
        for layer in layers
        for own in map(vars, layer.modules())
    )


def require_as_opened(anatomy: Anatomy) -> None:
    """Raise ``Unsupported`` if the model is in training mode, or not what it was when it was proved."""
    require_evaluating(anatomy.model)
    if anatomy.opened is not None:
        anatomy.opened.require()
