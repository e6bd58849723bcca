"""Loading any language model: the demo, a local folder, a GGUF file, or a name on the model hub.

A folder is read in the order of what can be wrong with it: its configuration, the headers of its weights,
its tokenizer, then the names and shapes that the configuration asks for beside those in the files, and
only then the weights themselves; adapters are put on at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
)

from interpboard.errors import BadParameter, NotALanguageModel
from interpboard.models.asked import adapter_names, check_options, mapped, refuse_on_disk
from interpboard.models.checkpoint import compressed
from interpboard.models.checkpoint.adapter import attach
from interpboard.models.checkpoint.config_file import read_config
from interpboard.models.checkpoint.foreign import foreign
from interpboard.models.checkpoint.gguf_file import GgufFile
from interpboard.models.checkpoint.notes import Loaded, remember
from interpboard.models.checkpoint.packed_proof import (
    holds_packed,
    prove_packed,
    prove_unpacked,
    refuse_whole,
)
from interpboard.models.checkpoint.source import Source, find_source
from interpboard.models.checkpoint.steps import Checkpoint
from interpboard.models.checkpoint.tokenizer import own_code_note, read_tokenizer
from interpboard.models.classifier import label_class
from interpboard.models.division import (
    ANOTHER_MAP,
    division,
    division_note,
    refuse_other_modules,
)
from interpboard.models.encoder import predicts_masked_tokens
from interpboard.models.finite_weights import NOT_LOOKED_AT, check_finite
from interpboard.models.mixtures import one_by_one
from interpboard.models.named_class import named_class
from interpboard.models.placement import choose_device, choose_dtype, move, narrow_dtype
from interpboard.models.quantised import (
    method_of,
    packing,
    quantisation_of,
    without_rounding_kernels,
)
from interpboard.models.sentence_encoder import refuse_pooling, takes_pooling
from interpboard.models.two_strips.kinds import (
    reads_two_strips,
    refuse_labels,
    refuse_other_inputs,
)
from interpboard.registry.loading import READING_WEIGHTS, LoadOptions

StageReport = Callable[[str, float], None]


def load_model_and_tokenizer(
    name_or_path: str | Path = "demo",
    device: str = "auto",
    dtype: str = "auto",
    device_map: str | dict[str, Any] | None = None,
    trust_remote_code: bool = False,
    *,
    revision: str = "",
    subfolder: str = "",
    gguf_file: str = "",
    adapters: str | Path | Sequence[str | Path] = (),
    adapter_state: str = "on",
    quantize: str = "",
    max_memory: str = "",
    offload_folder: str = "",
    pooling: str = "",
    allow_pickle: bool = False,
    ignore_unused_weights: bool = False,
    check_weights: bool = True,
    on_stage: StageReport | None = None,
) -> tuple[Any, Any]:
    """A Hugging Face language model, in evaluation mode, and its fast tokenizer.

    A causal one, or an encoder that predicts masked tokens (BERT), for attribution only.

    ``name_or_path``: ``"demo"``, a folder that ``save_pretrained`` wrote, a GGUF file, a folder with an
    adapter of PEFT (its base is opened, with it), or a name on the hub, ``owner/name`` or
    ``owner/name@revision``, which is fetched only if the hub's cache lacks something of it.
    ``device``: ``auto`` (cuda, else mps, else cpu) or a torch device. ``dtype``: ``auto`` (bfloat16
    on a GPU that has it; else float32, or the checkpoint's own where that would not fit comfortably in
    memory) or one of float64, float32, float16, bfloat16. ``device_map``
    divides a model over devices, as in transformers (needs accelerate): ``auto``, ``balanced``,
    ``sequential``, or a device for each module; ``device`` is then ignored. ``max_memory``,
    ``offload_folder``: see ``LoadOptions``.
    ``revision``: a branch, tag or commit of the hub. ``subfolder``, ``gguf_file``: in the folder or
    repository. ``adapters``: one or several, folders or names on the hub, all at work together;
    ``adapter_state``: ``on``, ``off`` or ``merged`` into the weights. ``quantize``: pack linear maps while
    loading: ``4bit``, ``8bit``, ``int8``. ``pooling``: of a bare encoder, ``mean``, ``cls`` or ``max``.
    Weights must be safetensors unless ``allow_pickle``: a pickle can run code.
    Every tensor of the files must have its place in the model; ``ignore_unused_weights`` goes on without
    those that have none, and results then say so. ``check_weights``: every weight is looked at for NaN and
    infinity. ``on_stage(words, fraction)`` hears how far it is.

    Raises ``UnknownModel``, ``NotALanguageModel``, ``UnsafeWeights``, ``BadAdapter``, ``BadDevice``,
    ``BadParameter``, ``MissingPackage`` or ``OutOfMemory``.
    """
    options = LoadOptions(
        revision,
        subfolder,
        gguf_file,
        adapter_names(adapters),
        adapter_state,
        quantize,
        device_map=mapped(device_map),
        max_memory=max_memory,
        offload_folder=offload_folder,
        pooling=pooling,
    )
    return load(
        str(name_or_path), device, dtype, trust_remote_code, options, allow_pickle,
        ignore_unused_weights, check_weights, on_stage or (lambda _stage, _fraction: None),
    )  # fmt: skip


def load(
    name: str,
    device: str,
    dtype: str,
    trust: bool,
    options: LoadOptions,
    allow_pickle: bool,
    ignore_unused: bool,
    check_weights: bool,
    say: StageReport,
) -> tuple[Any, Any]:
    """The same, with what was asked in one; what was found is kept beside the model (``notes.loaded``)."""
    check_options(options)
    source = find_source(
        name, options, allow_pickle=allow_pickle, own_code=trust, say=lambda s: say(s, 0.2)
    )
    options = source.options
    if options.adapter_state != "on" and not options.adapters:
        raise BadParameter(
            f"There is no adapter to be {options.adapter_state}.", "Name one with --adapter."
        )
    chosen_device = choose_device(device)
    chosen_dtype = choose_dtype(dtype, chosen_device)
    say("reading configuration", 0.3)
    gguf = GgufFile(source.gguf, source.name) if source.gguf else None
    raw = read_config(source.folder, options.pooling) if gguf is None else {}
    config = _config(source, trust)
    kind = _kind(source, config)
    refuse_pooling(options.pooling, kind is AutoModel, source.name)
    if gguf is None:
        checkpoint = Checkpoint.read(source.folder, source.name, raw, allow_pickle=allow_pickle)
    else:
        checkpoint = Checkpoint(source.folder, source.name, raw, {})
    note = ""
    if dtype == "auto" and not options.quantize:
        chosen_dtype, note = narrow_dtype(
            chosen_dtype, chosen_device, gguf.numbers if gguf else checkpoint.numbers
        )
    packs = packing(options.quantize, raw, chosen_dtype, source.name)
    if method_of(raw) == compressed.METHOD:
        compressed.refuse_unreadable(raw, source.name)
    say("loading tokenizer", 0.4)
    tokenizer = read_tokenizer(source, trust)
    say("comparing configuration and weights", 0.45)
    checkpoint.compare(kind, config, chosen_dtype, trust, ignore_unused)
    say("loading weights", READING_WEIGHTS)
    divided = division(options.device_map, options.max_memory, options.offload_folder)
    placed = partial(
        refuse_on_disk, options=options, method=method_of(raw), name=source.name,
        pickled=gguf is None and not checkpoint.tensors,
    )  # fmt: skip
    placed(divided.get("device_map"))
    in_place = not divided and (packs is not None or bool(method_of(raw)))
    remedy = ANOTHER_MAP if divided else ""
    if in_place:
        divided = {"device_map": {"": str(chosen_device)}}
    with foreign("weights", source.name, source.folder, remedy):
        model, report = kind.from_pretrained(
            str(source.folder),
            config=config,
            dtype=chosen_dtype,
            trust_remote_code=trust,
            output_loading_info=True,
            **divided,
            **_how(packs, source, allow_pickle),
        )
    placed(getattr(model, "hf_device_map", None))
    refuse_other_modules(model, divided.get("device_map"))
    notes = (note, *checkpoint.check_loaded(model, report, ignore_unused))
    notes += tuple(filter(None, (one_by_one(model, chosen_dtype),)))
    without_rounding_kernels(model)
    if method_of(raw) == compressed.METHOD:
        notes += compressed.unpack_maps(model, raw)
        notes += compressed.prove_unpacked_by_files(model, checkpoint.tensors, source.name)
    whole = bool(checkpoint.tensors) and not holds_packed(checkpoint.tensors)
    packed, packing_notes = quantisation_of(model, options.quantize, raw, source.name, whole)
    if options.quantize:
        notes += prove_packed(model, checkpoint.tensors, options.quantize, source.name)
    refuse_whole(model, source.name)
    prove_unpacked(model, source.name)
    if gguf is not None:
        gguf.check_loaded(model)
        packed, packing_notes = gguf.said(chosen_dtype)
    notes += packing_notes
    model.config._commit_hash = source.options.revision or source.commit
    model.name_or_path = model.config.name_or_path = source.name  # not the folder of the cache
    notes += (division_note(model),)
    if not divided:
        say(f"moving to {chosen_device}", 0.8)
        model = move(model, chosen_device)
    infos: tuple[Any, ...] = ()
    if options.adapters:
        model, infos, adapter_notes = attach(
            model, tokenizer, source, allow_pickle=allow_pickle, say=lambda s: say(s, 0.82)
        )
        notes += adapter_notes
    model.eval()
    if check_weights:
        say("looking at every weight", 0.85)
        notes += check_finite(model, source.name)
    else:
        notes += (NOT_LOOKED_AT,)
    notes = (*source.notes, own_code_note(source, trust), *notes)
    remember(
        model,
        Loaded(
            tuple(dict.fromkeys(note for note in notes if note)),
            source.called, source.folder, options, packed, infos,
        ),
    )  # fmt: skip
    return model, tokenizer


def _how(packs: Any, source: Source, allow_pickle: bool) -> dict[str, Any]:
    """What transformers is told of how to load weights, where that is not the usual."""
    options: dict[str, Any] = {}
    if packs is not None:
        options["quantization_config"] = packs
    if source.gguf is not None:
        from transformers import GgufConfig

        # Packed blocks need kernels from the network.
        unpack = GgufConfig(dequantize=True)
        return {**options, **source.gguf_argument, "quantization_config": unpack}
    if not allow_pickle:
        options["use_safetensors"] = True
    return options


def _config(source: Source, trust: bool) -> Any:
    with foreign("configuration", source.name, source.folder):
        config = AutoConfig.from_pretrained(
            str(source.folder), trust_remote_code=trust, **source.gguf_argument
        )
        for part in {id(c): c for c in (config, config.get_text_config())}.values():
            part.return_dict = True  # how a model hands its logits over, not what they are
    return config


def _kind(source: Source, config: Any) -> Any:
    """The family of classes that opens ``config``: a text model within one of images by that one, whose text
    part runs by itself."""
    gives_labels = label_class(config)
    if reads_two_strips(config):
        refuse_other_inputs(config, source.name)
        refuse_labels(config, source.name, gives_labels is not None)
        if type(config) not in MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING:
            raise NotALanguageModel(
                f"{source.name} is no encoder–decoder that transformers knows ({config.model_type}).",
                "Choose T5, BART or Marian, or upgrade transformers.",
            )
        return AutoModelForSeq2SeqLM
    if gives_labels is not None:
        return gives_labels
    if takes_pooling(source.folder, config.to_dict(), source.options.pooling):
        return AutoModel
    fills_masks = predicts_masked_tokens(config) or (
        # Heads of an older name (flaubert).
        type(config) in MODEL_FOR_MASKED_LM_MAPPING
        and type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING
    )
    known = MODEL_FOR_MASKED_LM_MAPPING if fills_masks else MODEL_FOR_CAUSAL_LM_MAPPING
    within = type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING and type(config) not in known
    if within and config.get_text_config() is not config:
        return AutoModelForImageTextToText
    senses = {"audio_config": "sound", "vision_config": "images"}
    read = [what for part, what in senses.items() if getattr(config, part, None) is not None]
    if type(config) not in known and read:
        raise NotALanguageModel(
            f"{source.name} reads {' and '.join(read)} ({config.model_type}), and transformers opens no "
            "model of text alone in it.",
            "Choose a model of text.",
        )
    if type(config) not in known and not getattr(config, "auto_map", None):
        return named_class(config, source.name)
    return AutoModelForMaskedLM if fills_masks else AutoModelForCausalLM
