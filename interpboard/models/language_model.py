"""A model ready to be looked into: modules found, self-check passed, sizes known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import msgspec
import torch

from interpboard.errors import BadParameter, NotALanguageModel
from interpboard.files import fingerprint
from interpboard.models.allocator import (
    ask_for_huge_pages,
    give_back_large_blocks,
    keep_few_kernels,
)
from interpboard.models.anatomy import Anatomy, find_anatomy
from interpboard.models.as_opened import AsOpened
from interpboard.models.asked import adapter_names, mapped
from interpboard.models.caught_body import with_a_body
from interpboard.models.checkpoint.foreign import first_line
from interpboard.models.checkpoint.notes import loaded, was_loaded_here
from interpboard.models.classifier import classifier_anatomy, has_encoder_body, label_notes
from interpboard.models.division import device_of
from interpboard.models.encoder import check_encoder, encoder_anatomy, is_encoder
from interpboard.models.fingerprints import files_of, tokenizer_of, weights_of
from interpboard.models.finite_weights import NOT_LOOKED_AT, check_finite
from interpboard.models.label_head import is_classifier
from interpboard.models.load import StageReport, load
from interpboard.models.named_parts import Parts, read_parts, with_parts_explained
from interpboard.models.packed import bytes_of, numbers_in
from interpboard.models.proof.named import refuse_other_parts
from interpboard.models.proof.selfcheck import (
    ALONE,
    Verified,
    random_prompts,
    self_check,
    with_final_norm,
)
from interpboard.models.quantised import kernel_notes
from interpboard.models.segments import separator_of
from interpboard.models.sentence_encoder import (
    SentenceEncoder,
    pooling_notes,
    pooling_of,
    with_pooling,
)
from interpboard.models.training_mode import evaluating
from interpboard.models.two_strips.anatomy import find_strips
from interpboard.models.two_strips.kinds import reads_two_strips, refuse_labels
from interpboard.models.two_strips.proof import check_strips, strip_prompts
from interpboard.models.unembedding import forward_logits
from interpboard.models.unshared import unshared
from interpboard.models.unwrap import unwrapped, wrapper_notes
from interpboard.registry.loading import LoadOptions
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
        parts: str | Path | Mapping[str, Any] | None = None,
        pooling: str = "",
    ) -> LanguageModel:
        """Look into a loaded Hugging Face model. Raises ``NotALanguageModel`` if it cannot be.

        Taken, too, is what PEFT, torch.compile, DataParallel and DistributedDataParallel make of one.
        Every module is left in the mode it is in; analyses want evaluation mode (see ``evaluating``).
        ``check_weights``: look at every weight for NaN and infinity first. ``special_tokens``: whether
        texts are given the tokens that the tokenizer puts around them. ``parts``: names of the modules of a
        family that is not known, as a mapping or a TOML file (see ``named_parts``); also raises
        ``BadParameter``. ``pooling``: of an encoder without a head, ``mean``, ``cls`` or ``max``.
        """
        give_back_large_blocks()
        keep_few_kernels()
        of_wrapper, model = wrapper_notes(model), unwrapped(model)
        called = name or str(getattr(model, "name_or_path", "") or type(model).__name__)
        how = loaded(model)
        notes = how.notes
        if check_weights:
            notes += tuple(n for n in check_finite(model, called) if n not in notes)
        elif not was_loaded_here(model):
            notes += (NOT_LOOKED_AT,)
        notes += kernel_notes(model)
        named = read_parts(parts)
        options = replace(how.options, pooling=pooling or how.options.pooling)
        behind = with_pooling(unshared(model), how.folder, options.pooling)
        anatomy, verified = _proved(behind, named)
        head = anatomy.label_head
        if head is not None:
            anatomy = replace(anatomy, separator=separator_of(anatomy, tokenizer))
        weight: torch.Tensor = anatomy.embedding.weight  # type: ignore[assignment]
        info = ModelInfo(
            name=called,
            revision=getattr(model.config, "_commit_hash", None),
            family=str(model.config.model_type),
            layers=anatomy.n_layers,
            heads=anatomy.n_heads,
            dtype=str(weight.dtype).removeprefix("torch."),
            device=str(device_of(anatomy.embedding)),
            weights=weights_of(model),
            tokenizer=tokenizer_of(tokenizer),
            notes=(
                *notes,
                *of_wrapper,
                *((ALONE,) if verified.alone else ()),
                *label_notes(head),
                *pooling_notes(behind),
            ),
            special_tokens=special_tokens,
            quantization=how.quantization,
            adapters=how.adapters,
            options=options,
            layer_names=anatomy.strips.names if anatomy.strips is not None else (),
            parts={} if named is None else msgspec.to_builtins(named),
            label_names=() if head is None else head.labels,
            problem="" if head is None else head.problem,
            mask_token=_mask_of(model, tokenizer),
            pooling=pooling_of(behind),
        )
        looked_into = anatomy.model if anatomy.strips is None else model
        opened = AsOpened(looked_into, (anatomy.embedding,))
        anatomy = replace(anatomy, opened=opened)
        return cls(looked_into, tokenizer, anatomy, verified, info, special_tokens)

    @property
    def device(self) -> torch.device:
        """Where prompts go."""
        return device_of(self.anatomy.embedding)

    @cached_property
    def devices(self) -> tuple[torch.device, ...]:
        """Where its parts compute, each once; one but for a divided model."""
        parts = (self.anatomy.embedding, *self.anatomy.layers, self.anatomy.unembedding)
        return tuple(dict.fromkeys(map(device_of, parts)))

    @cached_property
    def masked_tokens(self) -> torch.Tensor:
        """[d_vocab]: the tokens whose logit the model itself sets to −∞, whatever the prompt."""
        with torch.no_grad():
            two = self.anatomy.strips is not None
            prompts = strip_prompts(self.anatomy) if two else random_prompts(self.anatomy)
            rows = [forward_logits(self.anatomy, ids, -1) for ids in prompts]
            return (torch.cat(rows) == -torch.inf).all(0)

    def evaluating(self) -> AbstractContextManager[None]:
        """While open, the model is in evaluation mode; afterwards every module is as it was."""
        return evaluating(self.model)

    @property
    def parameters(self) -> int:
        """Number of parameters, shared ones counted once."""
        return sum(numbers_in(p) for p in self.model.parameters())

    @property
    def memory_bytes(self) -> int:
        """Bytes that the parameters take."""
        return bytes_of(self.model)


def _mask_of(model: Any, tokenizer: Any) -> str:
    """How a mask is written, of a model that fills them in."""
    return str(getattr(tokenizer, "mask_token", None) or "[MASK]") if is_encoder(model) else ""


def _proved(model: Any, named: Parts | None) -> tuple[Anatomy, Verified]:
    """The parts of ``model`` and what they proved. Raises ``NotALanguageModel``, also where a part is
    not what transformers' models have there."""
    classifies = is_classifier(model) or isinstance(model, SentenceEncoder)
    encoder = has_encoder_body(model) if classifies else is_encoder(model)
    two = reads_two_strips(model.config)
    find = encoder_anatomy if encoder else partial(find_anatomy, parts=named)
    if named is not None and (two or encoder):
        raise BadParameter(
            f"Parts of an encoder{'–decoder' * two} cannot be named: they are found as it runs.",
            "Leave --parts out.",
        )
    try:
        if two:
            refuse_labels(model.config, type(model).__name__, classifies)
            with evaluating(model):
                anatomy = find_strips(model)
        else:
            anatomy = classifier_anatomy(model, find) if classifies else find(model)
            if not (classifies or encoder):
                with evaluating(model):
                    anatomy = with_a_body(anatomy)
    except NotALanguageModel as error:
        raise with_parts_explained(error, model) from error
    except (
        AttributeError,
        TypeError,
        ValueError,
        KeyError,
        IndexError,
        NotImplementedError,
    ) as error:
        told = NotALanguageModel(
            f"{type(model).__name__} is not built like a language model of transformers "
            f"({first_line(error)})."
        )
        raise with_parts_explained(told, model) from error
    if two:
        with evaluating(model):
            return anatomy, check_strips(anatomy)
    with evaluating(model):
        if named is not None:
            refuse_other_parts(anatomy, named)
        verified = check_encoder(anatomy) if encoder else self_check(anatomy)
        if not verified.lens and anatomy.final_norms:
            fitting = with_final_norm(anatomy)
            if fitting is not anatomy:
                anatomy, verified = fitting, self_check(fitting)
    return (replace(anatomy, alone=True) if verified.alone else anatomy), verified


