"""What a head would write if it attended to a token, and which tokens that promotes: the OV circuit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from interpboard.circuits.direct.path import pull_back_rows
from interpboard.errors import Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.models.plain_linear import plain_linear
from interpboard.models.sites import at_site
from interpboard.results import PromptInfo
from interpboard.runs.finite import require_finite
from interpboard.runs.labels import require_tokens
from interpboard.runs.record import record
from interpboard.runs.watch import Watch

IN_A_ROW = 16
TOP = 5  # a token is copied if it is among as many that the head promotes


def promotion(lm: LanguageModel, layer: int, candidates: torch.Tensor) -> torch.Tensor:
    """How much a unit of each head's output raises each token's logit, [head, d_head, candidate].

    Through the output projection (and a norm behind it), the final norm and the unembedding, biases left
    out. The scale of a norm depends on all that is there; it is positive and the same for all
    candidates, so that their order is right, and their size means nothing.
    """
    require_tokens(lm, "What a head copies")
    anatomy = lm.anatomy
    head = plain_linear(anatomy.unembedding)
    if head is None:
        raise Unsupported(
            "The unembedding of this model is in a packed format that cannot be read."
        )
    unembedding = head[0]
    anywhere = torch.randn(anatomy.d_model, generator=torch.Generator().manual_seed(0))
    anywhere = anywhere.to(unembedding)
    directions, _ = pull_back_rows(
        anatomy.final_norm, anywhere, unembedding[candidates].detach(), "The final norm"
    )
    late = anatomy.attn_out[layer]
    if late is not anatomy.out_proj[layer]:
        directions, _ = pull_back_rows(late, anywhere, directions, "Attention's late norm")
    weight = _written_by(lm, layer)
    return weight @ directions.T.to(weight)


def _written_by(lm: LanguageModel, layer: int) -> torch.Tensor:
    """The output projection, [head, d_head, d_model]. Raises ``Unsupported`` where it is packed."""
    found = plain_linear(lm.anatomy.out_proj[layer])
    if found is None or found[0].T.shape != (
        lm.anatomy.n_heads * lm.anatomy.d_head[layer],
        lm.anatomy.d_model,
    ):
        raise Unsupported("The output projections of this model cannot be read by head.")
    return found[0].T.unflatten(0, (lm.anatomy.n_heads, -1))


@torch.no_grad()
def moved_alone(
    lm: LanguageModel, prefix: Sequence[int], tokens: torch.Tensor, watch: Watch
) -> Iterator[torch.Tensor]:
    """Layer by layer, what each head moves [token, head, d_head] from ``tokens`` [token] it sees alone.

    Into layer 0 goes the token's embedding, at a position as it comes among the others behind
    ``prefix``; into every later layer what layer 0 makes of it, its MLP included (Wang et al. 2023).
    Nothing else stands there, so that every head attends to it. Raises ``Unsupported`` where layers
    cannot be called again.
    """
    if lm.verified.path != "replay":
        raise Unsupported("The layers of this model cannot be called one by one.")
    streams = _embedded(lm, prefix, tokens)
    calls = record(lm, plain_prompt(tokens[:1].tolist())).calls
    for layer, call in enumerate(calls):
        watch.check()
        seen: list[torch.Tensor] = []
        with at_site(lm.anatomy, "z", layer, lambda z: seen.append(z.clone())):  # noqa: B023
            after = call.replay(streams[:, None].to(call.hidden[:]))[:, 0]
        require_finite(lm, "What a head moves alone", seen[0], after)
        if layer == 0:
            streams = after
        yield seen[0][:, 0]


def plain_prompt(token_ids: Sequence[int]) -> PromptInfo:
    """A prompt of ids, whose text nobody asks for."""
    return PromptInfo("", tuple(str(i) for i in token_ids), tuple(int(i) for i in token_ids))


def _embedded(lm: LanguageModel, prefix: Sequence[int], tokens: torch.Tensor) -> torch.Tensor:
    """Input of layer 0 [token, d_model] for each of ``tokens``, a few in a row."""
    # The first position is an outlier in many models: a token that is not asked about holds it.
    ahead = [*prefix, int(tokens[-1])]
    room = IN_A_ROW if lm.anatomy.context is None else lm.anatomy.context - len(ahead)
    if room < 1:
        raise Unsupported(f"A context of {lm.anatomy.context} has no room for a token to be moved.")
    rows = []
    for part in tokens.split(min(IN_A_ROW, room)):
        run = record(lm, plain_prompt([*ahead, *part.tolist()]))
        rows.append(run.calls[0].hidden[0, len(ahead) :])
    return torch.cat(rows)
