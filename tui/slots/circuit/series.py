"""What a circuit's result says of itself: of what it is, its sizes, what its shares are of. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interpboard.display import visible
from tui import words

if TYPE_CHECKING:
    from interpboard.results import Result

OF_THE_SCREEN = ("behavior", "corrupted", "dataset")  # chosen by its list, and by d and f
_MEASURES = {"logit_diff": "logit difference", "prob_diff": "difference of probabilities"}


def best_edges(result: Result, at: int) -> int:
    """How many of the best edges the circuit at ``at`` was taken from: the name of its size."""
    return int(result.extra["faithfulness"].axes[0].labels[at])


def chosen_size(result: Result) -> int:
    """Which of the series the analysis chose."""
    size = words.scalar(result.extra["circuit_size"])
    sizes = [int(value) for value in result.extra["size"].values]
    return sizes.index(int(size)) if size in sizes else len(sizes) - 1


def search_options(search: Mapping[str, Any]) -> dict[str, Any]:
    """How a circuit is searched for, without what it is of."""
    return {name: value for name, value in search.items() if name not in OF_THE_SCREEN}


def subject(result: Result) -> str:
    behavior, corrupted = result.params["behavior"], result.params["corrupted"]
    if result.params.get("dataset"):
        return file_name(str(result.params["dataset"]))
    if behavior:
        return visible(str(behavior)).replace("_", " ")
    return f"against “{visible(str(corrupted))}”"


def file_name(dataset: str) -> str:
    """The last part of a path; of prompts that were given as they are, what the result says of them."""
    return visible(Path(dataset).name)


def measure(result: Result) -> str:
    if result.params["behavior"] or result.params.get("dataset"):
        return _MEASURES.get(result.metric.name, result.metric.name)
    return words.metric_name(result.metric)
