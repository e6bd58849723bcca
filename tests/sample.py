"""Documents made by hand and by chance, for tests that need no model."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from interpboard.results import (
    Axis,
    Document,
    LabelledArray,
    MadeBy,
    MetricInfo,
    ModelInfo,
    PromptInfo,
    Result,
    TokenRef,
    layer_axis,
    text_array,
    token_axis,
)

TOKENS = ("The", " Eiffel", " Tower", " is", " located", " in", " the", " city", " of")
LAYERS, HEADS = 3, 4
HOSTILE = (
    "\x1b[31m",
    "[/bold]",
    "\u202eabc",
    "a|b`<script>",
    "\n",
    "日本語",
    "🎉",
    "\x00",
    "\x9b2J",
)
METRIC = MetricInfo("logit", 8, TokenRef(11, " Paris"), None)
MADE_BY = MadeBy("0.1.0", "2.13.0", "5.23.0", 0, "replay")


def result(
    analysis: str,
    axes: tuple[Axis, ...],
    values: Any,
    extra: dict[str, Any] | None = None,
    **more: Any,
) -> Result:
    """A result with plain answers to what is not asked."""
    plain: dict[str, Any] = {
        "params": {}, "metric": METRIC, "baseline": 12.34, "elapsed_s": 0.25, "made_by": MADE_BY
    }  # fmt: skip
    return Result(
        analysis=analysis, axes=axes, values=np.asarray(values), extra=extra or {}, **(plain | more)
    )


def document(*results: Result, tokens: tuple[str, ...] = TOKENS, model: str = "demo") -> Document:
    """A document of ``results`` on ``tokens``."""
    return Document(
        model=ModelInfo(model, None, "llama", LAYERS, HEADS, "float32", "cpu"),
        prompt=PromptInfo("".join(tokens), tokens, tuple(range(len(tokens)))),
        results=results,
    )


def predictions(tokens: tuple[str, ...] = (" Paris", " Rome", " London")) -> Result:
    """Next tokens, the first with probability 0.81."""
    rank = (Axis("rank", tuple(str(i + 1) for i in range(len(tokens)))),)
    extra = {
        "token_ids": LabelledArray(rank, np.arange(11, 11 + len(tokens))),
        "tokens": LabelledArray(rank, text_array(list(tokens))),
    }
    return result(
        "predictions", rank, [0.81 / 8**i for i in range(len(tokens))], extra, params={"top_k": 3}
    )


def gradients(tokens: tuple[str, ...] = TOKENS) -> Result:
    """A score a token: −1 on the first, +0.5 on the second, the rest not known."""
    values = np.full(len(tokens), np.nan)
    values[:2] = (-1.0, 0.5)[: len(tokens)]
    delta = {"delta": LabelledArray((), np.array(0.00123))}
    params = {"n_steps": 32, "baseline": "zero"}
    return result("integrated_gradients", (token_axis(tokens),), values, delta, params=params)


def lens(tokens: tuple[str, ...] = TOKENS) -> Result:
    """``embed`` and three layers; row l has at position p the token `` l.p``, p(target) = l/4."""
    axes = (layer_axis(LAYERS, embed=True), token_axis(tokens))
    shape = (LAYERS + 1, len(tokens))
    top = [[[f" {row}.{column}"] for column in range(shape[1])] for row in range(shape[0])]
    values = np.repeat(np.arange(shape[0])[:, None] / 4, shape[1], axis=1)
    extra = {"top_tokens": LabelledArray((*axes, Axis("top", ("1",))), text_array(top))}
    return result("logit_lens", axes, values, extra, params={"top_k": 1})


def ablation() -> Result:
    """Effects −1.5 at layer 1 head 2, +0.25 at layer 0 head 0, NaN at layer 2 head 3, else 0."""
    values = np.zeros((LAYERS, HEADS))
    values[1, 2], values[0, 0], values[2, 3] = -1.5, 0.25, np.nan
    heads = Axis("head", tuple(str(i) for i in range(HEADS)))
    return result(
        "head_ablation", (layer_axis(LAYERS), heads), values,
        params={"ablation": "zero", "layers": None, "heads": None},
    )  # fmt: skip


def full() -> Document:
    """All analyses on the prompt of the Eiffel Tower."""
    return document(predictions(), gradients(), lens(), ablation())


def hostile() -> Document:
    """The same on tokens that would act if they could, with a hostile model name and warning."""
    bad = result(
        "unheard_of", (Axis("score", HOSTILE),), np.linspace(-1, 1, len(HOSTILE)),
        params={"\x1b]0;title\x07": "[red]"}, warnings=("\x1b[2Jgone",),
    )  # fmt: skip
    return document(
        predictions(HOSTILE), gradients(HOSTILE), lens(HOSTILE), ablation(), bad,
        tokens=HOSTILE, model="evil\x1b[31m/[bold]model",
    )  # fmt: skip


any_text = st.text(st.characters(codec="utf-8"), max_size=12)
any_number = st.one_of(st.floats(), st.floats(-100, 100))


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """Documents with any tokens and any numbers, NaN, infinities and NUL included."""
    tokens = tuple(draw(st.lists(any_text, min_size=1, max_size=6)))
    scores = draw(st.lists(any_number, min_size=len(tokens), max_size=len(tokens)))
    grid = draw(st.lists(any_number, min_size=len(tokens) * 2, max_size=len(tokens) * 2))
    axes = (Axis("layer", ("0", "1")), token_axis(tokens))
    tops = LabelledArray((token_axis(tokens),), text_array(list(tokens)))
    return document(
        result("integrated_gradients", (token_axis(tokens),), scores, {"names": tops}),
        result("something_new", axes, np.array(grid).reshape(2, -1), warnings=(draw(any_text),)),
        predictions(tokens),
        lens(tokens),
        tokens=tokens,
        model=draw(any_text),
    )
