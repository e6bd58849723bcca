"""InterpBoard: causal interpretability of transformer language models.

Public names are resolved when first used: importing this package imports no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interpboard.errors import InterpBoardError
    from interpboard.models.language_model import LanguageModel, open_model
    from interpboard.models.load import load_model_and_tokenizer
    from interpboard.results import Document, MetricRequest, Result

__version__ = "0.1.0"

_HOMES = {
    "Document": "interpboard.results",
    "InterpBoardError": "interpboard.errors",
    "LanguageModel": "interpboard.models.language_model",
    "MetricRequest": "interpboard.results",
    "Result": "interpboard.results",
    "load_model_and_tokenizer": "interpboard.models.load",
    "open_model": "interpboard.models.language_model",
}

__all__ = [
    "Document",
    "InterpBoardError",
    "LanguageModel",
    "MetricRequest",
    "Result",
    "__version__",
    "load_model_and_tokenizer",
    "open_model",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'interpboard' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
