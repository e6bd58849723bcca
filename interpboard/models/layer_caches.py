"""Caches handed to a layer in place of transformers': they hand it more, or end it with what it puts in."""

from __future__ import annotations

from typing import Any

import torch

KeysValues = tuple[torch.Tensor, torch.Tensor]


class EnoughSeen(Exception):
    """Raised in a forward of which the rest is not wanted."""


class StoppingCache:
    """A cache that stops the layer when it has what the layer puts in, behind ``before``."""

    def __init__(self, before: KeysValues | None = None) -> None:
        self.before = before
        self.made: list[KeysValues] = []

    def update(self, key: torch.Tensor, value: torch.Tensor, *_args: Any, **_kwargs: Any) -> Any:
        if self.before is not None:
            key, value = Prefix(*self.before).update(key, value)
        self.made.append((key, value))
        raise EnoughSeen

    def get_seq_length(self, *_args: Any) -> int:
        return 0 if self.before is None else int(self.before[0].shape[2])


class Prefix:
    """A cache that holds the keys and values before the first replayed position."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        self.keys, self.values = keys, values

    def update(
        self, key: torch.Tensor, value: torch.Tensor, *_args: Any, **_kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.cat([self.keys, key], dim=2), torch.cat([self.values, value], dim=2)

    def get_seq_length(self, *_args: Any) -> int:
        return int(self.keys.shape[2])
