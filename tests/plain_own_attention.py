"""The oracle inside attention that a family writes out itself: its methods and modules, wrapped by hand."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from interpboard.models.language_model import LanguageModel

Act = Callable[[torch.Tensor], torch.Tensor]
Done = tuple[str, int, Act]


def _by_position(act: Act, value: torch.Tensor) -> torch.Tensor:
    """``act``, which sees [1, pos, head, …], on [1, head, pos, …]."""
    return act(value.transpose(1, 2)).transpose(1, 2)


@contextmanager
def in_plain_own_attention(lm: LanguageModel, done: list[Done]) -> Iterator[None]:
    """While open, each of ``done`` is done: at ``q``, ``k``, ``v`` and ``pattern`` of four families."""
    kind = lm.model.config.model_type
    undo: list[Callable[[], None]] = []
    for index in {layer for _site, layer, _act in done}:
        acts = [(site, act) for site, layer, act in done if layer == index]
        undo += _INSIDE[kind](lm, index, acts)
    try:
        yield
    finally:
        for back in reversed(undo):
            back()


def _in_method(lm: LanguageModel, index: int, acts: list[tuple[str, Act]]) -> list[Any]:
    """gpt_neo and gptj: ``_attn(query, key, value, mask)``, heads first; a dropout has the pattern."""
    attention = lm.anatomy.attention[index]
    attention = getattr(attention, "attention", attention)
    original = attention._attn

    def attend(query: Any, key: Any, value: Any, *others: Any, **named: Any) -> Any:
        given = {"q": query, "k": key, "v": value}
        for site, act in acts:
            if site in given:
                given[site] = _by_position(act, given[site])
        return original(*given.values(), *others, **named)

    attention._attn = attend
    return [lambda: delattr(attention, "_attn"), *_in_dropout(attention.attn_dropout, acts)]


def _in_dropout(module: Any, acts: list[tuple[str, Act]]) -> list[Any]:
    def after(_module: Any, _args: Any, output: torch.Tensor) -> torch.Tensor:
        for site, act in acts:
            if site == "pattern":
                output = _by_position(act, output)
        return output

    return [module.register_forward_hook(after).remove]


def _in_bloom(lm: LanguageModel, index: int, acts: list[tuple[str, Act]]) -> list[Any]:
    """One map makes all three, by head; nothing but reshapes stands between it and the scores."""
    attention = lm.anatomy.layers[index].self_attention

    def after(_module: Any, _args: Any, fused: torch.Tensor) -> torch.Tensor:
        parts = list(fused.unflatten(-1, (lm.anatomy.n_heads, 3, -1)).unbind(-2))
        for site, act in acts:
            if site in "qkv":
                parts["qkv".index(site)] = act(parts["qkv".index(site)])
        return torch.stack(parts, dim=-2).reshape(fused.shape)

    hook = attention.query_key_value.register_forward_hook(after)
    return [hook.remove, *_in_dropout(attention.attention_dropout, acts)]


def _in_falcon(lm: LanguageModel, index: int, acts: list[tuple[str, Act]]) -> list[Any]:
    """One key and one value for all heads. Queries and keys are read after they are turned."""
    attention = lm.anatomy.layers[index].self_attention
    home = sys.modules[type(lm.model).__module__]
    functional, here = torch.nn.functional, [False]
    rotary, softmax = home.apply_rotary_pos_emb, functional.softmax

    def turned(query: Any, key: Any, cos: Any, sin: Any) -> Any:
        found = dict(zip("qk", rotary(query, key, cos, sin), strict=True))
        for site, act in acts:
            if here[0] and site in found:
                found[site] = _by_position(act, found[site])
        return tuple(found.values())

    def softened(*args: Any, **named: Any) -> torch.Tensor:
        pattern = softmax(*args, **named)
        for site, act in acts:
            if here[0] and site == "pattern":
                pattern = _by_position(act, pattern)
        return pattern

    def made(_module: Any, _args: Any, fused: torch.Tensor) -> torch.Tensor:
        heads = fused.unflatten(-1, (lm.anatomy.n_heads + 2, -1))
        for site, act in acts:
            if site == "v":
                heads = torch.cat([heads[..., :-1, :], act(heads[..., -1:, :])], dim=-2)
        return heads.reshape(fused.shape)

    def begin(*_: Any) -> None:
        here[0] = True

    def end(*_: Any) -> None:
        here[0] = False

    home.apply_rotary_pos_emb, functional.softmax = turned, softened  # type: ignore[assignment]
    return [
        lambda: setattr(home, "apply_rotary_pos_emb", rotary),
        lambda: setattr(functional, "softmax", softmax),
        attention.register_forward_pre_hook(begin).remove,
        attention.register_forward_hook(end).remove,
        attention.query_key_value.register_forward_hook(made).remove,
    ]


def _in_mystery(lm: LanguageModel, index: int, acts: list[tuple[str, Act]]) -> list[Any]:
    """The family of ``test_named_parts``: its module's forward, written out."""
    attention = lm.anatomy.attention[index]

    def forward(x: torch.Tensor) -> torch.Tensor:
        queries, keys = attention.take(x).chunk(2, dim=-1)
        made = {"q": queries, "k": keys, "v": attention.hear(x)}
        made = {name: each.unflatten(-1, (attention.count, -1)) for name, each in made.items()}
        for site, act in acts:
            if site in made:
                made[site] = act(made[site])
        q, k, v = (each.transpose(1, 2) for each in made.values())
        scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
        later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
        pattern = scores.masked_fill(later, -torch.inf).softmax(-1)
        for site, act in acts:
            if site == "pattern":
                pattern = _by_position(act, pattern)
        given: torch.Tensor = attention.give((pattern @ v).transpose(1, 2).flatten(2))
        return given

    attention.forward = forward
    return [lambda: delattr(attention, "forward")]


_INSIDE: dict[str, Any] = {
    "gpt_neo": _in_method, "gptj": _in_method, "bloom": _in_bloom, "falcon": _in_falcon,
    "mystery": _in_mystery,
}  # fmt: skip
