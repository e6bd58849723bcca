"""What can be asked of loading a model, beside its name, device and number format.

One table for the command line, Python, the engine and the docs: an option is a field of ``LoadOptions``, and
its words are a row of ``OPTIONS``. The libraries that some checkpoints need are listed here too, each with
the line that installs it.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from interpboard.errors import BadParameter

READING_WEIGHTS = 0.5  # of loading: by then nearly all is imported
ADAPTER_STATES = ("on", "off", "merged")
QUANTIZE = {
    "4bit": "nf4 in blocks of 64, by bitsandbytes",
    "8bit": "LLM.int8, inputs rounded to 8 bits too, by bitsandbytes",
    "int8": "a scale for each output, inputs as they are, by torchao",
}


POOLINGS = ("mean", "cls", "max")


@dataclass(frozen=True)
class LoadOptions:
    """How a model is opened; empty where nothing was asked. A result keeps it.

    ``revision``: a branch, tag or commit of the hub. ``subfolder``: of the folder or repository.
    ``gguf_file``: its name there. ``adapters``: folders or names on the hub, all at work together.
    ``adapter_state``: one of ``ADAPTER_STATES``. ``quantize``: one of ``QUANTIZE``. ``parts``: a TOML file
    that names the parts of a family that is not known. ``device_map``: auto, balanced, sequential, or JSON
    (a file, or itself) with a device for each module, ``disk`` among them; ``max_memory``:
    ``0=20GiB,cpu=48GiB``; ``offload_folder``: for what goes to disk and is not in safetensors. ``pooling``:
    one of ``POOLINGS``, how an encoder without a head makes one vector of its tokens'.
    """

    revision: str = ""
    subfolder: str = ""
    gguf_file: str = ""
    adapters: tuple[str, ...] = ()
    adapter_state: str = "on"
    quantize: str = ""
    parts: str = ""
    device_map: str = ""
    max_memory: str = ""
    offload_folder: str = ""
    pooling: str = ""


NOTHING_ASKED = LoadOptions()


def given(options: LoadOptions) -> dict[str, Any]:
    """What was asked for, as arguments of ``open_model``."""
    return {
        name: value
        for name, value in asdict(options).items()
        if value != getattr(NOTHING_ASKED, name)
    }


class Option(NamedTuple):
    """An option of the command line, for a field of ``LoadOptions``."""

    name: str
    flag: str
    metavar: str
    help: str
    choices: tuple[str, ...] = ()


OPTIONS = (
    Option(
        "revision", "--revision", "REV",
        "Branch, tag or commit of a model on the hub; the model can also be name@REV.",
    ),
    Option("subfolder", "--subfolder", "FOLDER", "Where in the folder or repository the model is."),
    Option("gguf_file", "--gguf-file", "FILE", "A GGUF file in it; its weights are unpacked."),
    Option(
        "adapters", "--adapter", "PATH",
        "An adapter of PEFT: a folder, or a name on the hub; may be repeated.",
    ),
    Option(
        "adapter_state", "--adapter-state", "STATE",
        "The adapters on, off, or merged into the weights.", ADAPTER_STATES,
    ),
    Option(
        "quantize", "--quantize", "FORMAT",
        "Pack the weights of linear maps while loading: 4bit, 8bit or int8.", tuple(QUANTIZE),
    ),
    Option(
        "parts", "--parts", "FILE", "A TOML file that names the parts of a family not known here."
    ),
    Option(
        "device_map", "--device-map", "MAP",
        "Divide the model over devices: auto, balanced, sequential, or a JSON file.",
    ),
    Option(
        "max_memory", "--max-memory", "SIZES", "With --device-map: e.g. 0=20GiB,cpu=48GiB.",
    ),
    Option(
        "offload_folder", "--offload-folder", "FOLDER",
        "With --device-map: for what goes to disk and is not in safetensors.",
    ),
    Option(
        "pooling", "--pooling", "HOW",
        "How an encoder without a head makes one vector of its tokens': mean, cls (the first token) or max; "
        "else as its 1_Pooling says, or mean.", POOLINGS,
    ),
)  # fmt: skip


def load_options(chosen: Mapping[str, Any]) -> LoadOptions:
    """What was chosen by name, None where an option was not given. Raises ``BadParameter``."""
    found: dict[str, Any] = {name: value for name, value in chosen.items() if value}
    for option in OPTIONS:
        value = found.get(option.name)
        if option.choices and value is not None and value not in option.choices:
            raise BadParameter(
                f"{option.flag} takes no {str(value)[:40]!r}.",
                f"It is {', '.join(option.choices)}.",
            )
    found["adapters"] = tuple(found.get("adapters", ()))
    return LoadOptions(**found)


def option_words(options: LoadOptions) -> list[str]:
    """``options`` in the words of a command line; empty where nothing was asked."""
    asked, found = given(options), list[str]()
    for option in OPTIONS:
        value = asked.get(option.name, ())
        for each in value if isinstance(value, tuple) else (value,):
            found += [option.flag, str(each)]
    return found


def read_option_words(line: str) -> tuple[list[str], LoadOptions]:
    """The words of ``line`` that are no option, and the options. Raises ``BadParameter``."""
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise BadParameter(f"{line[:40]!r} cannot be read: {error}.") from None
    flags = {option.flag: option for option in OPTIONS}
    bare: list[str] = []
    chosen: dict[str, Any] = {}
    rest = iter(words)
    for word in rest:
        flag, equals, value = word.partition("=")
        option = flags.get(flag)
        if option is None:
            if word.startswith("-"):
                known = ", ".join(flags)
                raise BadParameter(f"There is no option {word[:40]}.", f"There are: {known}.")
            bare.append(word)
            continue
        found = value if equals else next(rest, "")
        if not found or (not equals and found.startswith("--")):
            raise BadParameter(f"{flag} needs a value: {option.metavar}.")
        if option.name == "adapters":
            chosen.setdefault("adapters", []).append(found)
        elif option.name in chosen:
            raise BadParameter(f"{flag} is given twice.")
        else:
            chosen[option.name] = found
    return bare, load_options(chosen)


class Library(NamedTuple):
    """A library that some models need. ``packages``: as imported; ``on_cpu``: what is computed there."""

    extra: str
    packages: tuple[str, ...]
    opens: str
    on_cpu: str

    @property
    def pip(self) -> str:
        """The line that installs it."""
        return f"pip install 'interpboard[{self.extra}]'"


LIBRARIES = {
    library.extra: library
    for library in (
        Library("bitsandbytes", ("bitsandbytes", "accelerate"),
                "`--quantize 4bit` and `8bit`; checkpoints saved so", "packed"),
        Library("torchao", ("torchao", "accelerate"),
                "`--quantize int8`; checkpoints saved by torchao", "packed"),
        Library("adapters", ("peft",), "`--adapter`; adapter folders", "as they are"),
        Library("gguf", ("gguf", "accelerate"), "`--gguf-file`", "unpacked to the number format"),
        Library("fp8", ("accelerate",), "checkpoints in fp8", "unpacked to the number format"),
        Library("mxfp4", ("accelerate",), "checkpoints in MXFP4 (gpt-oss)", "unpacked to the number format"),
        Library("compressed-tensors", ("compressed_tensors", "accelerate"),
                "checkpoints of compressed-tensors", "unpacked to the number format"),
        Library("division", ("accelerate",), "`--device-map`", "as they are"),
        Library("gptq", ("gptqmodel", "optimum"), "checkpoints in GPTQ",
                "packed, multiplied in float16; the first model compiles a kernel, minutes"),
        Library("awq", ("gptqmodel", "accelerate"), "checkpoints in AWQ",
                "packed, multiplied in float16; the first model compiles a kernel, minutes"),
    )
}  # fmt: skip
# The method that a checkpoint names, and the library that reads it.
OF_METHOD = {
    "bitsandbytes": "bitsandbytes", "torchao": "torchao", "fp8": "fp8", "mxfp4": "mxfp4",
    "compressed-tensors": "compressed-tensors", "gptq": "gptq", "awq": "awq",
}  # fmt: skip
