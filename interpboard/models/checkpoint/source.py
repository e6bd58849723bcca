"""Where a model is: the demo, a folder, a GGUF file, a name on the hub at a revision, or an adapter's base.

What is asked of the wrong kind of place (the revision of a folder, a folder inside the demo) is refused: it
would be ignored without a word.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from interpboard.errors import BadParameter, NotALanguageModel, UnknownModel
from interpboard.files.json_object import read_object
from interpboard.files.places import expanded
from interpboard.models.checkpoint import hub
from interpboard.models.checkpoint.account import refuse_adapter
from interpboard.models.checkpoint.config_file import CONFIG
from interpboard.models.demo import DEMO_FOLDER
from interpboard.models.demo.chat import CHAT_FOLDER
from interpboard.models.demo.masked import MASKED_FOLDER
from interpboard.models.demo.restating import T5_FOLDER
from interpboard.registry.loading import LoadOptions

_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
_NAME_AT_MOST = 255  # characters of a file's name, and more than the hub allows
_TOKENIZERS = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json")
_GGUF = ".gguf"

BUILT_IN = {
    "demo": DEMO_FOLDER,
    "demo-chat": CHAT_FOLDER,
    "demo-t5": T5_FOLDER,
    "demo-bert": MASKED_FOLDER,
}
"""The models that come with the program, by the names that open them."""


class Source(NamedTuple):
    """A folder to load, what to call it, and a note on how it was found, empty if there is none.

    ``called``: its name for a user, without revision. ``tokenizer``: the folder of the tokenizer.
    ``options``: what was asked, with the commit for a revision and the adapter that was given as the model.
    """

    folder: Path
    called: str
    tokenizer: Path
    options: LoadOptions
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What messages call it: a folder by its path."""
        return str(self.folder) if self.called in BUILT_IN else self.called

    @property
    def commit(self) -> str | None:
        """The commit that a folder of the hub's cache is of; None for any other folder."""
        return hub.revision_of(self.folder)

    @property
    def gguf(self) -> Path | None:
        """The GGUF file, if it is one."""
        return self.folder / self.options.gguf_file if self.options.gguf_file else None

    @property
    def gguf_argument(self) -> dict[str, str]:
        """What transformers is told of it, besides the folder."""
        return {"gguf_file": self.options.gguf_file} if self.options.gguf_file else {}


def find_source(
    name: str, options: LoadOptions, *, allow_pickle: bool, own_code: bool, say: hub.Say
) -> Source:
    """The place of the model ``name``. Raises ``UnknownModel``, ``NotALanguageModel``, ``BadParameter``."""
    _check_inner(options.subfolder, "--subfolder")
    _check_inner(options.gguf_file, "--gguf-file")
    if name in BUILT_IN:
        for asked in ("revision", "subfolder", "gguf_file"):
            if getattr(options, asked):
                flag = "--" + asked.replace("_", "-")
                raise BadParameter(f"The model {name} has no {flag} to choose.", "Leave it out.")
        folder = BUILT_IN[name]
        return Source(folder, name, folder, options)
    if any(len(part) > _NAME_AT_MOST for part in name.split("/")) or "\0" in name:
        raise UnknownModel(
            f"A text of {len(name)} characters is no model name.",
            "Use demo, a folder, or owner/name.",
        )
    path = expanded(name)
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
    except OSError as error:
        raise UnknownModel(f"Cannot look into {name[:80]}: {error.strerror}.") from error
    if is_file:
        if path.suffix.lower() != _GGUF:
            raise UnknownModel(f"{name} is a file.", "Give the folder that holds config.json.")
        if options.gguf_file or options.subfolder:
            raise BadParameter(
                f"{name} is a file, with nothing in it to choose.", "Give its folder."
            )
        options = replace(options, gguf_file=path.name)
        path, is_folder, name = path.parent, True, str(Path(name).parent)
    if is_folder:
        if options.revision:
            raise BadParameter(
                f"{name} is a folder here, which has no revision {options.revision}.",
                "Revisions are of names on the hub: owner/name.",
            )
        return _in_folder(name, path, options, allow_pickle, own_code, say)
    return _on_hub(name, options, allow_pickle, own_code, say)


