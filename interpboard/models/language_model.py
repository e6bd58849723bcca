"""A model ready to be looked into: modules found, self-check passed, sizes known."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import torch

from interpboard.errors import NotALanguageModel
from interpboard.files import fingerprint
from interpboard.models import demo
from interpboard.models.anatomy import Anatomy, find_anatomy
from interpboard.models.checkpoint.foreign import first_line
from interpboard.models.checkpoint.notes import loading_notes, was_loaded_here
from interpboard.models.encoder import check_encoder, encoder_anatomy, is_encoder
from interpboard.models.fingerprints import files_of, tokenizer_of, weights_of
from interpboard.models.finite_weights import NOT_LOOKED_AT, check_finite
from interpboard.models.load import StageReport, load_model_and_tokenizer
from interpboard.models.mode import evaluating
from interpboard.models.proof.selfcheck import ALONE, Verified, random_prompts, self_check
from interpboard.models.tail import forward_logits
from interpboard.models.unwrap import unwrapped, wrapper_notes
from interpboard.results import ModelInfo


@dataclass(frozen=True)
class LanguageModel:
    """What every analysis takes. Make it with ``open_model`` or ``LanguageModel.of``."""

    model: Any
    tokenizer: Any
    anatomy: Anatomy
    verified: Verified
    info: ModelInfo
    special_tokens: bool = True  # whether texts are given what the tokenizer puts around them

    @classmethod
    def of(
        cls,
        model: Any,
        tokenizer: Any,
        name: str | None = None,
        *,
        check_weights: bool = True,
        special_tokens: bool = True,
    ) -> LanguageModel:
        """Look into a loaded Hugging Face model. Raises ``NotALanguageModel`` if it cannot be.

        Taken, too, is what PEFT, torch.compile, DataParallel and DistributedDataParallel make of one.
        Every module is left in the mode it is in; analyses want evaluation mode (see ``evaluating``).
        ``check_weights``: look at every weight for NaN and infinity first. ``special_tokens``: whether
        texts are given the tokens that the tokenizer puts around them.
        """
        of_wrapper, model = wrapper_notes(model), unwrapped(model)
        called = name or str(getattr(model, "name_or_path", "") or type(model).__name__)
        notes = loading_notes(model)
        if check_weights:
            notes += tuple(n for n in check_finite(model, called) if n not in notes)
        elif not was_loaded_here(model):
            notes += (NOT_LOOKED_AT,)
        anatomy, verified = _proved(model)
        weight: torch.Tensor = anatomy.embedding.weight  # type: ignore[assignment]
        info = ModelInfo(
            name=called,
            revision=getattr(model.config, "_commit_hash", None),
            family=str(model.config.model_type),
            layers=anatomy.n_layers,
            heads=anatomy.n_heads,
            dtype=str(weight.dtype).removeprefix("torch."),
            device=str(weight.device),
            weights=weights_of(model),
            tokenizer=tokenizer_of(tokenizer),
            notes=(*notes, *of_wrapper, *((ALONE,) if verified.alone else ())),
            special_tokens=special_tokens,
        )
        return cls(model, tokenizer, anatomy, verified, info, special_tokens)

    @property
    def device(self) -> torch.device:
        """Where prompts go."""
        return self.anatomy.embedding.weight.device  # type: ignore[return-value]

    @cached_property
    def masked_tokens(self) -> torch.Tensor:
        """[d_vocab]: the tokens whose logit the model itself sets to −∞, whatever the prompt."""
        with torch.no_grad():
            rows = [forward_logits(self.anatomy, ids, -1) for ids in random_prompts(self.anatomy)]
            return (torch.cat(rows) == -torch.inf).all(0)

    def evaluating(self) -> AbstractContextManager[None]:
        """While open, the model is in evaluation mode; afterwards every module is as it was."""
        return evaluating(self.model)

    @property
    def parameters(self) -> int:
        """Number of parameters, shared ones counted once."""
        return sum(p.numel() for p in self.model.parameters())

    @property
    def memory_bytes(self) -> int:
        """Bytes that the parameters take."""
        return sum(p.numel() * p.element_size() for p in self.model.parameters())


def _proved(model: Any) -> tuple[Anatomy, Verified]:
    """The parts of ``model`` and what they proved. Raises ``NotALanguageModel``, also where a part is
    not what transformers' models have there."""
    encoder = is_encoder(model)
    try:
        anatomy = encoder_anatomy(model) if encoder else find_anatomy(model)
    except (
        AttributeError,
        TypeError,
        ValueError,
        KeyError,
        IndexError,
        NotImplementedError,
    ) as error:
        raise NotALanguageModel(
            f"{type(model).__name__} is not built like a language model of transformers "
            f"({first_line(error)})."
        ) from error
    with evaluating(model):
        verified = check_encoder(anatomy) if encoder else self_check(anatomy)
    return (replace(anatomy, alone=True) if verified.alone else anatomy), verified


def open_model(
    name_or_path: str | Path = "demo",
    device: str = "auto",
    dtype: str = "auto",
    *,
    trust_remote_code: bool = False,
    allow_pickle: bool = False,
    ignore_unused_weights: bool = False,
    check_weights: bool = True,
    special_tokens: bool = True,
    on_stage: StageReport | None = None,
) -> LanguageModel:
    """Load and check a model. Arguments and errors as in ``load_model_and_tokenizer``.

    ``special_tokens=False``: texts are not given the tokens that the tokenizer puts around them.
    """
    model, tokenizer = load_model_and_tokenizer(
        name_or_path,
        device,
        dtype,
        trust_remote_code=trust_remote_code,
        allow_pickle=allow_pickle,
        ignore_unused_weights=ignore_unused_weights,
        check_weights=check_weights,
        on_stage=on_stage,
    )
    if on_stage is not None:
        on_stage("self-check", 0.9)
    # The weights were looked at a moment ago, or were not to be.
    name = str(name_or_path)
    lm = LanguageModel.of(
        model, tokenizer, name, check_weights=False, special_tokens=special_tokens
    )
    source = demo.FOLDER if str(name_or_path) == "demo" else name_or_path
    weights = fingerprint.joined(files_of(model, source), lm.info.weights)
    return replace(lm, info=msgspec.structs.replace(lm.info, weights=weights))
