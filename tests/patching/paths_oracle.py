"""Path patching worked out by plain hooked forwards, one at a time: the oracle of ``test_paths``."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch

from interpboard.models.language_model import LanguageModel

MLP, EMBED = 4, 5  # columns behind the four heads


def _before(module: Any, act: Any) -> Any:
    def hook(_m: Any, args: Any) -> Any:
        new = act(args[0])
        return None if new is None else (new, *args[1:])

    return module.register_forward_pre_hook(hook)


def _behind(module: Any, act: Any) -> Any:
    return module.register_forward_hook(lambda _m, _args, out: act(out))


@dataclass
class Oracle:
    """Plain hooked forwards, one at a time. Nothing of the package but names of modules."""

    lm: LanguageModel
    ids: torch.Tensor
    other: torch.Tensor
    kept: list[dict[Any, torch.Tensor]] = field(default_factory=list)

    def __post_init__(self) -> None:
        anatomy = self.lm.anatomy
        for ids in (self.ids, self.other):
            found: dict[Any, torch.Tensor] = {}
            self.kept.append(found)
            with ExitStack() as stack:
                for layer in range(3):
                    self._open(stack, _before, anatomy.out_proj[layer], ("z", layer), found)
                    self._open(stack, _behind, anatomy.mlp_out[layer], ("mlp", layer), found)
                self._open(stack, _behind, anatomy.embedding, "embed", found)
                self._logits(ids)

    def _open(self, stack: ExitStack, how: Any, module: Any, name: Any, found: Any) -> None:
        def keep(value: torch.Tensor) -> None:
            found[name] = value.clone()

        stack.callback(how(module, keep).remove)

    @torch.no_grad()
    def _logits(self, ids: torch.Tensor) -> torch.Tensor:
        return self.lm.model(input_ids=ids).logits

    def logits(self, sender: tuple[int, int], receiver: str) -> torch.Tensor:
        """Logits [pos, d_vocab] with the receiver reading the sender's change alone."""
        anatomy = self.lm.anatomy
        base, source = self.kept
        seen: list[torch.Tensor] = []
        with ExitStack() as stack:
            if sender[1] == EMBED:
                put = lambda _value: source["embed"].clone()  # noqa: E731
                stack.callback(_behind(anatomy.embedding, put).remove)
            # First, so that it sees what the receiver does before that is held.
            if receiver != "output":
                self._at(stack, receiver, lambda value: seen.append(value.clone()))
            for layer in range(3):
                z = base["z", layer].clone()
                part = self._part(layer, sender[1])
                if sender[0] == layer and sender[1] < MLP:
                    z[..., part] = source["z", layer][..., part]
                stack.callback(_before(anatomy.out_proj[layer], lambda _v, z=z: z.clone()).remove)
                mlp = (source if sender == (layer, MLP) else base)["mlp", layer]
                stack.callback(_behind(anatomy.mlp_out[layer], lambda _v, m=mlp: m.clone()).remove)
            logits = self._logits(self.ids)
        if receiver == "output":
            return logits[0]
        with ExitStack() as stack:
            self._at(stack, receiver, lambda _value: seen[0].clone())
            return self._logits(self.ids)[0]

    def _part(self, layer: int, head: int) -> slice:
        size = self.lm.anatomy.d_head[layer]
        return slice(head * size, (head + 1) * size)

    def _at(self, stack: ExitStack, receiver: str, act: Any) -> None:
        """``act`` sees, and may replace, what the receiver computes from its input."""
        first, second, *third = receiver.split(".")
        layer = int(first)
        anatomy = self.lm.anatomy
        if second == "mlp":
            stack.callback(_behind(anatomy.mlp_out[layer], act).remove)
            return
        if second == "attn":
            stack.callback(_before(anatomy.out_proj[layer], act).remove)
            return
        part = self._part(layer, int(second))
        how, module = _before, anatomy.out_proj[layer]
        if third:
            how = _behind
            attention = anatomy.attention[layer]
            if hasattr(attention, "c_attn"):
                module, width = attention.c_attn, anatomy.d_model
                offset = "qkv".index(third[0]) * width
                part = slice(part.start + offset, part.stop + offset)
            else:
                module = getattr(attention, f"{third[0]}_proj")

        def only_the_head(value: torch.Tensor) -> torch.Tensor | None:
            new = act(value[..., part])
            if new is None:
                return None
            value = value.clone()
            value[..., part] = new
            return value

        stack.callback(how(module, only_the_head).remove)


def first_read(family: str, receiver: str) -> float:
    """Layers before this are seen; a half behind a layer's heads. Parallel blocks have no half."""
    if receiver == "output":
        return 3
    layer, part = receiver.split(".")[:2]
    parallel = family in {"gpt_neox", "falcon", "cohere"}
    return int(layer) + (0.5 if part == "mlp" and not parallel else 0)
