"""The steps of the account of a checkpoint, in the order that loading takes them."""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers.quantizers.auto import AUTO_QUANTIZER_MAPPING

from interpboard.display import spoken_bytes
from interpboard.errors import NotALanguageModel, UnknownModel, UnsafeWeights
from interpboard.models.checkpoint.account import (
    Account,
    account,
    refuse_adapter,
    refuse_what_does_not_fit,
)
from interpboard.models.checkpoint.computed_tables import check_computed
from interpboard.models.checkpoint.config_file import layers_of_config
from interpboard.models.checkpoint.foreign import foreign
from interpboard.models.checkpoint.headers import (
    INDEX,
    SINGLE,
    SUFFIX,
    TensorHeader,
    layers_in,
    not_in_index,
    read_headers,
    weight_files,
)
from interpboard.models.checkpoint.ignorable import Surroundings, ignorable
from interpboard.models.quantised import method_of

_PICKLES = (".bin", ".pt", ".pth", ".ckpt")
_DISTRIBUTED = re.compile(r"shard-\d{5}-model-\d{5}-of-\d{5}\.safetensors")
_LAYERS_AT_MOST = 1000  # more than any model has; beyond it the files must show them
_BUFFERS_AT_MOST = 4 << 30  # bytes, besides as many as the weights have


@dataclass
class Checkpoint:
    """A folder's weights while they are loaded. ``tensors`` is empty for pickled ones."""

    folder: Path
    name: str
    config: Mapping[str, Any]
    tensors: dict[str, TensorHeader]
    found: Account | None = None
    notes: tuple[str, ...] = field(default=())

    @classmethod
    def read(
        cls, folder: Path, name: str, config: Mapping[str, Any], *, allow_pickle: bool
    ) -> Checkpoint:
        """The headers in ``folder``, which ``config`` describes.

        Raises ``NotALanguageModel`` for damaged files, adapters, and more layers than the files hold,
        ``UnsafeWeights`` for pickles that are not allowed, ``UnknownModel`` if weights are missing.
        """
        refuse_adapter(folder)
        if any(_DISTRIBUTED.fullmatch(file.name) for file in folder.iterdir()):
            raise NotALanguageModel(
                f"{name} is a distributed training checkpoint.", "Save it with save_pretrained."
            )
        files = weight_files(folder)
        if not files:
            _refuse_without_safetensors(folder, allow_pickle)
            return cls(folder, name, config, {})
        tensors = read_headers(files)
        lost = not_in_index(folder, tensors)
        if lost:
            raise NotALanguageModel(
                f"{name}: its files lack {len(lost)} of the tensors that the index names "
                f"({lost[0][:80]}).",
                "Fetch the files again.",
            )
        layers, there = layers_of_config(config), layers_in(tuple(tensors))
        if layers > max(_LAYERS_AT_MOST, len(tensors)):
            raise NotALanguageModel(
                f"{name}: config.json says {layers} layers, the files hold tensors of {there}.",
                "Correct num_hidden_layers.",
            )
        return cls(folder, name, config, tensors, notes=_not_opened(folder, files))

    @property
    def numbers(self) -> dict[str, int]:
        """How many fractions the files hold by number format (``F32``, ``BF16`` …); empty for pickles."""
        found: Counter[str] = Counter()
        for tensor in self.tensors.values():
            found[tensor.dtype] += tensor.numbers * tensor.is_floating
        return dict(found)

    def compare(
        self, kind: Any, config: Any, dtype: torch.dtype, trust: bool, ignore_unused: bool
    ) -> None:
        """Lay the headers beside a model without memory; raises ``NotALanguageModel``.

        Not where the weights are pickled or quantised: what those are only shows when they are loaded.
        """
        if not self.tensors or self.config.get("quantization_config"):
            return
        with (
            foreign("configuration", self.name, self.folder),
            torch.device("meta"),
            _without_numbers(),
        ):
            empty = kind.from_config(copy.deepcopy(config), dtype=dtype, trust_remote_code=trust)
        self._refuse_giant_buffers(empty)
        self.found = account(self.tensors, empty, self._around(empty))
        if self.found is not None:
            self.notes += refuse_what_does_not_fit(
                self.found, self.name, type(empty).__name__, self._layers(empty),
                ignore_unused=ignore_unused,
            )  # fmt: skip

    def check_loaded(
        self, model: Any, report: Mapping[str, Any], ignore_unused: bool
    ) -> tuple[str, ...]:
        """Compare with what transformers did; notes for the results. Raises ``NotALanguageModel``.

        ``report``: its ``output_loading_info``.
        """
        method = method_of(self.config)
        if method and method not in AUTO_QUANTIZER_MAPPING and not method.startswith("bits"):
            raise NotALanguageModel(
                f"{self.name} says that its weights are quantised ({method}), and they were loaded as if "
                "they were not.",
                "This transformers does not know the method.",
            )
        check_computed(model, self.tensors, self.name)
        reported = self._reported(model, report)
        notes = self.notes + refuse_what_does_not_fit(
            reported, self.name, type(model).__name__, self._layers(model),
            ignore_unused=ignore_unused,
        )  # fmt: skip
        if self.found is not None:
            notes += self._prove(model, self.found, ignore_unused)
        return notes + self._other_class(model) + self._untied(model)

    def _reported(self, model: Any, report: Mapping[str, Any]) -> Account:
        """What transformers reports and our own account has not said already."""
        around = self._around(model)
        known = set()
        if self.found is not None:
            known = {*self.found.unused, *self.found.ignored}
            known |= {renamed for _row, renamed in self.found.ignored.values()}
            known |= set(self.found.renamed_unused)
        rest = Account(missing=sorted(report["missing_keys"]))
        for name in sorted(set(report["unexpected_keys"]) - known):
            row = ignorable(TensorHeader(name, "", (), self.folder), name, around)
            if row is None:
                rest.unused.append(name)
            else:
                rest.ignored[name] = (row, name)
        return rest

    def _prove(self, model: Any, found: Account, ignore_unused: bool) -> tuple[str, ...]:
        """Read the tensors that may be left out if their values are what they should be."""
        from safetensors import safe_open

        false: list[tuple[str, str]] = []
        for name, (row, renamed) in found.ignored.items():
            if row.proof is None:
                continue
            with (
                foreign("weights", self.name, self.folder),
                safe_open(self.tensors[name].file, framework="pt") as file,
            ):
                value = file.get_tensor(name)
            if not row.proof(value, renamed, model):
                false.append((name, row.what))
        if not false:
            return ()
        name, what = false[0]
        whose = f"{name} and {len(false) - 1} more hold" if len(false) > 1 else f"{name} holds"
        problem = f"{whose} other values than {what} of this model"
        if ignore_unused:
            return (f"left out of the checkpoint (--ignore-unused-weights): {problem}",)
        raise NotALanguageModel(
            f"{self.name}: {problem}, and nothing in it reads them.",
            "The numbers would be another model's. To go on without: --ignore-unused-weights.",
        )

    def _other_class(self, model: Any) -> tuple[str, ...]:
        named, opened = self.config.get("architectures") or [], type(model).__name__
        if not named or opened in named or self.config.get("auto_map"):
            return ()
        return (f"config.json says {', '.join(named)}; opened as {opened}",)

    def _untied(self, model: Any) -> tuple[str, ...]:
        """A note where the configuration ties the head to the embedding and the files hold another one:
        transformers uses it, other programs may not."""
        tied = getattr(model.config.get_text_config(), "tie_word_embeddings", False)
        try:
            head, inputs = model.get_output_embeddings(), model.get_input_embeddings()
        except NotImplementedError:  # a family that does not say where they are
            return ()
        own, embedding = (getattr(module, "weight", None) for module in (head, inputs))
        if not tied or own is None or own.is_meta or own is embedding:
            return ()
        path = next((name for name, module in model.named_modules() if module is head), "")
        if f"{path}.weight" not in self.tensors:
            return ()
        return (f"config.json ties {path} to the embedding; the files hold another, which is used",)

    def _refuse_giant_buffers(self, empty: Any) -> None:
        weights = sum(t.numel() * t.element_size() for t in empty.state_dict().values())
        buffers = sum(b.numel() * b.element_size() for b in empty.buffers())
        if buffers > weights + _BUFFERS_AT_MOST:
            raise NotALanguageModel(
                f"{self.name}: what config.json describes computes tables of {spoken_bytes(buffers)}.",
                "Is max_position_embeddings right?",
            )

    def _around(self, model: Any) -> Surroundings:
        return Surroundings.of(model, self.config, self._layers(model))

    def _layers(self, model: Any) -> int:
        config: Any = model.config.get_text_config()
        return int(getattr(config, "num_hidden_layers", None) or layers_of_config(self.config))


