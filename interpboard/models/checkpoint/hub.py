"""A model by its name on the hub: from the cache at once, from the network only if something is missing.

What comes back is a folder of the cache, so that what is true of a folder (headers read first, no pickle)
is true of these models too. Without network one question is asked, for seconds, before it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any

from interpboard.errors import Cancelled, InterpBoardError, UnknownModel, UnsafeWeights
from interpboard.files.json_object import read_object
from interpboard.models.checkpoint.config_file import CONFIG
from interpboard.models.checkpoint.foreign import chain, first_line
from interpboard.models.checkpoint.headers import INDEX, SINGLE
from interpboard.models.sentence_encoder import MODULES, POOLING_FILE, takes_pooling

_ASK_S = 10.0  # for the one question whether the hub is there and has the model
_DEADLINE_S = 15.0  # for that question and whatever comes before it
ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
_ADAPTER_PICKLE = "adapter_model.bin"
_SETTINGS = "tokenizer_config.json"
_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")
_SMALL = re.compile(
    r"(config|generation_config|adapter_config|chat_template|tokenizer\w*|special_tokens_map"
    r"|added_tokens|vocab|preprocessor_config)\.json|(merges|vocab)\.txt|[\w.-]+\.(model|jinja|tiktoken)"
)
_OF_POOLING = (MODULES, POOLING_FILE)
_REVISION = re.compile(r"[0-9a-f]{40}")
Say = Callable[[str], None]


@dataclass(frozen=True)
class HubFiles:
    """A model of the hub, and what of its repository is to be opened. ``revision`` empty: its main branch.

    ``own_code``: fetch the model's Python files too. ``pooling``: asked for, so that nobody needs to look for
    the file that says one.
    """

    name: str
    revision: str = ""
    subfolder: str = ""
    gguf_file: str = ""
    allow_pickle: bool = False
    own_code: bool = False
    pooling: str = ""

    def place(self, file: str) -> str:
        """Where in the repository ``file`` of the model is."""
        return f"{self.subfolder}/{file}" if self.subfolder else file

    @property
    def words(self) -> str:
        """The name, with the revision where one is asked for."""
        return f"{self.name}@{self.revision}" if self.revision else self.name

    @property
    def at(self) -> dict[str, Any]:
        """The revision as huggingface_hub's functions take it."""
        return {"revision": self.revision} if self.revision else {}


def snapshot(asked: HubFiles, say: Say) -> tuple[Path, str]:
    """The folder of the cache that holds the repository asked for, and a note, empty if there is none.

    ``say`` hears that the network is used. Raises ``UnknownModel`` and ``UnsafeWeights``.
    """
    folder = _in_cache(asked)
    if folder is not None and not _lacks(folder, asked):
        return folder, ""
    try:
        return _fetched(asked, say), ""
    except UnknownModel:
        if folder is None or _lacks(folder, asked) != [_SETTINGS]:
            raise
        return folder, f"{_SETTINGS} is not in the hub's cache and could not be looked for"


def revision_of(folder: Path) -> str | None:
    """The revision that a folder of the hub's cache, or one inside it, is of; None for any other."""
    real = folder.resolve()
    for place in (real, *real.parents):
        if place.parent.name == "snapshots" and _REVISION.fullmatch(place.name):
            return place.name
    return None


def _in_cache(asked: HubFiles) -> Path | None:
    """The root of the repository in the cache, if what describes the model is there."""
    for file in (asked.gguf_file,) if asked.gguf_file else (CONFIG, ADAPTER_CONFIG):
        found = _cached(asked, asked.place(file))
        if isinstance(found, str):
            depth = len(Path(asked.place(file)).parts)
            return Path(found).parents[depth - 1]
    return None


