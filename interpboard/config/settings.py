"""The settings, typed, from four places: defaults < configuration file < environment < flags.

``Settings`` is the one table: a field's default, its help and its limits are what ``interpboard
config show`` prints, what the file may hold, and what ``INTERPBOARD_<NAME>`` may say. A name that
is not there, or a value that is not allowed, raises ``BadConfig`` and says where it stands.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from interpboard.config.folders import config_file
from interpboard.errors import BadConfig
from interpboard.registry.metric_names import METRICS

ENVIRONMENT_PREFIX = "INTERPBOARD_"
DEFAULT_TEXT = "The Eiffel Tower is located in the city of"
# Variables that are no settings: where files are, and what shells and developers ask for.
_OTHER = frozenset({"CONFIG", "STATE", "DEBUG"})
COLOR_DEPTHS = ("auto", "truecolor", "256", "16", "none")


def _setting(default: Any, help: str, choices: tuple[str, ...] = (), least: int = 0) -> Any:
    about = {"help": help, "choices": choices, "least": least, "default": default}
    if isinstance(default, Mapping):
        return field(default_factory=lambda: default, metadata=about)
    return field(default=default, metadata=about)


@dataclass(frozen=True)
class Settings:
    """What a user may set. The type of a setting is that of its default."""

    model: str = _setting("demo", "demo, a folder with a model, or a name on the hub")
    device: str = _setting(
        "auto", "auto, cpu, cuda, cuda:1, mps; cuda:0,cuda:1: grids divided between them"
    )
    dtype: str = _setting("auto", "auto, float32, bfloat16, float16, float64")
    metric: str = _setting(
        "logit", "the number explained at the start", tuple(m for m in METRICS if m != "logit_diff")
    )
    special_tokens: bool = _setting(
        True, "put around texts what the tokenizer puts there: beginning and end of text"
    )
    color: str = _setting("auto", "how many colours the terminal has", COLOR_DEPTHS)
    theme: str = _setting("auto", "background of the terminal", ("auto", "dark", "light"))
    ascii: bool = _setting(False, "draw with ASCII characters only")
    mouse: bool = _setting(True, "let the mouse move cursors")
    batch_tokens: int = _setting(0, "most tokens the engine computes in one step; 0: by the device")
    memory_mib: int = _setting(
        0, "most MiB of memory that an analysis takes beside the model; 0: what is free"
    )
    export_folder: str = _setting("", "where exports go; empty: the current folder")
    model_folders: tuple[str, ...] = _setting(
        (), "folders in which the model picker looks, besides the current one and the hub's cache"
    )
    examples_file: str = _setting(
        "", "max-activating examples of the model's neurons, as max-activating writes them"
    )
    lens_folder: str = _setting(
        "", "translators of the model's tuned lens, as tune-lens writes them"
    )
    keep_runs: int = _setting(2000, "results kept in the store; the oldest go first", least=1)
    keys: Mapping[str, str] = _setting(
        MappingProxyType({}), "key bindings by the name of the command, e.g. zoom = 'Z'"
    )


class Configuration(NamedTuple):
    """Settings with the origin of each: ``default``, a file, a variable or a flag.

    ``key_origins`` says the same for each rebound command.
    """

    settings: Settings
    origins: Mapping[str, str]
    key_origins: Mapping[str, str]


class _Given(NamedTuple):
    """One value as somebody wrote it, and where."""

    name: str
    value: Any
    origin: str


def read_settings(
    flags: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    path: Path | None = None,
) -> Configuration:
    """The settings in force. ``flags``: by name of the setting; None means not given.

    Raises ``BadConfig`` for an unknown name (with the nearest known one), a wrong value, a damaged
    or unreadable file. No file is no error.
    """
    values: dict[str, Any] = {}
    origins = {setting.name: "default" for setting in fields(Settings)}
    keys: dict[str, str] = {}
    key_origins: dict[str, str] = {}
    sources = (
        _from_file(path if path is not None else config_file()),
        _from_environment(os.environ if environment is None else environment),
        _from_flags(flags or {}),
    )
    for given in (given for source in sources for given in source):
        value = _checked(given)
        origins[given.name] = given.origin
        if given.name == "keys":
            keys |= value
            key_origins |= dict.fromkeys(value, given.origin)
        else:
            values[given.name] = value
    settings = Settings(**values, keys=MappingProxyType(keys))
    return Configuration(settings, origins, key_origins)


def batch_limit() -> int:
    """``batch_tokens`` as the engine's process hears it, from its environment; 0: no limit."""
    return _number_heard("batch_tokens")