def open_model(
    name_or_path: str | Path = "demo",
    device: str = "auto",
    dtype: str = "auto",
    *,
    trust_remote_code: bool = False,
    revision: str = "",
    subfolder: str = "",
    gguf_file: str = "",
    adapters: str | Path | Sequence[str | Path] = (),
    adapter_state: str = "on",
    quantize: str = "",
    parts: str | Path | Mapping[str, Any] | None = None,
    device_map: str | Mapping[str, Any] | None = None,
    max_memory: str = "",
    offload_folder: str = "",
    pooling: str = "",
    allow_pickle: bool = False,
    ignore_unused_weights: bool = False,
    check_weights: bool = True,
    special_tokens: bool = True,
    on_stage: StageReport | None = None,
) -> LanguageModel:
    """Load and check a model. Arguments and errors as in ``load_model_and_tokenizer``.

    ``special_tokens=False``: texts are not given the tokens that the tokenizer puts around them. ``parts``:
    names of the modules of a family that is not known, as a mapping or a TOML file; see ``LanguageModel.of``.
    """
    ask_for_huge_pages()
    read_parts(parts)  # before anything large is read
    say = on_stage or (lambda _stage, _fraction: None)
    asked = LoadOptions(
        revision, subfolder, gguf_file, adapter_names(adapters), adapter_state, quantize,
        "" if isinstance(parts, Mapping) else str(parts or ""),
        mapped(device_map), max_memory, offload_folder, pooling,
    )  # fmt: skip
    model, tokenizer = load(
        str(name_or_path), device, dtype, trust_remote_code, asked, allow_pickle,
        ignore_unused_weights, check_weights, say,
    )  # fmt: skip
    say("self-check", 0.9)
    how = loaded(model)
    # The weights were looked at a moment ago, or were not to be.
    lm = LanguageModel.of(
        model,
        tokenizer,
        how.called,
        check_weights=False,
        special_tokens=special_tokens,
        parts=parts,
    )
    files = files_of(model, how.folder) if how.folder is not None and how.is_its_files else ""
    weights = fingerprint.joined(files, lm.info.weights)
    return replace(lm, info=msgspec.structs.replace(lm.info, weights=weights))
