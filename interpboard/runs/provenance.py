"""Who made a result: versions, seed and path."""

from __future__ import annotations

import torch
import transformers

import interpboard
from interpboard.results import MadeBy


def made_by(path: str, seed: int = 0) -> MadeBy:
    """``path``: ``replay``, ``hooks``, ``forward`` (one clean pass) or ``autograd``."""
    return MadeBy(
        interpboard.__version__, str(torch.__version__), str(transformers.__version__), seed, path
    )
