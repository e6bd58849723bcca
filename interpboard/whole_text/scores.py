"""What a run says of the tokens that come next, position by position, a block of positions at a time.

The logits of a whole window would be its length times the vocabulary: no more of them are held than
``_LOGITS_A_BLOCK``, and of each position only what is asked for is kept.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import NamedTuple

import numpy as np
import torch

from interpboard.models.finite import Tally
from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import most_numbers
from interpboard.models.unembedding import run_body, unembed
from interpboard.results import PromptInfo
from interpboard.runs.edits import Counterfactual
from interpboard.runs.finite import require, require_logits, run_words
from interpboard.runs.metrics import at_least_float32
from interpboard.runs.prompt import input_ids
from interpboard.runs.record import enter_edits
from interpboard.runs.shared import body_together
from interpboard.runs.watch import Watch

_LOGITS_A_BLOCK = 1 << 22


class TokenScores(NamedTuple):
    """Of each predicted token, [token]: its ``loss`` (−ln p, nats), its ``rank`` (1: the likeliest), the
    ``entropy`` of the prediction in nats, the id of the ``likeliest`` token and its probability
    ``likeliest_prob``."""

    loss: np.ndarray
    rank: np.ndarray
    entropy: np.ndarray
    likeliest: np.ndarray
    likeliest_prob: np.ndarray


@torch.no_grad()
def token_scores(
    lm: LanguageModel, prompt: PromptInfo, edits: Counterfactual, first: int, watch: Watch
) -> TokenScores:
    """Scores of the tokens ``first`` to the last of ``prompt``, each given those before it, with ``edits``
    made. Raises ``NotFinite``."""
    about = run_words(prompt, edited=bool(edits))
    body = None if edits else body_together(lm, prompt)
    if body is None:
        body = _run(lm, prompt, edits, about)
    hidden = body[0, first - 1 : -1]
    said = torch.tensor(prompt.token_ids[first:], device=hidden.device)
    size = max(1, most_numbers(_LOGITS_A_BLOCK, hidden.device, 16) // lm.anatomy.d_vocab)
    blocks = []
    for start in range(0, len(said), size):
        watch.check()
        logits = unembed(lm.anatomy, hidden[start : start + size])
        require_logits(lm, about, logits)
        blocks.append(read_scores(logits, said[start : start + size].to(logits.device)))
    return TokenScores(*(torch.cat(part).cpu().numpy() for part in zip(*blocks, strict=True)))


def _run(lm: LanguageModel, prompt: PromptInfo, edits: Counterfactual, about: str) -> torch.Tensor:
    """Final hidden states [1, pos, d_model]."""
    tally = Tally(1)
    with ExitStack() as stack:
        enter_edits(stack, lm, (edits,), lambda _edit: True, tally=tally)
        stack.enter_context(tally.over(lm.anatomy))
        body: torch.Tensor = run_body(lm.anatomy, input_ids(lm, prompt)).last_hidden_state
    require(tally, lm, about)
    return body


def read_scores(logits: torch.Tensor, said: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """In the order of ``TokenScores``, of ``logits`` [token, d_vocab] and the tokens that came."""
    logits = at_least_float32(logits)
    top = logits.max(-1)
    logits = logits - top.values[:, None]
    weights = logits.exp()
    total = weights.sum(-1)
    own = logits.gather(-1, said[:, None])
    # A token that the model masks has the weight 0 and the logit −∞: it counts nothing.
    expected = (weights * logits.clamp(min=torch.finfo(logits.dtype).min)).sum(-1) / total
    return (
        (total.log() - own[:, 0]).double(),
        1 + (logits > own).sum(-1),
        (total.log() - expected).clamp(min=0).double(),
        top.indices,
        (1 / total).double(),
    )
