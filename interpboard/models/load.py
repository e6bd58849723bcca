"""Loading any language model: the demo, a local folder, or a name on the model hub."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

from interpboard.errors import BadDevice, NotALanguageModel, UnknownModel, UnsafeWeights
from interpboard.models import demo
from interpboard.models.encoder import predicts_masked_tokens
from interpboard.models.memory import out_of_memory

DTYPES = {
    "float64": torch.float64, "fp64": torch.float64,
    "float32": torch.float32, "fp32": torch.float32,
    "float16": torch.float16, "fp16": torch.float16,
    "bfloat16": torch.bfloat16, "bf16": torch.bfloat16,
}  # fmt: skip
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")

Stage = Callable[[str, float], None]


def load_model_and_tokenizer(
    name_or_path: str | Path = "demo",
    device: str = "auto",
    dtype: str = "auto",
    device_map: str | dict[str, Any] | None = None,
    trust_remote_code: bool = False,
    *,
    allow_pickle: bool = False,
    on_stage: Stage | None = None,
) -> tuple[Any, Any]:
    """A Hugging Face language model, in evaluation mode, and its fast tokenizer.

    A causal one, or an encoder that predicts masked tokens (BERT), for attribution only.

    ``name_or_path``: ``"demo"``, a folder that ``save_pretrained`` wrote, or a name on the hub.
    ``device``: ``auto`` (cuda, else mps, else cpu) or a torch device. ``dtype``: ``auto`` (bfloat16
    on a GPU that has it, else float32) or one of float64, float32, float16, bfloat16. ``device_map``
    spreads a model over devices, as in transformers (needs accelerate); ``device`` is then ignored.
    Weights must be safetensors unless ``allow_pickle``: a pickle can run code.
    ``on_stage(words, fraction)`` hears how far it is.

    Raises ``UnknownModel``, ``NotALanguageModel``, ``UnsafeWeights`` or ``BadDevice``.
    """
    say = on_stage or (lambda _stage, _fraction: None)
    source, where = _source(str(name_or_path))
    chosen_device = choose_device(device)
    chosen_dtype = choose_dtype(dtype, chosen_device)
    say("reading configuration", 0.3)
    config = _config(source, where, trust_remote_code)
    if not allow_pickle and where != "hub":
        _require_safetensors(Path(source))
    say("loading tokenizer", 0.4)
    tokenizer = _tokenizer(source, where, trust_remote_code)
    say("loading weights", 0.5)
    options: dict[str, Any] = {"device_map": device_map} if device_map is not None else {}
    if not allow_pickle:
        options["use_safetensors"] = True
    try:
        kind = AutoModelForMaskedLM if predicts_masked_tokens(config) else AutoModelForCausalLM
        model, loading = kind.from_pretrained(
            source,
            config=config,
            dtype=chosen_dtype,
            trust_remote_code=trust_remote_code,
            output_loading_info=True,
            **options,
        )
    except (OSError, ValueError, ImportError, RuntimeError, SafetensorError) as error:
        raise _why_not_loaded(source, where, error) from error
    _refuse_random_weights(source, loading["missing_keys"])
    if device_map is None:
        say(f"moving to {chosen_device}", 0.8)
        model = _move(model, chosen_device)
    model.eval()
    return model, tokenizer


def choose_device(device: str) -> torch.device:
    """``auto`` or a device by name, checked to exist. Raises ``BadDevice``."""
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise BadDevice(f"No device is called {device!r}.", "Use auto, cpu, cuda or mps.") from None
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise BadDevice(
            f"This machine has {torch.cuda.device_count()} CUDA devices, {device!r} is not there.",
            "Use --device cpu.",
        )
    if chosen.type == "mps" and not torch.backends.mps.is_available():
        raise BadDevice("This machine has no MPS device.", "Use --device cpu.")
    if chosen.type not in ("cpu", "cuda", "mps"):
        raise BadDevice(f"Device {device!r} is not supported.", "Use auto, cpu, cuda or mps.")
    return chosen


def choose_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """``auto`` or a number format by name. Raises ``BadDevice``."""
    if dtype == "auto":
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported()
        return torch.bfloat16 if fast else torch.float32
    name = dtype.removeprefix("torch.")
    if name not in DTYPES:
        raise BadDevice(
            f"No number format is called {dtype!r}.", "Use auto, float32, bfloat16 or float16."
        )
    if device.type == "mps" and name in ("float64", "fp64"):
        raise BadDevice("MPS has no float64.", "Use --device cpu for it.")
    return DTYPES[name]


def _source(name: str) -> tuple[str, str]:
    if name == "demo":
        return str(demo.FOLDER), "demo"
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise NotALanguageModel(
                f"The folder {name} holds no config.json.",
                "Give a folder saved by save_pretrained.",
            )
        return str(path), "folder"
    if path.is_file():
        raise UnknownModel(f"{name} is a file.", "Give the folder that holds config.json.")
    if name.startswith(("/", ".", "~")) or name.count("/") > 1:
        raise UnknownModel(f"There is no folder {name}.", "Check the path.")
    if not _HUB_NAME.fullmatch(name):
        raise UnknownModel(f"{name!r} is no model name.", "Use demo, a folder, or owner/name.")
    return name, "hub"


def _config(source: str, where: str, trust: bool) -> Any:
    try:
        config = AutoConfig.from_pretrained(source, trust_remote_code=trust)
    except (OSError, ValueError, KeyError) as error:
        raise _why_not_loaded(source, where, error) from error
    if getattr(config, "is_encoder_decoder", False):
        raise NotALanguageModel(
            f"{source} is an encoder-decoder ({config.model_type}).", "Choose a decoder-only model."
        )
    return config


def _tokenizer(source: str, where: str, trust: bool) -> Any:
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=trust)
    except (OSError, ValueError, ImportError, KeyError, TypeError) as error:
        if where == "hub":
            raise _why_not_loaded(source, where, error) from error
        raise NotALanguageModel(
            f"The folder {source} holds no tokenizer that loads ({_first_line(error)}).",
            "Save one there with tokenizer.save_pretrained.",
        ) from error
    if not tokenizer.is_fast:
        raise NotALanguageModel(
            f"{source} has no fast tokenizer.", "It needs a tokenizer.json beside its weights."
        )
    # With no files to read, some tokenizer classes come up empty instead of failing.
    if not tokenizer("a", add_special_tokens=False)["input_ids"]:
        raise NotALanguageModel(
            f"{source} holds no tokenizer: what loads has {len(tokenizer)} tokens and reads nothing.",
            "Save one there with tokenizer.save_pretrained.",
        )
    return tokenizer


def _require_safetensors(folder: Path) -> None:
    if any(folder.glob("*.safetensors")):
        return
    if any(folder.glob("*.bin")) or any(folder.glob("*.pt")) or any(folder.glob("*.pth")):
        raise UnsafeWeights(
            f"The weights in {folder} are not safetensors; loading a pickle can run code.",
            "Convert them, or allow it with --allow-pickle.",
        )
    raise UnknownModel(f"The folder {folder} holds no weights.", "It needs model.safetensors.")


def _refuse_random_weights(source: str, missing: Collection[str]) -> None:
    # transformers fills what a checkpoint lacks with random numbers, and only logs it.
    if missing:
        some = ", ".join(sorted(missing)[:3]) + (" …" if len(missing) > 3 else "")
        raise NotALanguageModel(
            f"{source} lacks {len(missing)} of the weights a language model needs ({some}).",
            "Is it a model without its head, or of another kind?",
        )


def _move(model: Any, device: torch.device) -> Any:
    try:
        return model.to(device)
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        needed = sum(p.numel() * p.element_size() for p in model.parameters()) / 2**30
        free = torch.cuda.mem_get_info(device)[0] / 2**30 if device.type == "cuda" else 0.0
        raise BadDevice(
            f"The model needs {needed:.1f} GiB, {device} has {free:.1f} GiB free.",
            "Use --dtype bfloat16, another device, or device_map='auto'.",
        ) from error


def _why_not_loaded(source: str, where: str, error: Exception) -> Exception:
    """The error in the user's words, from what transformers and the hub raise."""
    text = " ".join(str(e) for e in _chain(error))
    names = {type(e).__name__ for e in _chain(error)}
    if "trust_remote_code" in text:
        return UnsafeWeights(
            f"{source} wants to run code of its own.", "If you trust it: --trust-remote-code."
        )
    if "requires the" in text and "library" in text:
        return BadDevice(_first_line(error))
    if "Unrecognized configuration class" in text or "Unrecognized model" in text:
        return NotALanguageModel(
            f"{source} is not a causal language model that transformers knows.",
            "Choose a decoder model, or upgrade transformers.",
        )
    if where == "hub":
        if "GatedRepoError" in names:
            return UnknownModel(
                f"{source} is gated on the hub.",
                "Accept its licence there and log in with `hf auth login`.",
            )
        if names & {"RepositoryNotFoundError", "RemoteEntryNotFoundError", "EntryNotFoundError"}:
            return UnknownModel(
                f"The hub has no model {source} with the files needed.",
                "Check the name (owner/name), or log in if it is private.",
            )
        if "safetensors" in text and "does not appear to have a file named" in text:
            return UnsafeWeights(
                f"{source} has no safetensors weights; loading a pickle can run code.",
                "Allow it with --allow-pickle.",
            )
        return UnknownModel(
            f"{source} is no folder here and could not be fetched from the model hub "
            f"({_first_line(error)}).",
            "Check the name and the network, or give a local folder; demo needs neither.",
        )
    return NotALanguageModel(f"{source} could not be loaded: {_first_line(error)}.")


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".:") if lines else type(error).__name__