def _not_opened(folder: Path, files: Collection[Path]) -> tuple[str, ...]:
    """A note on the safetensors files in ``folder`` that are not among those of the model."""
    if (folder / SINGLE).is_file() and (folder / INDEX).is_file():
        return (f"{SINGLE} was opened, and not the files that {INDEX} names",)
    others = sorted(f.name for f in folder.glob(f"*{SUFFIX}") if f not in files)
    more = f" and {len(others) - 3} more" if len(others) > 3 else ""
    return (f"also in the folder and not opened: {', '.join(others[:3])}{more}",) if others else ()


def _without_numbers() -> AbstractContextManager[None]:
    """Build a model whose weights are not drawn: only names and shapes are asked for."""
    try:
        from transformers.initialization import no_init_weights
    except ImportError:  # another transformers: it takes a little longer
        return nullcontext()
    context: AbstractContextManager[None] = no_init_weights()
    return context


def _refuse_without_safetensors(folder: Path, allow_pickle: bool) -> None:
    if any(file.suffix in _PICKLES for file in folder.iterdir()):
        if allow_pickle:
            return
        raise UnsafeWeights(
            f"The weights in {folder} are not safetensors; loading a pickle can run code.",
            "Convert them, or allow it with --allow-pickle.",
        )
    others = sorted(file.name for file in folder.iterdir() if file.name.endswith(".safetensors"))
    named = f" under that name (there is {others[0]})" if others else ""
    raise UnknownModel(
        f"The folder {folder} holds no weights{named}.", "It needs model.safetensors."
    )
