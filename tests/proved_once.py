"""A model that was proved is not proved again where the proof is not what a test is about.

Hundreds of tests open the demo model or one of the same tiny ones, as users do, and to prove it is most of
that. What was proved is known by all that a proof sees: every weight to its last bit, the classes of modules
and their settings, which module is which part. A model on which anybody has hung something is proved each
time, and so are all models in tests of models, but for files that are about something else.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import pickle
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

PROVING = ("self_check", "check_encoder", "check_strips")
WHERE = "PROOFS_OF_TESTS"
SIMPLE = (bool, int, float, str, type(None))
anew = [False]
OF_OTHER_THINGS = {  # files of tests/models that never change how a model is proved
    "test_adapter_files", "test_adapters", "test_checkpoint", "test_checkpoint_fuzz", "test_choices",
    "test_classifiers", "test_division", "test_encoders", "test_gguf", "test_hub_cache",
    "test_masked_models", "test_pooling", "test_sentence_encoders", "test_sources", "test_text_pairs",
}  # fmt: skip


def is_about_proofs(path: Path) -> bool:
    """Whether the tests of a file want each model proved, however often it was."""
    return path.parent.name == "models" and path.stem not in OF_OTHER_THINGS


@contextlib.contextmanager
def shared() -> Iterator[None]:
    """While open, proofs are kept in a folder; programs that are forked meanwhile share it."""
    loaded = sys.modules.get("interpboard.models.language_model")
    if loaded is None:  # none of the tests opens a model in this process
        yield
        return
    with folder_of_proofs() as folder, _kept_in(loaded, folder):
        yield


@contextlib.contextmanager
def folder_of_proofs() -> Iterator[Path]:
    """One for all processes that are started while it is open."""
    place = os.environ.get(WHERE)
    if place is not None:
        yield Path(place)
        return
    with tempfile.TemporaryDirectory(prefix="proved-") as place:
        os.environ[WHERE] = place
        try:
            yield Path(place)
        finally:
            del os.environ[WHERE]


@contextlib.contextmanager
def _kept_in(loaded: Any, folder: Path) -> Iterator[None]:
    own = {name: getattr(loaded, name) for name in PROVING}
    for name, prove in own.items():
        setattr(loaded, name, kept(prove, folder))
    try:
        yield
    finally:
        for name, prove in own.items():
            setattr(loaded, name, prove)


def kept(prove: Callable[[Any], Any], folder: Path) -> Callable[[Any], Any]:
    """``prove``, or what it once gave for the same."""

    def proved(anatomy: Any) -> Any:
        name = None if anew[0] else seen_of(anatomy)
        if name is None:
            return prove(anatomy)
        place = folder / f"{prove.__name__}-{name}"
        if place.exists():
            return pickle.loads(place.read_bytes())
        found = prove(anatomy)
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            file.write(pickle.dumps(found))
        Path(file.name).replace(place)
        return found

    return proved


def seen_of(anatomy: Any) -> str | None:
    """A digest of all that a proof of ``anatomy`` sees; None where somebody has changed how it computes."""
    import torch

    model = anatomy.model
    digest = hashlib.sha1(usedforsecurity=False)
    names = {}
    add = [model.config.to_json_string(), model.config._attn_implementation]
    for name, module in model.named_modules(remove_duplicate=False):
        if "forward" in vars(module) or module._forward_hooks or module._forward_pre_hooks:
            return None
        names.setdefault(id(module), name)
        settings = {k: repr(v) for k, v in vars(module).items() if _is_simple(v)}
        settings.pop("training", None)  # proofs are made in evaluation mode
        of_class = f"{type(module).__module__}.{type(module).__qualname__}"
        add += [name, of_class, id(type(module).forward), sorted(settings.items())]
    parameters = model.named_parameters(remove_duplicate=False)
    for name, tensor in chain(parameters, model.named_buffers(remove_duplicate=False)):
        plain = type(tensor) in (torch.Tensor, torch.nn.Parameter)
        if not plain or tensor.device.type != "cpu" or tensor.layout != torch.strided:
            return None
        add += [name, tensor.dtype, tuple(tensor.shape)]
        digest.update(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy())
    for field in dataclasses.fields(anatomy):
        add += [field.name, _described(getattr(anatomy, field.name), names)]
    digest.update(repr(add).encode())
    return digest.hexdigest()


def _is_simple(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_simple(each) for pair in value.items() for each in pair)
    if isinstance(value, (list, tuple, set)):
        return all(map(_is_simple, value))
    return isinstance(value, SIMPLE)


def _described(value: Any, names: dict[int, str]) -> Any:
    if isinstance(value, tuple):
        return [_described(each, names) for each in value]
    if isinstance(value, SIMPLE):
        return value
    return type(value).__name__, names.get(id(value), "")
