"""Where transformers puts each tensor of a file: the one place that asks it for its key renamings.

transformers renames keys as it loads (old names, a missing prefix) and merges some tensors (the experts
of a mixture); what then has no place it drops, and of that it reports only a part. Asked for each name
here, it says all of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TensorPlace:
    """Where one tensor of a file goes. ``merged``: together with others, or cut into several.

    ``targets``: names in the model, empty where there is no place. ``renamed``: what it was looked for as.
    """

    renamed: str
    targets: tuple[str, ...]
    merged: bool = False


def tensor_places(model: Any, names: Iterable[str]) -> dict[str, TensorPlace] | None:
    """The place of every tensor name; None where this transformers has other ways to rename.

    ``model`` may be on the meta device: only the names of its parameters and buffers matter.
    """
    try:
        from transformers.conversion_mapping import get_model_conversion_mapping
        from transformers.core_model_loading import (
            WeightConverter,
            WeightRenaming,
            rename_source_key,
        )
    except ImportError:
        return None
    state = model.state_dict()
    rules = get_model_conversion_mapping(model, None, getattr(model, "hf_quantizer", None))
    renamings = [rule for rule in rules if isinstance(rule, WeightRenaming)]
    converters = [rule for rule in rules if isinstance(rule, WeightConverter)]
    by_pattern = {pattern: rule for rule in converters for pattern in rule.source_patterns}
    prefix = model.base_model_prefix
    found: dict[str, TensorPlace] = {}
    for name in names:
        renamed, pattern = rename_source_key(name, renamings, converters, prefix, state)
        if renamed not in state and name in state:  # it is named rightly, though a rule matches it
            renamed, pattern = rename_source_key(name, [], [], prefix, state)
        if renamed not in state:
            found[name] = TensorPlace(renamed, ())
        elif pattern is None:
            found[name] = TensorPlace(renamed, (renamed,))
        else:
            wholes = by_pattern[pattern].target_patterns
            targets = (renamed.replace(wholes[0], whole) for whole in wholes)
            found[name] = TensorPlace(renamed, tuple(t for t in targets if t in state), merged=True)
    return found
