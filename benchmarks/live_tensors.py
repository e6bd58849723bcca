"""The most bytes of tensors that are alive at once: what a process holds besides depends on its C library."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveTensors(TorchDispatchMode):
    """While open, counts the storages of results until they are let go of; ``most``: bytes at the peak.

    What an operation has inside itself, and what was there before, is not counted.
    """

    def __init__(self) -> None:
        super().__init__()
        self.most = self._now = 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        given = {id_of(each) for each in tree_leaves((args, kwargs)) if _is_tensor(each)}
        for each in tree_leaves(out):
            if _is_tensor(each) and id_of(each) not in given and id_of(each) not in self._sizes:
                self._count(each.untyped_storage())
        return out

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        self._sizes[key] = size
        self._now += size
        self.most = max(self.most, self._now)
        weakref.finalize(storage, self._gone, key)

    def _gone(self, key: int) -> None:
        self._now -= self._sizes.pop(key)


def id_of(tensor: torch.Tensor) -> int:
    """Of its storage."""
    return int(tensor.untyped_storage()._cdata)


def _is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor)
