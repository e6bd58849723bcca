"""Tables that a model computes itself and its files need not hold: Marian's sinusoidal positions."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import nn

from interpboard.errors import NotALanguageModel


def computed_tables(model: nn.Module) -> dict[str, nn.Module]:
    """By the name of their weight: modules that make it by a formula, and never learn it."""
    return {
        f"{name}.weight": module
        for name, module in model.named_modules()
        if callable(getattr(module, "create_weight", None)) and not _learns(module)
    }


def check_computed(model: nn.Module, held: Collection[str], source: str) -> None:
    """Raise ``NotALanguageModel`` where a table that the files do not hold (``held``: names) is not what its
    formula gives."""
    for name, table in computed_tables(model).items():
        own: Any = table
        made: torch.Tensor = own.create_weight()
        there = any(each.endswith(name) or name.endswith(each) for each in held)
        if not there and not torch.equal(own.weight.detach().cpu(), made.to(own.weight.dtype)):
            raise NotALanguageModel(
                f"{source} lacks {name}, and {type(table).__name__} did not compute it.",
                "Another version of transformers may.",
            )


def _learns(module: nn.Module) -> bool:
    weight = getattr(module, "weight", None)
    return weight is None or bool(weight.requires_grad)
