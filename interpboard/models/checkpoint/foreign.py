"""The three calls into transformers (configuration, tokenizer, weights), wrapped once.

Whatever they raise becomes one of our errors, with what is wrong in the user's words: a damaged folder is
the user's to mend, and no fault of this program.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from interpboard.errors import (
    BadDevice,
    InterpBoardError,
    NotALanguageModel,
    OutOfMemory,
    UnsafeWeights,
)
from interpboard.files.json_object import read_object
from interpboard.models.memory import out_of_memory

_SETTINGS = "tokenizer_config.json"
_OBJECTS = (
    "tokenizer.json", _SETTINGS, "special_tokens_map.json", "added_tokens.json", "vocab.json",
    "generation_config.json",
)  # fmt: skip
_KINDS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "tokenizer_class": (str, "the name of a class"),
    "model_max_length": ((int, float), "a number"),
    "added_tokens_decoder": (dict, "an object"),
    "auto_map": ((dict, list), "an object"),
    "bos_token": ((str, dict), "a text"),
    "eos_token": ((str, dict), "a text"),
}
_AT_MOST = 300  # characters of what a library says


@contextmanager
def foreign(what: str, source: str, folder: Path, remedy: str = "") -> Iterator[None]:
    """Around a call that reads ``what`` (configuration, tokenizer, weights) of ``source`` from ``folder``.

    ``remedy``: what to do where nothing better is known of what went wrong.

    Raises ``UnknownModel`` for a file in it that was not downloaded, and ``NotALanguageModel``,
    ``UnsafeWeights``, ``BadDevice`` or ``OutOfMemory`` in place of anything foreign.
    """
    try:
        yield
    except InterpBoardError:
        raise
    except BaseException as error:
        # A panic of Rust code (tokenizers, safetensors) is no Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        refuse_damaged_json(folder)
        raise _named(what, source, error, remedy) from error


def refuse_damaged_json(folder: Path) -> None:
    """Raise for the first of the small files in ``folder`` that is not what it should be.

    Looked at only after something failed: a sound tokenizer need not be read twice.
    """
    for name in _OBJECTS:
        if (folder / name).is_file():
            found = read_object(folder / name)
            for key, (kinds, called) in _KINDS.items() if name == _SETTINGS else ():
                if found.get(key) is not None and not isinstance(found[key], kinds):
                    shown = repr(found[key])[:60]
                    raise NotALanguageModel(f"{folder / name}: {key} is {shown}, not {called}.")


def _named(what: str, source: str, error: BaseException, remedy: str) -> InterpBoardError:
    text = " ".join(str(e) for e in chain(error))
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and out_of_memory(error)):
        return OutOfMemory(
            f"Memory ran out over the {what} of {source}.", "Choose a smaller model."
        )
    if "trust_remote_code" in text:
        whose = "" if what == "configuration" else f"The {what} of "
        return UnsafeWeights(
            f"{whose}{source} wants to run code of its own.",
            "If you trust it: --trust-remote-code.",
        )
    if isinstance(error, ImportError) or ("requires the" in text and "library" in text):
        return BadDevice(f"{source}: {first_line(error)}.", "Install what it names.")
    if "Unrecognized configuration class" in text or "Unrecognized model" in text:
        return NotALanguageModel(
            f"{source} is not a causal language model that transformers knows.",
            "Choose a decoder model, or upgrade transformers.",
        )
    if what == "tokenizer":
        return NotALanguageModel(
            f"The folder {source} holds no tokenizer that loads ({first_line(error)}).",
            "Save one there with tokenizer.save_pretrained.",
        )
    usual = "Correct its config.json." if what == "configuration" else "Is the folder damaged?"
    return NotALanguageModel(
        f"The {what} of {source} cannot be used: {first_line(error)}.", remedy or usual
    )


def chain(error: BaseException | None) -> list[BaseException]:
    """``error`` and what it was raised from."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def first_line(error: BaseException) -> str:
    """What ``error`` says, on one line of bounded length, without a full stop."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    if len(lines) > 1 and (lines[0].endswith(":") or len(lines[0]) < 60):
        text = f"{lines[0]} {lines[1]}"
    if type(error).__name__ == "KeyError":
        text = f"it names {text}, which transformers does not know"
    elif type(error).__name__ in ("TypeError", "AttributeError", "RecursionError"):
        text = f"{type(error).__name__}, {text}"
    return text[:_AT_MOST].rstrip(".: ")
