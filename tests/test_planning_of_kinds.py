"""Plans of what is no plain decoder of plain text: encoders, classifiers, chats, packed weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from interpboard.analyze import analyze
from interpboard.models.language_model import LanguageModel
from interpboard.planning import plan
from interpboard.results import Chat, Message
from interpboard.runs.chat import prompt_of
from tests import masked, strips
from tests.classifiers import classifier
from tests.lm import TEXT, tiny_lm
from tests.models.test_quantised import opened
from tests.runs.test_chat import chat_lm

Asked = tuple[LanguageModel, str | Chat]

pytestmark = pytest.mark.usefixtures("changed_on_purpose")  # layers are counted by hooks


def by_hooks() -> Asked:
    """A model of which no layer can be replayed: every edited run is a whole pass."""
    lm = tiny_lm()
    return dataclasses.replace(lm, verified=dataclasses.replace(lm.verified, path="hooks")), TEXT


KINDS: dict[
    str, tuple[Callable[[], Asked], float]
] = {  # and how near the count is, of rows left out
    "encoder": (lambda: (masked.masked_lm("bert", torch.float32), masked.TEXT), 0.02),
    "encoder-decoder": (lambda: (strips.strips_lm("t5"), strips.TEXT), 0.07),
    "classifier": (lambda: (classifier("gpt2", torch.float32), "the city of Paris is good"), 0.02),
    "by hooks": (by_hooks, 0.02),
    "4 bits": (lambda: (opened("4bit"), TEXT), 0.07),
    "LLM.int8": (lambda: (opened("8bit"), TEXT), 0.02),
    "int8": (lambda: (opened("int8"), TEXT), 0.07),
    "chat": (lambda: (chat_lm(), Chat((Message("user", "a cat sat on the mat"),))), 0.02),
}
CASES: list[tuple[str, dict[str, Any]]] = [
    ("head_ablation", {}),
    ("shapley", {"samples": 3}),
    ("causal_trace", {"subject": [1, 2], "samples": 2}),
    ("integrated_gradients", {"n_steps": 24}),
    ("logit_lens", {}),
]


@contextmanager
def counted_modules(lm: LanguageModel) -> Iterator[list[int]]:
    """Tokens that layers were run for, each module once however many layers are in it."""
    seen = [0]

    def hook(_module: Any, args: Any, kwargs: Any, _output: Any) -> None:
        hidden = args[0] if args else kwargs["hidden_states"]
        seen[0] += hidden.shape[0] * hidden.shape[1]

    modules = dict.fromkeys(lm.anatomy.layers)
    handles = [module.register_forward_hook(hook, with_kwargs=True) for module in modules]
    yield seen
    for handle in handles:
        handle.remove()


# How packed weights are run is the same for these as for the others.
OF_PACKED = ("head_ablation", "integrated_gradients")
EACH = [
    (kind, analysis, params)
    for kind in KINDS
    for analysis, params in CASES
    if kind not in ("4 bits", "LLM.int8", "int8") or analysis in OF_PACKED
]


@pytest.mark.parametrize(
    ("kind", "analysis", "params"), EACH, ids=[f"{kind}-{name}" for kind, name, _ in EACH]
)
def test_the_passes_planned_are_those_run_and_one_pass_is_a_plain_run_of_the_prompt(
    kind: str, analysis: str, params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERPBOARD_BATCH_TOKENS", "24")
    made, near = KINDS[kind]
    lm, text = made()
    with counted_modules(lm) as plain:
        analyze(lm, text, ("predictions",))
    one = plain[0]
    (planned,) = plan(lm, text, (analysis,), params={analysis: params})
    with counted_modules(lm) as seen:
        analyze(lm, text, (analysis,), params={analysis: params})
    # A layer's keys and values are made once, by the first step that needs them: it may be one left out.
    assert planned.forward_passes == pytest.approx(seen[0] / one, rel=near, abs=0.6)
    assert planned.tokens == len(prompt_of(lm, text)[1].token_ids)