def _on_hub(
    name: str, options: LoadOptions, allow_pickle: bool, own_code: bool, say: hub.Say
) -> Source:
    if name.startswith(("/", ".", "~")) or name.partition("@")[0].count("/") > 1:
        raise UnknownModel(f"There is no folder {name}.", "Check the path.")
    name, at, revision = name.partition("@")
    if at and (not revision or options.revision not in ("", revision)):
        raise BadParameter(
            f"{name}@{revision} and --revision {options.revision} do not agree."
            if revision
            else f"{name}@ names no revision.",
            "Name one revision, once.",
        )
    revision = revision or options.revision
    if not _HUB_NAME.fullmatch(name):
        raise UnknownModel(f"{name!r} is no model name.", "Use demo, a folder, or owner/name.")
    asked = hub.HubFiles(
        name,
        revision,
        options.subfolder,
        options.gguf_file,
        allow_pickle,
        own_code,
        options.pooling,
    )
    root, note = hub.snapshot(asked, say)
    found = _in_folder(name, root, options, allow_pickle, own_code, say)
    if found.called == name:  # not the base of an adapter that was named
        commit = hub.revision_of(root) or revision
        found = found._replace(options=replace(found.options, revision=commit))
    return found._replace(notes=(*found.notes, *((note,) if note else ())))


def _in_folder(
    name: str, root: Path, options: LoadOptions, allow_pickle: bool, own_code: bool, say: hub.Say
) -> Source:
    folder = root / options.subfolder
    inside = f"{name}/{options.subfolder}" if options.subfolder else name
    if not folder.is_dir():
        raise UnknownModel(f"{name} has no folder {options.subfolder}.", "Check --subfolder.")
    try:
        # The list fails where the folder may not be read; a pipe would be read for ever.
        there = os.listdir(folder)
    except OSError as error:
        raise UnknownModel(f"Cannot look into {name[:80]}: {error.strerror}.") from error
    if options.gguf_file:
        if not (folder / options.gguf_file).is_file():
            raise UnknownModel(f"{inside} holds no file {options.gguf_file}.", _has(there))
        return Source(folder, name, folder, options)
    if CONFIG in there and (folder / CONFIG).is_file():
        return _with_tokenizer(Source(folder, name, folder, options), root)
    if hub.ADAPTER_CONFIG in there and (folder / hub.ADAPTER_CONFIG).is_file():
        return _of_base(name, folder, options, allow_pickle, own_code, say)
    refuse_adapter(folder)
    if any(file.endswith(_GGUF) for file in there):
        raise NotALanguageModel(f"The folder {inside} holds no config.json.", _has(there))
    inner = [f"{options.subfolder}/{each}".strip("/") for each in sorted(there)]
    inner = [each for each in inner if (root / each / CONFIG).is_file()]
    raise NotALanguageModel(
        f"The folder {inside} holds no config.json.",
        f"There is one in it: --subfolder {inner[0]}."
        if inner
        else "Give a folder saved by save_pretrained.",
    )


def _with_tokenizer(source: Source, root: Path) -> Source:
    """The tokenizer of a model in a folder of its own may lie above it."""
    here = any((source.folder / file).is_file() for file in _TOKENIZERS)
    if here or source.folder == root or not any((root / file).is_file() for file in _TOKENIZERS):
        return source
    note = "the tokenizer is the one above the folder of the weights"
    return source._replace(tokenizer=root, notes=(note,))


def _of_base(
    name: str, folder: Path, options: LoadOptions, allow_pickle: bool, own_code: bool, say: hub.Say
) -> Source:
    """The base that an adapter names, to be opened with it."""
    about = read_object(folder / hub.ADAPTER_CONFIG)
    base, revision = about.get("base_model_name_or_path"), about.get("revision")
    remedy = f"Name its base: --model BASE --adapter {name}."
    if not isinstance(base, str) or not base:
        raise UnknownModel(f"{name} is an adapter that does not say of which model.", remedy)
    if any(expanded(given).resolve() == folder.resolve() for given in options.adapters):
        if base not in (name, str(folder)):
            raise BadParameter(
                f"The adapter {name} is named twice.",
                "Given as the model it is put on: leave --adapter out.",
            )
        raise UnknownModel(f"{name} is an adapter that names itself as its base.", remedy)
    chosen = replace(
        options,
        revision=revision if isinstance(revision, str) and not expanded(base).is_dir() else "",
        subfolder="",
        adapters=(str(folder) if options.subfolder else name, *options.adapters),
    )
    try:
        found = find_source(base, chosen, allow_pickle=allow_pickle, own_code=own_code, say=say)
    except UnknownModel as error:
        raise UnknownModel(
            f"{name} is an adapter of {base}, which was not found: {error.message}", remedy
        ) from error
    note = f"opened as the base that the adapter {name} names, {base}"
    return found._replace(notes=(*found.notes, note))


def _check_inner(path: str, flag: str) -> None:
    if path and (path.startswith(("/", "~")) or ".." in Path(path).parts or "\0" in path):
        raise BadParameter(
            f"{flag} {path[:80]} leads out of the model's folder.", "Name one in it."
        )


def _has(there: list[str]) -> str:
    files = sorted(file for file in there if file.endswith(_GGUF))
    if not files:
        return "There is no GGUF file in it."
    return f"Name its GGUF file: --gguf-file {files[0]}."
