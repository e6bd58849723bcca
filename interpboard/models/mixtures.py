"""Mixtures of experts: the weights that a layer's router gives its experts, token by token.

transformers keeps the experts of a layer in one module, which is given for each token the numbers of the
chosen experts and their weights, as the block uses them: after softmax, top-k and whatever normalises or
scales them. There they are read and changed, so every kernel that computes experts (a loop, grouped or
batched products) is the model's own. A few families (llama4) give all experts the token times its
weight, 0 where it is not chosen: there it is the router's output.

The site ``router`` is [batch, pos, expert], 0 for experts that a token does not go to. An expert that gets
a weight other than 0 is run, chosen or not. Experts that all tokens share are no part of it.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

_EXPERTS = ("experts",)
_ROUTERS = ("router", "gate")


@dataclass(frozen=True, eq=False)
class Mixture:
    """One layer's: ``module`` is given, or (``dense``) gives, the weights of ``n_experts`` experts; what they
    say together comes out of ``output``, with what is shared where the mixture is dense. ``experts`` is given
    the tokens; ``block`` holds them with all that belongs to them."""

    module: nn.Module
    n_experts: int
    output: nn.Module
    experts: nn.Module
    block: nn.Module
    dense: bool = False


def find_mixture(layer: nn.Module) -> Mixture | None:
    """The mixture of ``layer``; None where there is none, or several, or one of another make."""
    found = [
        mixture
        for path, module in layer.named_modules()
        if path.rpartition(".")[2] in _EXPERTS
        for block in (layer.get_submodule(path.rpartition(".")[0]),)
        if (mixture := _chosen(module, block) or _dense(module, block)) is not None
    ]
    return found[0] if len(found) == 1 else None


def one_by_one(model: Any, dtype: torch.dtype) -> str:
    """Have the experts of ``model`` computed one by one where grouped products do not exist; what is to be
    said of it, empty where nothing was done."""
    mixed = any(_chosen(m, m) is not None for m in model.modules() if hasattr(m, "num_experts"))
    if dtype != torch.float64 or not mixed or not hasattr(model, "set_experts_implementation"):
        return ""
    model.set_experts_implementation("eager")
    return "experts are computed one by one: grouped products do not exist in float64"


def mixtures_of(layers: Sequence[nn.Module]) -> tuple[Mixture | None, ...]:
    """That of each of ``layers``; empty where none has one. One that layers share is nobody's: an edit there
    would be made in all of them."""
    found = [find_mixture(layer) for layer in layers]
    users = Counter(id(mixture.module) for mixture in found if mixture is not None)
    own = tuple(m if m is not None and users[id(m.module)] == 1 else None for m in found)
    return own if any(own) else ()


def _chosen(experts: nn.Module, block: nn.Module) -> Mixture | None:
    """A module that takes tokens, the numbers of their experts, and their weights."""
    names = list(inspect.signature(experts.forward).parameters)
    count = getattr(experts, "num_experts", None)
    told = len(names) >= 3 and "ind" in names[1] and "weight" in names[2]
    if not told or not isinstance(count, int):
        return None
    return Mixture(experts, count, experts, experts, block)


def _dense(experts: nn.Module, block: nn.Module) -> Mixture | None:
    """A router that gives each token a weight for every expert, beside experts that take tokens alone."""
    routers = [getattr(block, name, None) for name in _ROUTERS]
    count = getattr(experts, "num_experts", None)
    if len(inspect.signature(experts.forward).parameters) != 1 or not isinstance(count, int):
        return None
    for router in routers:
        if isinstance(router, nn.Module) and getattr(router, "num_experts", None) == count:
            return Mixture(router, count, block, experts, block, dense=True)
    return None


@contextmanager
def at_router(
    mixture: Mixture, change: Callable[[torch.Tensor], torch.Tensor | None]
) -> Iterator[None]:
    """While open, ``change`` sees the weights [token, expert], and what it returns takes their place."""

    def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        bound = inspect.signature(module.forward).bind(*args, **kwargs)
        _, index_name, weight_name = list(bound.signature.parameters)[:3]
        index, weights = bound.arguments[index_name], bound.arguments[weight_name]
        changed = change(_spread(index, weights, mixture.n_experts))
        if changed is None:
            return None
        bound.arguments[index_name], bound.arguments[weight_name] = _gathered(
            index, weights, changed
        )
        return bound.args, bound.kwargs

    def after(_module: nn.Module, _args: Any, output: Any) -> Any:
        several = isinstance(output, (tuple, list))
        changed = change(output[0] if several else output)
        if changed is None:
            return None
        return type(output)((changed, *output[1:])) if several else changed

    if mixture.dense:
        handle = mixture.module.register_forward_hook(after)
    else:
        handle = mixture.module.register_forward_pre_hook(before, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def _spread(index: torch.Tensor, weights: torch.Tensor, n_experts: int) -> torch.Tensor:
    """[token, expert] of the chosen ones [token, rank]. A number beyond the experts means none of them."""
    empty = weights.new_zeros((len(weights), n_experts + 1))
    return empty.scatter_add(1, index.clamp(max=n_experts).long(), weights)[:, :n_experts]


def _gathered(
    index: torch.Tensor, weights: torch.Tensor, new: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The chosen experts and their weights [token, rank] that make ``new`` [token, expert].

    Tokens that go to none but their own experts keep them in their order: what nobody edits stays the same
    to the last bit.
    """
    n_experts = new.shape[1]
    own = index.clamp(max=n_experts).long()
    mine = torch.zeros((len(new), n_experts + 1), dtype=torch.bool, device=new.device)
    mine = mine.scatter(1, own, True)[:, :n_experts]
    moved = ((new != 0) & ~mine).any(1)
    wide = torch.cat([new, new.new_zeros((len(new), 1))], dim=1)
    if not bool(moved.any()):
        return index, _once(own, wide).to(weights.dtype)
    width = max(index.shape[1], int((new != 0)[moved].sum(1).max()))
    by_size = new.detach().abs().topk(width, dim=1).indices
    # The others get experts of weight 0 behind their own.
    more = (~mine).to(torch.int8).topk(width - index.shape[1], dim=1).indices
    chosen = torch.where(moved[:, None], by_size, torch.cat([own, more], dim=1))
    given = _once(chosen, wide).to(weights.dtype)
    return chosen.clamp(max=n_experts - 1).to(index.dtype), given


def _once(index: torch.Tensor, wide: torch.Tensor) -> torch.Tensor:
    """Weights [token, rank] of ``index``; an expert named twice has its own at the first."""
    again = (index[:, :, None] == index[:, None, :]).tril(-1).any(2)
    return wide.gather(1, index).masked_fill(again, 0)