def _cached(asked: HubFiles, file: str) -> Any:
    """The path of a file; None where nobody asked for it yet, something else where it is known not to be."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        return try_to_load_from_cache(asked.name, file, **asked.at)
    except HFValidationError as error:
        raise UnknownModel(
            f"{asked.name!r} is no model name.", "Use demo, a folder, or owner/name."
        ) from (error)


def _lacks(root: Path, asked: HubFiles) -> list[str]:
    """What the cached ``root`` has not of what opening it needs."""
    if asked.gguf_file:
        return [] if (root / asked.place(asked.gguf_file)).is_file() else [asked.gguf_file]
    folder = root / asked.subfolder
    if not (folder / CONFIG).is_file() and (folder / ADAPTER_CONFIG).is_file():
        names = (ADAPTER_WEIGHTS, *([_ADAPTER_PICKLE] if asked.allow_pickle else []))
        return [] if any((folder / name).is_file() for name in names) else [ADAPTER_WEIGHTS]
    there = any((place / file).is_file() for place in (folder, root) for file in _TOKENIZERS)
    lacks = [] if there else ["tokenizer.json"]
    lacks += _missing_weights(folder, asked.allow_pickle)
    # None: nobody ever asked whether the model has this file. It may change what a prompt begins with.
    if not any((place / _SETTINGS).is_file() for place in (folder, root)) and (
        _cached(asked, asked.place(_SETTINGS)) is None
    ):
        lacks.append(_SETTINGS)
    if not asked.pooling and _may_pool(folder) and _cached(asked, asked.place(MODULES)) is None:
        lacks.append(MODULES)
    return lacks


def _may_pool(folder: Path) -> bool:
    """Whether a model in ``folder`` is a body without a head, of which it is not known how it is pooled."""
    if not (folder / CONFIG).is_file() or (folder / MODULES).is_file():
        return False
    config = read_object(folder / CONFIG)
    names = config.get("architectures")
    known = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return known and takes_pooling(folder, config, "mean")


def _missing_weights(folder: Path, allow_pickle: bool) -> list[str]:
    for single, index in ((SINGLE, INDEX), *([_PICKLES] if allow_pickle else [])):
        if (folder / single).is_file():
            return []
        if (folder / index).is_file():
            placed = read_object(folder / index).get("weight_map")
            files = set(placed.values()) if isinstance(placed, dict) else set()
            return sorted(f for f in files if isinstance(f, str) and not (folder / f).is_file())
    return [SINGLE]


def _fetched(asked: HubFiles, say: Say) -> Path:
    import huggingface_hub

    if huggingface_hub.constants.HF_HUB_OFFLINE:
        raise _not_there(asked, "HF_HUB_OFFLINE is set, so nobody asked the hub")
    say("asking the hub")
    try:
        about = _within(
            _DEADLINE_S,
            lambda: huggingface_hub.HfApi().model_info(asked.name, timeout=_ASK_S, **asked.at),
        )
        files = _wanted([s.rfilename for s in about.siblings or ()], asked)
        say("downloading from the hub")
        return Path(huggingface_hub.snapshot_download(asked.name, allow_patterns=files, **asked.at))
    except (Cancelled, InterpBoardError):
        raise
    except Exception as error:  # whatever a network can do to a download
        raise _why_not_fetched(asked, error) from error


def _within(seconds: float, ask: Callable[[], Any]) -> Any:
    """What ``ask`` gives or raises; ``TimeoutError`` once ``seconds`` are over.

    A request's own limit does not cover looking the hub's address up, which can take a minute.
    """
    answer: Queue[tuple[Any, BaseException | None]] = Queue()

    def run() -> None:
        try:
            answer.put((ask(), None))
        except BaseException as error:  # noqa: BLE001 - raised below, in the thread that asked
            answer.put((None, error))

    Thread(target=run, daemon=True).start()
    try:
        found, error = answer.get(timeout=seconds)
    except Empty:
        raise TimeoutError(f"no answer within {seconds:.0f} s") from None
    if error is not None:
        raise error
    return found


def _wanted(there: Sequence[str], asked: HubFiles) -> list[str]:
    """Of the files at the hub, those that opening the model needs; other folders are other formats of it."""
    if asked.gguf_file:
        if asked.place(asked.gguf_file) in there:
            return [asked.place(asked.gguf_file)]
        others = [file for file in there if file.endswith(".gguf")]
        has = f"It has {', '.join(others[:3])}." if others else "It has no GGUF file."
        raise UnknownModel(f"The hub's {asked.words} has no {asked.place(asked.gguf_file)}.", has)
    start = asked.place("")
    top = [
        name for file in there if file.startswith(start) and "/" not in (name := file[len(start) :])
    ]
    if asked.subfolder and not top:
        raise UnknownModel(f"The hub's {asked.words} has no folder {asked.subfolder}.", "Check it.")
    chosen = [start + file for file in top if _SMALL.fullmatch(file)]
    chosen += [start + file for file in _OF_POOLING if start + file in there]
    if start:  # a tokenizer may lie above the weights
        chosen += [file for file in there if "/" not in file and _SMALL.fullmatch(file)]
    chosen += [start + file for file in top if asked.own_code and file.endswith(".py")]
    return chosen + [start + file for file in _wanted_weights(top, asked)]


def _wanted_weights(top: Sequence[str], asked: HubFiles) -> list[str]:
    name = asked.words
    if CONFIG not in top:
        if ADAPTER_CONFIG in top:
            return _wanted_adapter(top, asked)
        gguf = [file for file in top if file.endswith(".gguf")]
        remedy = f"Name its file: --gguf-file {gguf[0]}." if gguf else "It is not in this format."
        raise UnknownModel(f"The hub's {name} has no config.json.", remedy)
    if SINGLE in top:
        return [SINGLE]
    if INDEX in top:
        return [INDEX, "model-*.safetensors", "model.safetensors-*.safetensors"]
    if asked.allow_pickle and any(file in top for file in _PICKLES):
        return [*_PICKLES, "pytorch_model-*.bin"]
    if any(file.endswith((".bin", ".pt", ".pth")) for file in top):
        raise UnsafeWeights(
            f"{name} has no safetensors weights; loading a pickle can run code.",
            "Allow it with --allow-pickle.",
        )
    raise UnknownModel(f"The hub's {name} has no weights in this format.", "It needs safetensors.")


def _wanted_adapter(top: Sequence[str], asked: HubFiles) -> list[str]:
    if ADAPTER_WEIGHTS in top:
        return [ADAPTER_WEIGHTS]
    if asked.allow_pickle and _ADAPTER_PICKLE in top:
        return [_ADAPTER_PICKLE]
    raise UnknownModel(
        f"The hub's adapter {asked.words} has no {ADAPTER_WEIGHTS}.", "It needs safetensors."
    )


def _why_not_fetched(asked: HubFiles, error: Exception) -> UnknownModel:
    name, names = asked.name, {type(e).__name__ for e in chain(error)}
    if "GatedRepoError" in names:
        return UnknownModel(
            f"{name} is gated on the hub.",
            "Accept its licence there and log in with `hf auth login`.",
        )
    if "RevisionNotFoundError" in names:
        return UnknownModel(f"The hub's {name} has no revision {asked.revision}.", "Check it.")
    if names & {"RepositoryNotFoundError", "RemoteEntryNotFoundError", "EntryNotFoundError"}:
        return UnknownModel(
            f"The hub has no model {name}.",
            "Check the name (owner/name), or log in if it is private.",
        )
    if "HFValidationError" in names:
        return UnknownModel(f"{name!r} is no model name.", "Use demo, a folder, or owner/name.")
    return _not_there(asked, first_line(error))


def _not_there(asked: HubFiles, why: str) -> UnknownModel:
    return UnknownModel(
        f"{asked.words} is no folder here, not in the hub's cache, and could not be fetched ({why}).",
        "Check the name and the network (HF_HUB_OFFLINE=1 asks nobody), or give a local folder; demo "
        "needs neither.",
    )
