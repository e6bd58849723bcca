"""Encoders without a head: the pooled vector of their tokens is what they give.

What sentence-transformers saved says what follows the encoder (``modules.json``, ``1_Pooling``): a pooling of
the tokens' vectors, and perhaps a normalisation. Where nothing says it, the vectors' mean is taken, and
results say so; the user may ask for another pooling. It is put behind the encoder here, so that the vector's
components take the place of logits. What else follows (a dense layer) is refused by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

from interpboard.errors import BadParameter, NotALanguageModel
from interpboard.files.json_object import read_object
from interpboard.models.label_head import Reads, read_as
from interpboard.registry.loading import POOLINGS

MODULES = "modules.json"
POOLING_FILE = "1_Pooling/config.json"
_READS: dict[str, Reads] = {"mean": "mean", "cls": "first", "max": "max"}
_MODES = {f"pooling_mode_{name}": name.removesuffix("_tokens").removesuffix("_token")
          for name in ("cls_token", "mean_tokens", "max_tokens")}  # fmt: skip
# Classes that end in Model too, and have a head.
_WITH_HEAD = ("LMHeadModel", "DoubleHeadsModel", "MTModel")
_UNSAID = (
    "pooled by the mean of its tokens' vectors: nothing beside the model says how it is pooled"
)
_NOT_NORMALISED = (
    "the pooled vector is not normalised: no file of the model says whether it should be"
)


class PooledComponents(nn.Module):
    """Hands a pooled vector on, by components: where a model with labels has the map to them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.in_features = self.out_features = width

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        """``pooled`` as it is."""
        return pooled


class SentenceEncoder(nn.Module):
    """``encoder`` with ``pooling`` behind it; its logits [row, component] are the pooled vector.

    ``note``: what a reader of results must know of how the pooling was chosen.
    """

    base_model_prefix = "encoder"

    def __init__(self, encoder: Any, pooling: str, normalised: bool, note: str = "") -> None:
        super().__init__()
        self.encoder, self.pooling, self.normalised = encoder, pooling, normalised
        self.reads, self.note = _READS[pooling], note
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
        pooled = read_as(self.reads, hidden, 0)
        if self.normalised:
            pooled = nn.functional.normalize(pooled, dim=-1)
        return SequenceClassifierOutput(logits=self.components(pooled))


def takes_pooling(folder: Path | None, config: Mapping[str, Any], pooling: str) -> bool:
    """Whether ``config`` is of a body without a head, of which one vector is made: because a pooling is asked
    for, because ``folder`` says one, or because it is an encoder of text."""
    names = config.get("architectures") or []
    if not names or not _is_bare(names[0]):
        return False
    if pooling or _says(folder):
        return True
    both = config.get("is_encoder_decoder") or config.get("is_decoder")
    return config.get("model_type") in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not both


def refuse_pooling(pooling: str, bare: bool, name: str) -> None:
    """Raise ``BadParameter`` for a ``pooling`` that there is not, and for one of a model that has a head."""
    if pooling and pooling not in POOLINGS:
        raise BadParameter(f"There is no pooling {pooling[:40]!r}.", f"Use {', '.join(POOLINGS)}.")
    if pooling and not bare:
        raise BadParameter(
            f"{name} is no encoder without a head: nothing is pooled.", "Leave --pooling away."
        )


def with_pooling(model: Any, folder: Path | None, pooling: str) -> Any:
    """``model``; one without a head with ``pooling`` behind it; empty: as ``folder`` says, or the mean.

    Raises ``NotALanguageModel``, and ``BadParameter`` as ``refuse_pooling``.
    """
    name = type(model).__name__
    refuse_pooling(pooling, _is_bare(name), name)
    if not _is_bare(name):
        return model
    config = {**model.config.to_dict(), "architectures": [name]}
    if not takes_pooling(folder, config, pooling):
        return model
    own, normalised = ("", False) if folder is None or not _says(folder) else _read(folder)
    if not pooling and own not in ("", *POOLINGS):
        raise NotALanguageModel(
            f"{folder} pools by {own}.",
            f"Taken is {', '.join(POOLINGS)}, which --pooling asks for.",
        )
    note = "" if own else _UNSAID
    if pooling:
        differs = own not in ("", pooling)
        note = f"pooled by {pooling}, as was asked; its own files say {own}" if differs else ""
        note = note or (_NOT_NORMALISED if not own else "")
    return SentenceEncoder(model, pooling or own or "mean", normalised, note)


def pooling_of(model: Any) -> str:
    """How ``model`` pools, empty where it does not."""
    return model.pooling if isinstance(model, SentenceEncoder) else ""


def pooling_notes(model: Any) -> tuple[str, ...]:
    """What results say of how the pooling was chosen."""
    return (model.note,) if isinstance(model, SentenceEncoder) and model.note else ()


def _is_bare(name: str) -> bool:
    return name.endswith("Model") and not name.endswith(_WITH_HEAD)


def _says(folder: Path | None) -> bool:
    return folder is not None and any((folder / f).is_file() for f in (MODULES, POOLING_FILE))


def _read(folder: Path) -> tuple[str, bool]:
    """How ``folder`` says that is pooled, and whether it is normalised. Raises ``NotALanguageModel``."""
    modules = [("Transformer", ""), ("Pooling", str(Path(POOLING_FILE).parent))]
    if (folder / MODULES).is_file():
        modules = _modules(folder)
    kinds = [kind for kind, _ in modules]
    if kinds[:2] != ["Transformer", "Pooling"] or kinds[2:] not in ([], ["Normalize"]):
        raise NotALanguageModel(
            f"{folder}: {MODULES} has {', '.join(kinds) or 'nothing'} one behind the other.",
            "Taken are a Transformer, a Pooling, and a Normalize.",
        )
    config = read_object(folder / modules[1][1] / "config.json")
    asked = [name for name, on in config.items() if name.startswith("pooling_mode_") and on is True]
    return _MODES.get(", ".join(asked), ", ".join(asked) or "nothing"), len(kinds) > 2


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
