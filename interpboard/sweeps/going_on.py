"""Whether what is asked for may go on with a sweep that was begun before, and what makes a model the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from interpboard.errors import BadParameter
from interpboard.results import ModelInfo

if TYPE_CHECKING:
    from interpboard.sweeps.folder import Manifest


def gone_on(path: Path, old: Manifest, new: Manifest) -> Manifest:
    """``new`` where it may go on from ``old``, with what both ask for. Raises ``BadParameter``."""
    differences = [
        ("--shuffle", old.shuffle != new.shuffle),
        ("--columns", old.columns != new.columns),
        ("dataset", old.dataset_fingerprint != new.dataset_fingerprint),
        ("model", identity_of(old.model) != identity_of(new.model)),
        ("version of interpboard", old.made_by.interpboard != new.made_by.interpboard),
        *(
            (name, getattr(old.request, name) != getattr(new.request, name))
            for name in ("metric", "save", "align", "group")
        ),
        *(
            (f"content of the file {name}", state != new.parameter_files.get(name, state))
            for name, state in old.parameter_files.items()
        ),
        *(
            (f"parameters of {name}", old.request.params.get(name) != new.request.params.get(name))
            for name in set(old.request.analyses) & set(new.request.analyses)
        ),
    ]
    several = {"--columns", *(what for what, _ in differences if what.startswith("parameters"))}
    for what, differs in differences:
        if differs:
            raise BadParameter(
                f"{path} is a sweep with {'other' if what in several else 'another'} {what}.",
                "Name another folder, or ask for the same.",
            )
    if old.rows is not None and new.rows is not None and new.rows < old.rows:
        raise BadParameter(
            f"{path} is a sweep of {old.rows:,} rows; {new.rows:,} are fewer.",
            "Name another folder, or ask for as many or more.",
        )
    both = dict.fromkeys((*old.request.analyses, *new.request.analyses))
    params = {**old.request.params, **new.request.params}
    request = replace(new.request, analyses=tuple(both), params=params)
    files = {**old.parameter_files, **new.parameter_files}
    return replace(new, request=request, parameter_files=files)


def identity_of(info: ModelInfo) -> tuple[object, ...]:
    """What makes it the same model; on which device it is does not."""
    return (
        info.weights, info.tokenizer, info.dtype, info.quantization, info.special_tokens,
        info.adapters, info.options.adapter_state, sorted(info.parts.items()), info.pooling,
    )  # fmt: skip
