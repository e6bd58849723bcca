"""Examples as the model sees them: tokens, answers, and a corrupted partner that is as long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from interpboard.circuits.discovery.examples import Example
from interpboard.errors import BadPrompt, BadTarget, Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.results import PromptInfo
from interpboard.runs.finite import prompt_logits
from interpboard.runs.labels import label_head, label_position, resolve_target
from interpboard.runs.metrics import asked_position, at_least_float32, fills_masks
from interpboard.runs.prompt import make_prompt, show_tokens, without_appended
from interpboard.runs.references import named_id
from interpboard.runs.strip_prompt import in_same_strips, refuse_another_border
from interpboard.runs.watch import SILENT, Watch

MEASURES = ("logit_diff", "prob_diff")


@dataclass(frozen=True)
class TokenizedExample:
    """An example as the model sees it; ``corrupted`` is as long as ``clean``, or None.

    ``position``: where the behaviour is read. ``patched_together``: no whole prompt fitted, so the
    corrupted one is made of two.
    """

    clean: PromptInfo
    corrupted: PromptInfo | None
    targets: tuple[int, ...]
    foils: tuple[int, ...]
    position: int
    patched_together: bool = False


def tokenize_examples(
    lm: LanguageModel, examples: Sequence[Example], *, partners: bool = True, watch: Watch = SILENT
) -> list[TokenizedExample]:
    """Examples as tokens, with what they leave open found for them.

    The corrupted prompt, with ``partners``: the example's own with its subject swapped for another
    example's; without a subject the most similar prompt of equal length; where there is none, the own
    one with as many of another's tokens as fit in front of the end that both share
    (``patched_together``). The target: the model's own top token. The foil: the partner's target,
    or the model's top token on the corrupted prompt.

    Raises ``BadPrompt`` where no partner fits, ``BadTarget`` where target and foil are the same.
    """
    prompts = [_made(lm, example.clean) for example in examples]
    reads = [_reading(lm, prompt) for prompt in prompts]
    targets = [
        _ids(lm, example.target, "target") or (_top(lm, prompt, watch),)
        for example, prompt in zip(examples, prompts, strict=True)
    ]
    cases = []
    for index, (example, prompt) in enumerate(zip(examples, prompts, strict=True)):
        foils = _ids(lm, example.foil, "foil")
        corrupted, patched = None, False
        if example.corrupted is not None:
            other_text = in_same_strips(prompt, example.corrupted)
            corrupted = require_equal_length(prompt, _made(lm, other_text))
            require_same_reading(lm, prompt, corrupted)
        elif partners:
            corrupted, other, patched = _partner(lm, examples, prompts, targets, index)
            foils = foils or targets[other]
        if not foils and corrupted is not None:
            foils = (_top(lm, corrupted, watch),)
        if set(foils) & set(targets[index]):
            raise BadTarget(
                f"Target and foil of {example.clean!r} are the same.", "Name a target and a foil."
            )
        cases.append(
            TokenizedExample(prompt, corrupted, targets[index], foils, reads[index], patched)
        )
    if len({bool(case.foils) for case in cases}) > 1:
        raise BadTarget("Some examples have a foil and some have none.", "Name one for each.")
    return cases


def require_equal_length(clean: PromptInfo, corrupted: PromptInfo) -> PromptInfo:
    """``corrupted`` as it is; raises ``BadPrompt`` unless it is as long as ``clean`` and another prompt."""
    refuse_another_border(clean, corrupted, "corrupted partner")
    if len(clean.token_ids) != len(corrupted.token_ids):
        raise BadPrompt(
            f"The clean prompt has {len(clean.token_ids)} tokens, its corrupted partner "
            f"{len(corrupted.token_ids)}: {show_tokens(clean.tokens)} against "
            f"{show_tokens(corrupted.tokens)}.",
            "Choose a corrupted prompt that is equally long.",
        )
    if clean.token_ids == corrupted.token_ids:
        raise BadPrompt(
            f"{clean.text!r} and its corrupted partner are the same.", "Change a token."
        )
    return corrupted


def require_same_reading(lm: LanguageModel, clean: PromptInfo, corrupted: PromptInfo) -> None:
    """Raise ``BadPrompt`` where a masked model has its mask elsewhere in the partner: what it says of other
    places would be compared."""
    if not fills_masks(lm):
        return
    masks = lm.tokenizer.mask_token_id
    here, there = (
        [at for at, token in enumerate(prompt.token_ids) if token == masks]
        for prompt in (clean, corrupted)
    )
    if here != there:
        raise BadPrompt(
            f"The mask of {clean.text!r} and that of its corrupted partner are not at the same position.",
            "Choose a corrupted prompt with the mask where it was.",
        )


def measured(logits: torch.Tensor, cases: Sequence[TokenizedExample], measure: str) -> torch.Tensor:
    """The behaviour [row] in ``logits`` [row, d_vocab], in at least float32, one case a row.

    ``logit_diff``: mean logit of the targets − mean logit of the foils (without foils the targets'
    alone). ``prob_diff``: probability of all targets − probability of all foils.
    """
    values = at_least_float32(logits)
    if measure == "prob_diff":
        values = values.softmax(-1)
    rows = []
    for row, case in zip(values, cases, strict=True):
        right, wrong = row[list(case.targets)], row[list(case.foils)]
        if measure == "prob_diff":
            rows.append(right.sum() - wrong.sum())
        else:
            rows.append(right.mean() - wrong.mean() if case.foils else right.mean())
    return torch.stack(rows)


def _ids(lm: LanguageModel, words: tuple[str, ...] | None, role: str) -> tuple[int, ...]:
    found = []
    for word in words or ():
        try:
            found.append(resolve_target(lm, word, role).id)
        except BadTarget as error:
            if not word.strip() or named_id(word) is not None:
                raise
            try:
                other = word[1:] if word.startswith(" ") else " " + word
                found.append(resolve_target(lm, other, role).id)
            except BadTarget:
                raise error from None
    return tuple(found)


def _made(lm: LanguageModel, text: str) -> PromptInfo:
    """``text`` up to its end, which is explained: not what the tokenizer puts behind it."""
    prompt, head = make_prompt(lm, text), label_head(lm)
    if head is not None and head.reads == "max":
        raise Unsupported(
            "A circuit explains what is read at a token or as a mean of all, and this model pools the "
            "largest over all tokens.",
            "Use patching or head_ablation, or open it with --pooling mean.",
        )
    if not lm.verified.causal:
        return prompt
    if head is None:
        return without_appended(prompt)
    if head.reads_all or head.position(prompt.token_ids) != len(prompt.token_ids) - 1:
        raise Unsupported(
            "A circuit of a decoder explains what is read at the last token, and this model's head reads "
            "another.",
            "Use patching or head_ablation.",
        )
    return prompt


def _reading(lm: LanguageModel, prompt: PromptInfo) -> int:
    """The position at which the model is asked. Raises ``BadPosition`` where there is not one mask."""
    head = label_head(lm)
    if head is not None and not lm.verified.causal:
        return label_position(lm, head, prompt, -1)
    if fills_masks(lm):
        return asked_position(lm, prompt, -1)
    return len(prompt.token_ids) - 1


@torch.no_grad()
def _top(lm: LanguageModel, prompt: PromptInfo, watch: Watch) -> int:
    watch.check()
    return int(prompt_logits(lm, prompt, _reading(lm, prompt)).argmax())


def _partner(
    lm: LanguageModel,
    examples: Sequence[Example],
    prompts: Sequence[PromptInfo],
    targets: Sequence[tuple[int, ...]],
    index: int,
) -> tuple[PromptInfo, int, bool]:
    """A corrupted prompt for example ``index``, the example that it was made with, and whether it had
    to be patched together."""
    prompt, subject = prompts[index], examples[index].subject
    others = [j for j in range(len(prompts)) if not set(targets[j]) & set(targets[index])]
    if subject is not None:
        for other in others:
            swapped = _swapped(lm, examples[index], examples[other])
            if swapped is not None and _shape(lm, swapped) == _shape(lm, prompt):
                return swapped, other, False
    else:
        fitting = [j for j in others if _shape(lm, prompts[j]) == _shape(lm, prompt)]
        if fitting:
            other = max(fitting, key=lambda j: _agreement(prompt, prompts[j]))
            return prompts[other], other, False
        for other in () if prompt.border or not lm.verified.causal else others:
            mixed = _patched_together(prompt, prompts[other])
            if mixed is not None:
                return mixed, other, True
    raise BadPrompt(
        f"No other prompt of {len(prompt.token_ids)} tokens and another answer can corrupt "
        f"{prompt.text!r}.",
        "Give a corrupted partner: clean => corrupted.",
    )


def _shape(lm: LanguageModel, prompt: PromptInfo) -> tuple[int, int, int]:
    """How long all of it is, and its source where it has two strips; and where it is read."""
    return len(prompt.token_ids), prompt.border, _reading(lm, prompt)


def _patched_together(own: PromptInfo, other: PromptInfo) -> PromptInfo | None:
    """``own`` with tokens of ``other`` in front of the end that both share; None if nothing is left."""
    shared = 0
    while own.token_ids[-1 - shared :][:1] == other.token_ids[-1 - shared :][:1]:
        shared += 1
        if shared == min(len(own.token_ids), len(other.token_ids)):
            return None
    ends = [len(each.token_ids) - shared for each in (own, other)]
    begins = 0
    while begins < min(ends) and own.token_ids[begins] == other.token_ids[begins]:
        begins += 1
    count = min(ends) - begins
    if count == 0:
        return None
    mine, theirs = (slice(end - count, end) for end in ends)
    ids = own.token_ids[: mine.start] + other.token_ids[theirs] + own.token_ids[mine.stop :]
    tokens = own.tokens[: mine.start] + other.tokens[theirs] + own.tokens[mine.stop :]
    return PromptInfo("".join(tokens), tokens, ids)


def _swapped(lm: LanguageModel, example: Example, other: Example) -> PromptInfo | None:
    assert example.subject is not None
    if example.subject not in example.clean:
        raise BadPrompt(
            f"The subject {example.subject!r} is not in {example.clean!r}.",
            "Write it as it stands there.",
        )
    if other.subject is None or other.subject == example.subject:
        return None
    return _made(lm, example.clean.replace(example.subject, other.subject))


def _agreement(a: PromptInfo, b: PromptInfo) -> int:
    return sum(x == y for x, y in zip(a.token_ids, b.token_ids, strict=True))