def memory_limit() -> int:
    """``memory_mib`` likewise, in bytes; 0: no limit."""
    return _number_heard("memory_mib") << 20


def _number_heard(name: str) -> int:
    variable = ENVIRONMENT_PREFIX + name.upper()
    text = os.environ.get(variable, "")
    number: int = _checked(_Given(name, _worded(name, text), variable)) if text else 0
    return number


def _from_file(path: Path) -> Iterator[_Given]:
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise BadConfig(f"Cannot read {path}: {error.strerror}.") from error
    import tomllib  # only where there is a file: it costs a start some milliseconds

    try:
        table = tomllib.loads(raw.decode("utf-8"))
    except RecursionError as error:
        raise BadConfig(f"{path} is nested too deeply.", "Correct it or move it away.") from error
    except ValueError as error:  # no TOML, no UTF-8, or a number of thousands of digits
        raise BadConfig(f"{path} is not TOML: {error}.", "Correct it or move it away.") from error
    for name, value in table.items():
        yield _Given(_known(name, str(path)), value, str(path))


def _from_environment(environment: Mapping[str, str]) -> Iterator[_Given]:
    for variable, text in sorted(environment.items()):
        name = variable.removeprefix(ENVIRONMENT_PREFIX)
        if not variable.startswith(ENVIRONMENT_PREFIX) or name in _OTHER:
            continue
        if not text:  # set to nothing is the shell's way to unset
            continue
        known = _known(name.lower(), variable, ENVIRONMENT_PREFIX)
        yield _Given(known, _worded(known, text), variable)


def _from_flags(flags: Mapping[str, Any]) -> Iterator[_Given]:
    for name, value in flags.items():
        if value is not None:
            flag = "no-" + name if value is False else name
            yield _Given(_known(name, "flags"), value, f"--{flag.replace('_', '-')}")


def _known(name: str, where: str, prefix: str = "") -> str:
    names = [setting.name for setting in fields(Settings)]
    if name in names:
        return name
    from difflib import get_close_matches

    near = get_close_matches(name, names, n=1)
    shown = [prefix + (known.upper() if prefix else known) for known in near or names]
    remedy = f"Did you mean {shown[0]}?" if near else f"There are: {', '.join(shown)}."
    what = (
        f"The variable {where} is no setting." if prefix else f"{where} sets an unknown {name!r}."
    )
    raise BadConfig(what, remedy)


def _worded(name: str, text: str) -> Any:
    """A variable's text in the form that the file has: lists by ``:``, keys by spaces."""
    default = _about(name)["default"]
    if isinstance(default, tuple):
        return [part for part in text.split(os.pathsep) if part]
    if isinstance(default, Mapping):
        pairs = (word.partition("=") for word in text.split())
        return {id: keys for id, _, keys in pairs}
    if isinstance(default, bool):
        words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
        return words.get(text.lower(), text)
    if isinstance(default, int):
        return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else text
    return text


def _about(name: str) -> Mapping[str, Any]:
    return next(setting.metadata for setting in fields(Settings) if setting.name == name)


def _checked(given: _Given) -> Any:
    """The value as its setting's type. Raises ``BadConfig``."""
    about, value = _about(given.name), given.value
    default, choices = about["default"], about["choices"]
    if isinstance(default, str) and type(value) is int:  # color = 256
        value = str(value)
    if isinstance(default, tuple) and isinstance(value, list):
        value = tuple(value)
    if isinstance(default, Mapping):
        good = isinstance(value, Mapping) and all(
            isinstance(keys, str) and keys for keys in value.values()
        )
        expected = "a table of commands and their keys"
    elif isinstance(default, tuple):
        good = isinstance(value, tuple) and all(isinstance(part, str) for part in value)
        expected = "a list of texts"
    elif type(default) is int:
        good = type(value) is int and value >= about["least"]
        expected = f"a whole number from {about['least']}"
    elif isinstance(default, bool):
        good, expected = isinstance(value, bool), "true or false"
    else:
        good = isinstance(value, str) and (not choices or value in choices)
        expected = f"one of {', '.join(choices)}" if choices else "text"
    if not good:
        shown = dict(value) if isinstance(value, Mapping) else value
        raise BadConfig(f"{given.origin}: {given.name} is {expected}, not {shown!r}.")
    return dict(value) if isinstance(default, Mapping) else value
