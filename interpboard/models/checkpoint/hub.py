"""A model by its name on the hub: from the cache at once, from the network only if something is missing.

What comes back is a folder of the cache, so that what is true of a folder (headers read first, no pickle)
is true of these models too. Without network one question is asked, for seconds, before it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any

from interpboard.errors import Cancelled, InterpBoardError, UnknownModel, UnsafeWeights
from interpboard.files.json_object import read_object
from interpboard.models.checkpoint.foreign import chain, first_line
from interpboard.models.checkpoint.headers import INDEX, SINGLE

_ASK_S = 10.0  # for the one question whether the hub is there and has the model
_DEADLINE_S = 15.0  # for that question and whatever comes before it
_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")
_SMALL = re.compile(
    r"(config|generation_config|adapter_config|chat_template|tokenizer\w*|special_tokens_map"
    r"|added_tokens|vocab|preprocessor_config)\.json|(merges|vocab)\.txt|[\w.-]+\.(model|jinja|tiktoken)"
)
_REVISION = re.compile(r"[0-9a-f]{40}")
Say = Callable[[str], None]


def snapshot(name: str, *, allow_pickle: bool, own_code: bool, say: Say) -> tuple[Path, str]:
    """The folder that holds the model ``name`` (owner/name), and a note, empty if there is none.

    ``own_code``: fetch the model's Python files too. ``say`` hears that the network is used.
    Raises ``UnknownModel`` and ``UnsafeWeights``.
    """
    cached = _cached(name, "config.json")
    folder = cached.parent if cached is not None else None
    if folder is not None and not _lacks(folder, name, allow_pickle):
        return folder, ""
    try:
        return _fetched(name, allow_pickle, own_code, say), ""
    except UnknownModel:
        if folder is None or _lacks(folder, name, allow_pickle) != ["tokenizer_config.json"]:
            raise
        return folder, "tokenizer_config.json is not in the hub's cache and could not be looked for"


def revision_of(folder: Path) -> str | None:
    """The revision that a folder of the hub's cache is of; None for any other folder."""
    real = folder.resolve()
    is_one = real.parent.name == "snapshots" and _REVISION.fullmatch(real.name)
    return real.name if is_one else None


def _cached(name: str, file: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(name, file)
    except HFValidationError as error:
        raise UnknownModel(
            f"{name!r} is no model name.", "Use demo, a folder, or owner/name."
        ) from (error)
    return Path(found) if isinstance(found, str) else None


def _lacks(folder: Path, name: str, allow_pickle: bool) -> list[str]:
    """What the cached ``folder`` has not of what opening it needs."""
    from huggingface_hub import try_to_load_from_cache

    lacks = [] if any((folder / file).is_file() for file in _TOKENIZERS) else ["tokenizer.json"]
    lacks += _missing_weights(folder, allow_pickle)
    settings = "tokenizer_config.json"
    # None: nobody ever asked whether the model has this file. It may change what a prompt begins with.
    if not (folder / settings).is_file() and try_to_load_from_cache(name, settings) is None:
        lacks.append(settings)
    return lacks


def _missing_weights(folder: Path, allow_pickle: bool) -> list[str]:
    for single, index in ((SINGLE, INDEX), *([_PICKLES] if allow_pickle else [])):
        if (folder / single).is_file():
            return []
        if (folder / index).is_file():
            placed = read_object(folder / index).get("weight_map")
            files = set(placed.values()) if isinstance(placed, dict) else set()
            return sorted(f for f in files if isinstance(f, str) and not (folder / f).is_file())
    return [SINGLE]


def _fetched(name: str, allow_pickle: bool, own_code: bool, say: Say) -> Path:
    import huggingface_hub

    if huggingface_hub.constants.HF_HUB_OFFLINE:
        raise _not_there(name, "HF_HUB_OFFLINE is set, so nobody asked the hub")
    say("asking the hub")
    try:
        about = _within(
            _DEADLINE_S, lambda: huggingface_hub.HfApi().model_info(name, timeout=_ASK_S)
        )
        files = _wanted([s.rfilename for s in about.siblings or ()], name, allow_pickle, own_code)
        say("downloading from the hub")
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=files))
    except (Cancelled, InterpBoardError):
        raise
    except Exception as error:  # whatever a network can do to a download
        raise _why_not_fetched(name, error) from error


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


def _wanted(there: Sequence[str], name: str, allow_pickle: bool, own_code: bool) -> list[str]:
    """Of the files at the hub, those that opening the model needs; folders are other formats of it."""
    top = [file for file in there if "/" not in file]
    if "config.json" not in top:
        raise UnknownModel(f"The hub's {name} has no config.json.", "It is not in this format.")
    chosen = [file for file in top if _SMALL.fullmatch(file)]
    chosen += [file for file in top if own_code and file.endswith(".py")]
    if SINGLE in top:
        return [*chosen, SINGLE]
    if INDEX in top:
        return [*chosen, INDEX, "model-*.safetensors", "model.safetensors-*.safetensors"]
    if allow_pickle and any(file in top for file in _PICKLES):
        return [*chosen, *_PICKLES, "pytorch_model-*.bin"]
    if any(file.endswith((".bin", ".pt", ".pth")) for file in top):
        raise UnsafeWeights(
            f"{name} has no safetensors weights; loading a pickle can run code.",
            "Allow it with --allow-pickle.",
        )
    raise UnknownModel(f"The hub's {name} has no weights in this format.", "It needs safetensors.")


def _why_not_fetched(name: str, error: Exception) -> UnknownModel:
    names = {type(e).__name__ for e in chain(error)}
    if "GatedRepoError" in names:
        return UnknownModel(
            f"{name} is gated on the hub.",
            "Accept its licence there and log in with `hf auth login`.",
        )
    if names & {"RepositoryNotFoundError", "RemoteEntryNotFoundError", "EntryNotFoundError"}:
        return UnknownModel(
            f"The hub has no model {name}.",
            "Check the name (owner/name), or log in if it is private.",
        )
    if "HFValidationError" in names:
        return UnknownModel(f"{name!r} is no model name.", "Use demo, a folder, or owner/name.")
    return _not_there(name, first_line(error))


def _not_there(name: str, why: str) -> UnknownModel:
    return UnknownModel(
        f"{name} is no folder here, not in the hub's cache, and could not be fetched ({why}).",
        "Check the name and the network (HF_HUB_OFFLINE=1 asks nobody), or give a local folder; demo "
        "needs neither.",
    )
