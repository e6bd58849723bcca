"""What an encoder says of each token of a text while that token is masked: its pseudo-likelihood.

An encoder has no order in which it reads, so no chain of probabilities makes that of a text. What is scored
instead is each token given all others, itself replaced by the mask: a forward pass a token, several at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

import numpy as np
import torch
from msgspec.structs import replace

from interpboard.errors import Unsupported
from interpboard.models.finite import Tally
from interpboard.models.language_model import LanguageModel
from interpboard.models.unembedding import run_body, unembed
from interpboard.results import PromptInfo
from interpboard.runs.edits import Counterfactual
from interpboard.runs.finite import require, require_logits, run_words
from interpboard.runs.prompt import input_ids
from interpboard.runs.record import enter_edits
from interpboard.runs.watch import Watch
from interpboard.whole_text.scores import TokenScores, read_scores

_TOKENS_A_BATCH = 4096
EditsOf = Callable[[PromptInfo], Counterfactual]


def mask_of(lm: LanguageModel) -> int:
    """The id of the mask token; raises ``Unsupported`` where the tokenizer has none."""
    mask = getattr(lm.tokenizer, "mask_token_id", None)
    if mask is None:
        raise Unsupported(
            "Tokens are scored by masking each in turn, and this tokenizer has no mask token.",
            "Use a tokenizer that has one.",
        )
    return int(mask)


@torch.no_grad()
def masked_scores(
    lm: LanguageModel, prompt: PromptInfo, edits_of: EditsOf, places: Sequence[int], watch: Watch
) -> TokenScores:
    """Scores of the tokens of ``prompt`` at ``places``, each while it alone is masked, with the edits that
    ``edits_of`` the prompt so masked are.

    A mask that the prompt itself has is no word: its loss and rank are NaN, and it stays masked for the
    others. Raises ``NotFinite``, ``Unsupported`` where there is no mask token.
    """
    mask = mask_of(lm)
    size = 1 if lm.verified.alone else max(1, _TOKENS_A_BATCH // len(prompt.token_ids))
    parts = []
    for start in range(0, len(places), size):
        watch.step(start, len(places))
        parts.append(_batch(lm, prompt, edits_of, places[start : start + size], mask))
    watch.step(len(places), len(places))
    found = TokenScores(*(np.concatenate(part) for part in zip(*parts, strict=True)))
    was_mask = np.array([prompt.token_ids[at] == mask for at in places])
    return found._replace(
        loss=np.where(was_mask, np.nan, found.loss), rank=np.where(was_mask, np.nan, found.rank)
    )


def _batch(
    lm: LanguageModel, prompt: PromptInfo, edits_of: EditsOf, places: Sequence[int], mask: int
) -> tuple[np.ndarray, ...]:
    rows = [edits_of(masked_at(prompt, at, mask, lm.tokenizer.mask_token)) for at in places]
    about = run_words(prompt, edited=any(rows))
    ids = input_ids(lm, prompt).repeat(len(places), 1)
    row, at = torch.arange(len(places), device=ids.device), torch.tensor(places, device=ids.device)
    ids[row, at] = mask
    tally = Tally(len(places))
    with ExitStack() as stack:
        enter_edits(stack, lm, rows, lambda _edit: True, tally=tally)
        stack.enter_context(tally.over(lm.anatomy))
        hidden = run_body(lm.anatomy, ids).last_hidden_state
    require(tally, lm, about)
    logits = unembed(lm.anatomy, hidden[row.to(hidden.device), at.to(hidden.device)])
    require_logits(lm, about, logits)
    said = torch.tensor([prompt.token_ids[place] for place in places], device=logits.device)
    return tuple(part.cpu().numpy() for part in read_scores(logits, said))


def masked_at(prompt: PromptInfo, at: int, mask: int, text: str) -> PromptInfo:
    """``prompt`` with the mask in the place of one token."""
    ids, tokens = list(prompt.token_ids), list(prompt.tokens)
    ids[at], tokens[at] = mask, text
    return replace(prompt, token_ids=tuple(ids), tokens=tuple(tokens), text="".join(tokens))
