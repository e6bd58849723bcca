"""One call of an attention module that is written out in torch's own functions: its sites, seen and changed.

Three calls, in this order, are attention by what they compute, whatever the module names them:

1. a product of queries and keys [row, head, query, key], before any softmax over keys: ``q`` and ``k``;
2. the softmax over keys of that shape, in whose scores a ``mask`` is added;
3. the product of such a pattern and values: ``pattern``, ``v``, and ``attended``, what comes out.

Or all of it is one call of the fused function. What is changed takes the place of the tensor in this call and
in every later one of the module: queries and keys that also meet the embeddings of distances (deberta)
are changed there as well. ``k`` is what is transposed for the product, before a scale on that side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

Change = Callable[[torch.Tensor], torch.Tensor | None]
ChangesBySite = dict[str, list[Change]]

_PRODUCTS = {"matmul": 0, "__matmul__": 0, "bmm": 0, "baddbmm": 1}  # where their factors begin
_SCALES = {"div", "true_divide", "__truediv__", "mul", "__mul__", "__rmul__", "multiply"}
_TURNS = {"transpose", "swapaxes", "permute"}


@dataclass(frozen=True, eq=False)
class _Step:
    """A call that turns or scales its first argument."""

    output: torch.Tensor  # kept, so that no other tensor has its number
    func: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @property
    def given(self) -> torch.Tensor:
        """The first argument."""
        found: torch.Tensor = self.args[0]
        return found

    @property
    def turns(self) -> bool:
        """Whether the last two dimensions change places, and nothing else happens."""
        turned = self.given.transpose(-1, -2)
        return self.output.shape == turned.shape and self.output.stride() == turned.stride()

    @property
    def is_plain(self) -> bool:
        """Whether it turns, or scales by one number."""
        by = self.args[1] if len(self.args) > 1 else None
        one = isinstance(by, (int, float)) or (isinstance(by, torch.Tensor) and by.numel() == 1)
        return self.turns if self.func.__name__ in _TURNS else one

    def again(self, given: torch.Tensor) -> torch.Tensor:
        """The same done to another tensor."""
        output: torch.Tensor = self.func(given, *self.args[1:], **self.kwargs)
        return output


class AttentionCall(TorchFunctionMode):
    """One forward of an attention module, of so many rows and queries: what is changed in it, and how often
    each site was ``seen``. ``heads``: how many there are, and how many of keys and values."""

    def __init__(
        self, heads: tuple[int, int], changes: ChangesBySite, rows: int, queries: int
    ) -> None:
        super().__init__()
        (self.heads, self.kv_heads), self.changes = heads, changes
        self.rows, self.queries = rows, queries
        self.seen: dict[str, int] = {}
        self.patterns: set[int] = set()  # for how many heads there are any
        self.softened = False
        self.turned: dict[int, _Step] = {}
        self.instead: list[tuple[torch.Tensor, torch.Tensor]] = []  # what takes whose place

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run ``func`` with what takes the place of its arguments, and do what is to be done there."""
        args, kwargs = self._replaced(args), dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if func is nn.functional.scaled_dot_product_attention:
            return self._fused(func, args, kwargs)
        if name in _PRODUCTS:
            return self._product(func, args, kwargs, _PRODUCTS[name])
        if name == "softmax":
            return self._softmax(func, args, kwargs)
        output = func(*args, **kwargs)
        is_step = name in _TURNS or name in _SCALES
        if is_step and isinstance(output, torch.Tensor) and isinstance(args[0], torch.Tensor):
            self.turned[id(output)] = _Step(output, func, args, kwargs)
        return output

    def _replaced(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        if not self.instead:
            return args
        new = {id(old): new for old, new in self.instead}
        return tuple(new.get(id(each), each) for each in args)

    def _changed(self, site: str, value: torch.Tensor) -> torch.Tensor:
        """``value`` [row, head, pos, …] as the changes of ``site`` leave it, the same object if they do."""
        self.seen[site] = self.seen.get(site, 0) + 1
        if self.seen[site] > 1:
            return value
        given = value.transpose(1, 2)
        changed = given
        for change in self.changes.get(site, ()):
            new = change(changed)
            changed = changed if new is None else new
        return value if changed is given else changed.transpose(1, 2)

    def _by_head(self, value: Any) -> torch.Tensor | None:
        """``value`` as [row, head, …]; None for what is not by rows and heads."""
        if not isinstance(value, torch.Tensor) or not self.rows:
            return None
        if value.dim() == 3 and value.shape[0] % self.rows == 0 and value.shape[0] > self.rows:
            return value.unflatten(0, (self.rows, -1))
        return value if value.dim() == 4 and value.shape[0] == self.rows else None

    def _is_pattern(self, value: torch.Tensor | None) -> bool:
        return (
            value is not None
            and value.dim() == 4
            and value.shape[1:3] == (self.heads, self.queries)
        )

    def _product(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], at: int) -> Any:
        if at and "batch1" in kwargs and "batch2" in kwargs:  # bloom names them
            batches = self._replaced((kwargs.pop("batch1"), kwargs.pop("batch2")))
            args = (*args[:1], *batches, *args[1:])
        if len(args) < at + 2:
            return func(*args, **kwargs)
        left, right = args[at], args[at + 1]
        if self.softened:
            return self._values(func, args, kwargs, at)
        query = self._by_head(left)
        if query is None or not self._is_pattern(query) or "q" in self.seen:
            if self._reads(left) or self._reads(right):
                return func(*args, **kwargs)  # another use of the queries or keys that were seen
            output = func(*args, **kwargs)
            if self._is_pattern(self._by_head(output)) and "q" in self.seen:
                self.seen["q"] += 1  # scores that are not of those queries
                self.seen["k"] += 1
            return output
        new_left = self._put("q", left, query)
        new_right = self._key(right)
        return func(*args[:at], new_left, new_right, *args[at + 2 :], **kwargs)

    def _reads(self, value: Any) -> bool:
        """Whether ``value`` is the queries or keys that were seen, or they turned."""
        known = {id(new) for _old, new in self.instead}
        step = self.turned.get(id(value))
        return id(value) in known or (step is not None and id(step.given) in known)

    def _put(self, site: str, old: torch.Tensor, by_head: torch.Tensor) -> torch.Tensor:
        changed = self._changed(site, by_head)
        new = old if changed is by_head else changed.reshape(old.shape)
        self.instead.append((old, new))
        return new

    def _key(self, right: torch.Tensor) -> torch.Tensor:
        """The second factor of the scores, its keys changed at what was transposed for it."""
        last = self._by_head(right)
        if last is None or last.shape[1] != self.kv_heads:
            return right
        steps: list[_Step] = []
        value, turned = right, False
        while not turned and (step := self.turned.get(id(value))) is not None and step.is_plain:
            steps.append(step)
            value, turned = step.given, step.turns
        by_head = self._by_head(value) if turned else None
        if by_head is None:
            key = last.transpose(-1, -2)
            changed = self._changed("k", key)
            new = right if changed is key else changed.transpose(-1, -2).reshape(right.shape)
            self.instead.append((right, new))
            return new
        new = self._put("k", value, by_head)
        return (
            right
            if new is value
            else reduce(lambda each, step: step.again(each), reversed(steps), new)
        )

    def _softmax(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
        scores = args[0] if args else kwargs.get("input")
        by_head = self._by_head(scores)
        if by_head is None or scores is None or dim not in (-1, scores.dim() - 1):
            return func(*args, **kwargs)
        if by_head.dim() == 4 and by_head.shape[2] == self.queries <= by_head.shape[3]:
            self.patterns.add(by_head.shape[1])
        if not self._is_pattern(by_head):
            return func(*args, **kwargs)
        self.softened = True
        lowest = torch.finfo(scores.dtype).min
        plain = torch.zeros_like(by_head).masked_fill(by_head <= lowest / 2, lowest)
        added = self._masked(plain)
        if added is not plain:
            hidden = torch.where(added <= lowest / 2, added, by_head + (added - plain))
            args = (hidden.reshape(scores.shape), *args[1:])
            kwargs.pop("input", None)
        return func(*args, **kwargs)

    def _masked(self, plain: torch.Tensor) -> torch.Tensor:
        """A mask [row, head, query, key] after its changes, which see it as it is."""
        self.seen["mask"] = self.seen.get("mask", 0) + 1
        mask = plain
        for change in self.changes.get("mask", ()):
            new = change(mask)
            mask = mask if new is None else new
        return mask

    def _values(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], at: int) -> Any:
        pattern, value = self._by_head(args[at]), self._by_head(args[at + 1])
        if pattern is None or value is None or not self._is_pattern(pattern):
            return func(*args, **kwargs)
        if value.shape[1] != self.kv_heads:
            return func(*args, **kwargs)
        # Values first: who hears both is given the pattern's values before it.
        new_value = self._put("v", args[at + 1], value)  # a convolution may read them, too
        new_pattern = self._changed("pattern", pattern)
        new = (
            args[at] if new_pattern is pattern else new_pattern.reshape(args[at].shape),
            new_value,
        )
        output = func(*args[:at], *new, *args[at + 2 :], **kwargs)
        by_head = self._by_head(output)
        if by_head is None:
            return output
        changed = self._changed("attended", by_head)
        return output if changed is by_head else changed.reshape(output.shape)

    def _fused(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        names = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        q, k, v = (self._by_head(given[name]) for name in names[:3])
        if q is None or k is None or v is None:
            return func(*args, **kwargs)
        if q.dim() == 4 and q.shape[2] == self.queries <= k.shape[2]:
            self.patterns.add(q.shape[1])
        if (q.shape[1], k.shape[1], v.shape[1]) != (self.heads, self.kv_heads, self.kv_heads):
            return func(*args, **kwargs)
        q, k, v = self._changed("q", q), self._changed("k", k), self._changed("v", v)
        shape = (*args[0].shape[:-1], v.shape[-1]) if args else None
        given |= {"query": q, "key": k, "value": v}
        output = func(**given)
        if self.changes.get("pattern") or self.changes.get("mask"):
            output = self._written_out(given, output)
        else:
            self.seen |= {site: self.seen.get(site, 0) + 1 for site in ("pattern", "mask")}
        output = self._changed("attended", output)
        return output if shape is None else output.reshape(shape)

    def _written_out(self, given: dict[str, Any], output: torch.Tensor) -> torch.Tensor:
        """``output``, with what changes of mask and pattern change of it."""
        q, k, v = given["query"], given["key"], given["value"]
        groups = q.shape[1] // k.shape[1]
        k, v = (each.repeat_interleave(groups, dim=1) for each in (k, v))
        scale = given.get("scale")
        scores = q @ k.transpose(-1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
        mask = given.get("attn_mask")
        lowest = torch.finfo(scores.dtype).min
        if given.get("is_causal"):
            mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).tril()
        if mask is not None and mask.dtype == torch.bool:
            mask = torch.zeros_like(scores).masked_fill(~mask, lowest)
        plain = torch.zeros_like(scores) if mask is None else mask.expand(scores.shape)
        new = self._masked(plain)
        before = (scores + plain).softmax(-1)
        pattern = before if new is plain else (scores + new).softmax(-1)
        changed = self._changed("pattern", pattern)
        return output if changed is before else output + (changed - before) @ v
