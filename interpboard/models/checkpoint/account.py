"""A model is its checkpoint: every tensor of its files is used, known to be ignorable, or refused by name.

transformers drops what has no place in the class it opens and only logs it: a file of five layers opens
as three if ``config.json`` says so, a classifier opens as a language model without its head, biases and
unmerged adapters vanish. Here the files' headers are laid beside the names and shapes of the model, built
on the meta device where it takes no memory, before any weight is read.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

from interpboard.errors import NotALanguageModel
from interpboard.models.checkpoint.computed_tables import computed_tables
from interpboard.models.checkpoint.headers import TensorHeader, layer_of
from interpboard.models.checkpoint.ignorable import Ignorable, Surroundings, ignorable
from interpboard.models.checkpoint.left_out import said_of_missing, said_of_unused
from interpboard.models.checkpoint.places import tensor_places

# As peft (in one file or several), diffusers, adapters, mlx and LLaVA's trainer name them.
_ADAPTER = re.compile(
    r"adapter_config\.json|adapter_model[\w.-]*\.(safetensors|bin|pt|index\.json)"
    r"|(pytorch_)?(adapters?|lora|lora_weights)\.(safetensors|bin|pt)|non_lora_trainables\.bin"
)


@dataclass(frozen=True)
class Unlike:
    """A tensor whose shape is not that of its place."""

    name: str
    in_file: tuple[int, ...]
    in_model: tuple[int, ...]


@dataclass
class Account:
    """What became of each tensor of the files, and what the model still lacks.

    ``ignored``: by name, with the row that allows it and the name it was looked for as.
    ``renamed_unused``: what unused ones were looked for as. ``twice``: pairs of names for one place.
    ``whole``: whole numbers where the model has fractions, packed weights perhaps.
    """

    used: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    renamed_unused: list[str] = field(default_factory=list)
    ignored: dict[str, tuple[Ignorable, str]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unlike: list[Unlike] = field(default_factory=list)
    twice: list[tuple[str, str]] = field(default_factory=list)
    whole: list[str] = field(default_factory=list)


def refuse_adapter(folder: Path) -> None:
    """Raise ``NotALanguageModel`` for a folder with an adapter beside or instead of weights."""
    there = sorted(file.name for file in folder.iterdir() if _ADAPTER.fullmatch(file.name))
    if there:
        raise NotALanguageModel(
            f"{folder} holds an adapter ({', '.join(there[:3])}), which would be left out.",
            "Merge it (peft: merge_and_unload, then save_pretrained), or move its files away to open the "
            "base model.",
        )


def account(
    tensors: Mapping[str, TensorHeader], model: Any, around: Surroundings
) -> Account | None:
    """Lay ``tensors`` beside ``model``; None if this transformers does not say how it renames."""
    placed = tensor_places(model, tensors)
    if placed is None:
        return None
    state: dict[str, Any] = model.state_dict()
    quantised = getattr(model, "hf_quantizer", None) is not None
    result = Account()
    filled: set[str] = set()
    merged: dict[tuple[str, ...], list[TensorHeader]] = defaultdict(list)
    first: dict[str, str] = {}
    for name, place in placed.items():
        tensor = tensors[name]
        if not place.targets:
            row = ignorable(tensor, place.renamed, around)
            if row is None:
                result.unused.append(name)
                result.renamed_unused.append(place.renamed)
            else:
                result.ignored[name] = (row, place.renamed)
            continue
        result.used.append(name)
        filled.update(place.targets)
        if quantised:
            continue
        target = place.targets[0]
        if not tensor.is_floating and state[target].is_floating_point():
            result.whole.append(name)
        if place.merged:
            merged[place.targets].append(tensor)
            continue
        if target in first:
            result.twice.append((first[target], name))
        first[target] = name
        shape = tuple(state[target].shape)
        if shape != tensor.shape:
            result.unlike.append(Unlike(name, tensor.shape, shape))
    for targets, sources in merged.items():
        wanted = sum(state[target].numel() for target in targets)
        if sum(source.numbers for source in sources) != wanted:
            shapes = [tuple(state[target].shape) for target in targets]
            result.unlike.append(
                Unlike(
                    f"{sources[0].name} and {len(sources) - 1} that go with it",
                    (sum(source.numbers for source in sources),),
                    shapes[0] if len(shapes) == 1 else (sum(prod(s) for s in shapes),),
                )
            )
    result.missing = _missing(model, state, filled)
    return result


def _missing(model: Any, own: Mapping[str, Any], filled: Collection[str]) -> list[str]:
    """Weights that nothing fills; tied ones are filled together."""
    tied: dict[str, str] | None = getattr(model, "all_tied_weights_keys", None)
    if tied is None:  # another transformers: its own report after loading has to do
        return []
    groups: dict[str, set[str]] = defaultdict(set)
    for target, source in tied.items():
        groups[source] |= {target, source}
    together = {name: group for group in groups.values() for name in group}
    # A few families say which of their buffers (never weights) begin at zero where a file lacks them.
    may_lack = [
        re.compile(p) for p in getattr(model, "_keys_to_ignore_on_load_missing", None) or ()
    ]
    buffers = {name for name, _ in model.named_buffers()} | set(computed_tables(model))
    return [
        name
        for name in own
        if name not in filled
        and not (together.get(name, set()) & set(filled))
        and not (name in buffers and any(pattern.search(name) for pattern in may_lack))
    ]


def refuse_what_does_not_fit(
    found: Account, source: str, class_name: str, layers: int, *, ignore_unused: bool
) -> tuple[str, ...]:
    """Raise ``NotALanguageModel`` for what makes the files another model; else notes for the results.

    ``layers``: how many the model has. ``ignore_unused`` turns the refusal of unused tensors into a note.
    """
    if found.twice:
        one, other = found.twice[0]
        raise NotALanguageModel(
            f"{source}: {one} and {other} are for the same place in {class_name}.",
            "One of them is not of this model.",
        )
    unused = said_of_unused(found.unused, layers, class_name) if found.unused else ""
    if found.missing:
        also = f" It holds {unused}." if unused else ""
        raise NotALanguageModel(
            f"{source} lacks {said_of_missing(found.missing, layers)}.{also}",
            "Does its config.json belong to these files?"
            if all(layer_of(name) is not None for name in found.missing)
            else "Is it a model without its head, or of another kind?",
        )
    if found.unlike:
        raise NotALanguageModel(_said_of_shapes(found.unlike, source), _ANOTHER)
    if found.whole:
        raise NotALanguageModel(
            f"{source}: {_some(found.whole)} {'holds' if len(found.whole) == 1 else 'hold'} whole "
            "numbers where weights belong: they are quantised, and config.json does not say how.",
            "Its quantization_config is missing.",
        )
    if unused and not ignore_unused:
        raise NotALanguageModel(
            f"{source} holds {unused}.", f"{_ANOTHER} To go on without: --ignore-unused-weights."
        )
    notes = [f"left out of the checkpoint (--ignore-unused-weights): {unused}"] if unused else []
    counted: dict[str, int] = defaultdict(int)
    for row, _renamed in found.ignored.values():
        counted[row.what] += row.told
    notes += [
        f"not used of the checkpoint: {what} ({n} tensor{'s' if n > 1 else ''})"
        for what, n in counted.items()
        if n
    ]
    return tuple(notes)


_ANOTHER = "The file is of another model than config.json says."


def _said_of_shapes(unlike: list[Unlike], source: str) -> str:
    one = unlike[0]
    more = f" ({len(unlike) - 1} more do not fit)" if len(unlike) > 1 else ""
    return (
        f"{source}: {one.name} is {_shape(one.in_file)} in the file and {_shape(one.in_model)} in the "
        f"model that config.json describes{more}."
    )


def _shape(shape: tuple[int, ...]) -> str:
    return "[" + ", ".join(map(str, shape)) + "]"


def _some(names: list[str]) -> str:
    return ", ".join(name[:80] for name in names[:3]) + (
        f" and {len(names) - 3} more" if len(names) > 3 else ""
    )
