"""Inside attention that is written out in a family's own module, and asks transformers' interface nothing.

While a site is open, what the attention module computes is heard call by call (``attention_call``). Whether a
family's sites are there, its proof says (``proof.sites``). A run that goes another way than the one that
was proved (another algorithm for long prompts, say) is refused: no edit is left out in silence.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from interpboard.errors import Unsupported
from interpboard.models.attention_call import AttentionCall, Change, ChangesBySite

_asking: dict[type[nn.Module], bool] = {}
_looking = [False]  # whether a site that is not there is an answer


def asks_interface(attention: nn.Module) -> bool:
    """Whether a module in ``attention`` takes its attention function from transformers' interface."""
    return any(_names_interface(type(module)) for module in attention.modules())


def _names_interface(kind: type[nn.Module]) -> bool:
    if kind not in _asking:
        _asking[kind] = _said_to_ask(kind)
    return _asking[kind]


def _said_to_ask(kind: type[nn.Module]) -> bool:
    methods = (
        inspect.unwrap(own)
        for each in kind.__mro__
        if each.__module__.split(".")[0] != "torch"
        for own in vars(each).values()
        if inspect.isfunction(own)
    )
    return any("ALL_ATTENTION_FUNCTIONS" in method.__code__.co_names for method in methods)


@contextmanager
def looking() -> Iterator[None]:
    """While open, a site that a module does not have stays unseen, where it would be refused: for proofs."""
    _looking.append(True)
    try:
        yield
    finally:
        _looking.pop()


@dataclass(eq=False)
class _Scope:
    """An attention module with sites open: what is to be done there, and the call that is under way."""

    heads: tuple[int, int]  # of queries, and of keys and values
    changes: ChangesBySite = field(default_factory=dict)
    call: AttentionCall | None = None
    patterns: set[int] = field(default_factory=set)
    handles: tuple[Any, ...] = ()


_scopes: dict[nn.Module, _Scope] = {}


def patterns_of(attention: nn.Module, heads: tuple[int, int], run: Callable[[], Any]) -> set[int]:
    """For how many heads ``attention`` makes patterns of queries by keys during ``run()``."""
    found: set[int] = set()
    with in_own_attention(attention, heads, "mask", lambda _mask: None), looking():
        _scopes[attention].patterns = found
        run()
    return found


@contextmanager
def in_own_attention(
    attention: nn.Module, heads: tuple[int, int], site: str, change: Change
) -> Iterator[None]:
    """While open, ``change`` sees the site on every forward of ``attention``; shapes as in
    ``attention_sites``.

    ``heads``: how many there are, and how many of keys and values. Raises ``Unsupported`` in a forward pass
    in which the module does not compute what the site is.
    """
    scope = _scopes.get(attention)
    if scope is None:
        scope = _scopes[attention] = _Scope(heads)
        scope.handles = _watched(attention, scope)
    changes = scope.changes.setdefault(site, [])
    changes.append(change)
    try:
        yield
    finally:
        changes.remove(change)
        if not any(scope.changes.values()):
            for handle in scope.handles:
                handle.remove()
            del _scopes[attention]


def runs_on(attention: nn.Module, rows: int) -> None:
    """Tell the call of ``attention`` that is under way that it runs on its first ``rows`` rows only."""
    scope = _scopes.get(attention)
    if scope is not None and scope.call is not None:
        scope.call.rows = rows


def _watched(attention: nn.Module, scope: _Scope) -> tuple[Any, ...]:
    def before(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = (*args, *kwargs.values())
        stream = next((x for x in given if isinstance(x, torch.Tensor) and x.dim() == 3), None)
        shape = (0, 0) if stream is None else (stream.shape[0], stream.shape[1])
        scope.call = AttentionCall(scope.heads, scope.changes, *shape)
        scope.call.__enter__()

    def after(module: nn.Module, _args: Any, output: Any) -> None:
        call, scope.call = scope.call, None
        if call is not None:
            call.__exit__(None, None, None)
            scope.patterns |= call.patterns
            if output is not None and call.rows and not _looking[-1]:
                _refuse_unseen(call, module)

    return (
        attention.register_forward_pre_hook(before, with_kwargs=True),
        attention.register_forward_hook(after, always_call=True),
    )


def _refuse_unseen(call: AttentionCall, module: nn.Module) -> None:
    """Raise ``Unsupported`` where what is open was not seen once in a call."""
    for site, changes in call.changes.items():
        times = call.seen.get(site, 0)
        if changes and times != 1:
            how = (
                f"{times} times over"
                if times
                else f"for {call.heads} heads in no way that is known"
            )
            raise Unsupported(f"{type(module).__name__} computes {site} {how} on this prompt.")
