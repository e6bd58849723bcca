"""The registry: every analysis by name, with its parameters, its axes and the meaning of its values.

The command line, the engine and the app all read this table and nothing else, so an analysis that is
entered here is everywhere. Functions are named, not imported: reading the table needs no torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

from interpboard.errors import BadParameter

ScaleKind = Literal["diverging", "probability"]


@dataclass(frozen=True)
class Parameter:
    """One parameter: its type follows from ``default`` unless ``kind`` says otherwise."""

    name: str
    kind: type
    default: Any
    help: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    many: bool = False  # a tuple of ``kind``, written with commas; None means all

    def parse(self, value: Any) -> Any:
        """``value`` (text from a user, or a plain value) as this parameter's type."""
        if self.many:
            if value is None or value == "all":
                return None
            parts = value.split(",") if isinstance(value, str) else value
            parts = [parts] if isinstance(parts, (int, float)) else parts
            return tuple(self._one(part) for part in parts)
        return self._one(value)

    def _one(self, value: Any) -> Any:
        try:
            parsed = _CONVERT[self.kind](value.strip() if isinstance(value, str) else value)
        except (TypeError, ValueError, OverflowError):
            raise BadParameter(
                f"Parameter {self.name} takes {_article(self.kind)}, not {value!r}."
            ) from None
        if self.choices and parsed not in self.choices:
            raise BadParameter(
                f"Parameter {self.name} is one of {', '.join(self.choices)}, not {parsed!r}."
            )
        if self.minimum is not None and not parsed >= self.minimum:  # so that NaN is refused
            raise BadParameter(f"Parameter {self.name} is at least {self.minimum:g}, not {parsed}.")
        if self.maximum is not None and not parsed <= self.maximum:
            raise BadParameter(f"Parameter {self.name} is at most {self.maximum:g}, not {parsed}.")
        return parsed


@dataclass(frozen=True)
class Analysis:
    """One analysis. ``meaning`` says in a line what a value is and what its sign says."""

    name: str
    title: str
    function: str  # "package.module:name"
    axes: tuple[str, ...]
    meaning: str
    scale: ScaleKind
    parameters: tuple[Parameter, ...] = ()

    def load(self) -> Callable[..., Any]:
        """Import the function. This is where torch comes in."""
        module, _, name = self.function.partition(":")
        function: Callable[..., Any] = getattr(importlib.import_module(module), name)
        return function

    def parse(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters: defaults, with ``given`` checked and put in their place."""
        known = {parameter.name: parameter for parameter in self.parameters}
        for name in given:
            if name not in known:
                raise BadParameter(
                    f"{self.name} has no parameter {name!r}.",
                    f"It has: {', '.join(known)}." if known else "It takes none.",
                )
        return {
            name: parameter.parse(given[name]) if name in given else parameter.default
            for name, parameter in known.items()
        }


ANALYSES: dict[str, Analysis] = {
    analysis.name: analysis
    for analysis in (
        Analysis(
            name="predictions",
            title="Next tokens",
            function="interpboard.runs.predictions:predictions",
            axes=("rank",),
            meaning="probability of each of the most likely next tokens",
            scale="probability",
            parameters=(Parameter("top_k", int, 10, "how many tokens", minimum=1),),
        ),
        Analysis(
            name="integrated_gradients",
            title="Integrated gradients",
            function="interpboard.attribution.integrated_gradients:integrated_gradients",
            axes=("token",),
            meaning="share of metric(prompt) − metric(baseline) due to the token; "
            "positive: the token raised the metric",
            scale="diverging",
            parameters=(
                Parameter(
                    "n_steps",
                    int,
                    32,
                    "points on the path from baseline to prompt",
                    minimum=1,
                    maximum=1024,
                ),
                Parameter(
                    "baseline",
                    str,
                    "zero",
                    "start of the path: zero embeddings, or the mean of the vocabulary's",
                    choices=("zero", "mean"),
                ),
                Parameter(
                    "method",
                    str,
                    "gauss_legendre",
                    "quadrature rule along the path",
                    choices=("gauss_legendre", "trapezoid", "riemann_left", "riemann_right"),
                ),
            ),
        ),
        Analysis(
            name="logit_lens",
            title="Logit lens",
            function="interpboard.circuits.logit_lens:logit_lens",
            axes=("layer", "token"),
            meaning="probability of the target if the model ended after the layer",
            scale="probability",
            parameters=(Parameter("top_k", int, 10, "tokens kept per cell", minimum=1),),
        ),
        Analysis(
            name="head_ablation",
            title="Head ablation",
            function="interpboard.circuits.head_ablation:head_ablation",
            axes=("layer", "head"),
            meaning="effect = metric(ablated) − metric(clean); negative: the head helped",
            scale="diverging",
            parameters=(
                Parameter(
                    "ablation",
                    str,
                    "zero",
                    "what replaces the head's output z: zeros, or its mean over the prompt's positions",
                    choices=("zero", "mean"),
                ),
                Parameter("layers", int, None, "layers to ablate in, e.g. 0,3 (all)", many=True),
                Parameter("heads", int, None, "heads to ablate, e.g. 0,3 (all)", many=True),
            ),
        ),
    )
}


def find_analysis(name: str) -> Analysis:
    """The analysis called ``name``; raises ``BadParameter`` naming the nearest."""
    if name in ANALYSES:
        return ANALYSES[name]
    near = get_close_matches(name, ANALYSES, n=1)
    remedy = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(ANALYSES)}."
    raise BadParameter(f"There is no analysis {name!r}.", remedy)


def _article(kind: type) -> str:
    return {int: "a whole number", float: "a number", str: "text", bool: "true or false"}[kind]


def _whole(value: Any) -> int:
    number = int(value)
    if isinstance(value, float) and number != value:
        raise ValueError(value)
    return number


def _truth(value: Any) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if str(value).lower() not in words:
        raise ValueError(value)
    return words[str(value).lower()]


_CONVERT: dict[type, Callable[[Any], Any]] = {
    int: _whole,
    float: float,
    str: str,
    bool: _truth,
}
