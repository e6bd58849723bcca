"""Bare encoders that sentence-transformers saved: the pooled vector is what they give.

Such a folder says in ``modules.json`` what follows the encoder: a pooling of the tokens' vectors, and perhaps
a normalisation. Both are put behind it here, so that the vector's components take the place of logits. What
else follows (a dense layer) is refused by name, as is an encoder that says nothing of how it is pooled.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers.modeling_outputs import SequenceClassifierOutput

from interpboard.errors import NotALanguageModel
from interpboard.files.json_object import read_object
from interpboard.models.label_head import Reads

MODULES = "modules.json"
_POOLINGS: dict[str, Reads] = {
    "pooling_mode_cls_token": "first",
    "pooling_mode_mean_tokens": "mean",
}


class PooledComponents(nn.Module):
    """Hands a pooled vector on, by components: where a model with labels has the map to them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.in_features = self.out_features = width

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        """``pooled`` as it is."""
        return pooled


class SentenceEncoder(nn.Module):
    """``encoder`` with ``pooling`` behind it; its logits [row, component] are the pooled vector."""

    base_model_prefix = "encoder"

    def __init__(self, encoder: Any, pooling: Reads, normalised: bool) -> None:
        super().__init__()
        self.encoder, self.pooling, self.normalised = encoder, pooling, normalised
        self.config = encoder.config
        self.components = PooledComponents(int(encoder.config.hidden_size))
        self.train(encoder.training)

    @property
    def dtype(self) -> torch.dtype:
        """The encoder's."""
        found: torch.dtype = self.encoder.dtype
        return found

    def get_input_embeddings(self) -> Any:
        """The encoder's."""
        return self.encoder.get_input_embeddings()

    def get_output_embeddings(self) -> nn.Module:
        """Whose outputs are the components."""
        return self.components

    def forward(self, input_ids: torch.Tensor, **options: Any) -> SequenceClassifierOutput:
        """The pooled vector of ``input_ids`` [row, pos], which are not padded."""
        hidden = self.encoder(input_ids=input_ids, **options).last_hidden_state
        pooled = hidden.mean(1) if self.pooling == "mean" else hidden[:, 0]
        if self.normalised:
            pooled = nn.functional.normalize(pooled, dim=-1)
        return SequenceClassifierOutput(logits=self.components(pooled))


def says_its_pooling(folder: Path, architectures: list[str]) -> bool:
    """Whether ``folder`` holds a bare body, and what sentence-transformers puts behind it."""
    bare = bool(architectures) and architectures[0].endswith("Model")
    return bare and (folder / MODULES).is_file()


def with_pooling(model: Any, folder: Path | None) -> Any:
    """``model``, a bare one with the pooling that ``folder`` says behind it. Raises ``NotALanguageModel``."""
    if folder is None or not says_its_pooling(folder, [type(model).__name__]):
        return model
    modules = _modules(folder)
    kinds = [kind for kind, _ in modules]
    if kinds[:2] != ["Transformer", "Pooling"] or kinds[2:] not in ([], ["Normalize"]):
        raise NotALanguageModel(
            f"{folder}: {MODULES} has {', '.join(kinds) or 'nothing'} one behind the other.",
            "Taken are a Transformer, a Pooling, and a Normalize.",
        )
    config = read_object(folder / modules[1][1] / "config.json")
    asked = [name for name, on in config.items() if name.startswith("pooling_mode_") and on is True]
    if len(asked) != 1 or asked[0] not in _POOLINGS:
        raise NotALanguageModel(
            f"{folder} pools by {', '.join(asked) or 'nothing'}.",
            f"Taken is {' or '.join(_POOLINGS)}.",
        )
    return SentenceEncoder(model, _POOLINGS[asked[0]], len(kinds) > 2)


def _modules(folder: Path) -> list[tuple[str, str]]:
    """Kind and folder of each module."""
    path = folder / MODULES
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))
        return [
            (str(each["type"]).rpartition(".")[2], str(each.get("path", ""))) for each in listed
        ]
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise NotALanguageModel(f"{path} cannot be read.", "Fetch the files again.") from error
