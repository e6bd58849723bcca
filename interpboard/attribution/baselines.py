"""Where paths of embeddings begin: an input that says nothing."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from interpboard.errors import BadParameter, BadTarget
from interpboard.models.calls import embeddings_of
from interpboard.models.language_model import LanguageModel
from interpboard.results import PromptInfo
from interpboard.runs.edits import Counterfactual, Edit
from interpboard.runs.gradients.embeddings import prompt_embeddings, wide
from interpboard.runs.prompt import make_prompt, show_tokens
from interpboard.runs.references import named_id, resolve_token

BASELINES = ("zero", "mean", "pad", "text")
_TOKENS_A_STEP = 8192


@torch.no_grad()
def baseline_embeddings(
    lm: LanguageModel, prompt: PromptInfo, name: str, text: str = ""
) -> torch.Tensor:
    """Embeddings [pos, d_model] that the prompt is compared with.

    ``zero``; the ``mean`` of the vocabulary's; the tokenizer's ``pad`` token; ``text``: one token, by its
    text inside a text or its id as ``#161``, at every position, or as many tokens as the prompt has, one for
    each. Raises ``BadParameter``.
    """
    inputs = prompt_embeddings(lm, prompt)
    if text and name != "text":
        raise BadParameter(
            f"baseline_text is given, the baseline is {name}.", "Use baseline=text with it."
        )
    if name == "zero":
        return torch.zeros_like(inputs[:1]).expand_as(inputs)
    if name == "mean":
        total = torch.zeros(inputs.shape[-1], dtype=wide(inputs), device=inputs.device)
        for ids in torch.arange(lm.anatomy.d_vocab, device=inputs.device).split(_TOKENS_A_STEP):
            total += embeddings_of(lm.anatomy, ids).to(total.dtype).sum(0)
        return (total / lm.anatomy.d_vocab).to(inputs.dtype).expand_as(inputs)
    if name not in BASELINES:
        raise BadParameter(f"There is no baseline {name!r}.", f"Use {', '.join(BASELINES)}.")
    ids = _pad(lm) if name == "pad" else _text(lm, prompt, text)
    return embeddings_of(lm.anatomy, torch.tensor(ids, device=lm.device)).expand_as(inputs)


def taken_away(positions: Sequence[int], instead: torch.Tensor) -> Counterfactual:
    """``positions`` with what ``instead`` [pos, d_model] has there in place of their embeddings."""
    return (Edit("embed", 0, "patch", positions=tuple(positions), value=instead, by_position=True),)


def _pad(lm: LanguageModel) -> tuple[int, ...]:
    pad = lm.tokenizer.pad_token_id
    if pad is None:
        raise BadParameter("The tokenizer has no pad token.", "Use zero, mean or text.")
    return (int(pad),)


def _text(lm: LanguageModel, prompt: PromptInfo, text: str) -> tuple[int, ...]:
    if not text:
        raise BadParameter("The baseline text needs baseline_text.", "Give one token or a text.")
    try:
        return (resolve_token(lm, text, "baseline").id,)
    except BadTarget as error:
        if named_id(text) is not None:
            raise BadParameter(error.message, error.remedy) from error
    other = make_prompt(lm, text)
    if len(other.token_ids) != len(prompt.token_ids):
        raise BadParameter(
            f"The baseline has {len(other.token_ids)} tokens, {show_tokens(other.tokens)}; "
            f"the prompt has {len(prompt.token_ids)}, {show_tokens(prompt.tokens)}.",
            "Give one token, by its text or its id as #161, or as many as the prompt.",
        )
    return other.token_ids
