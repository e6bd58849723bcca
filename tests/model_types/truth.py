"""What an opened model computes beside plain hooked forwards of the unmodified one: the largest error.

The oracle of each number is a forward pass with hooks of our own (``plain_hooks``). An error is relative to
the spread of the clean logits or to the number itself, whichever is larger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch

from interpboard.attribution.occlusion import occlusion
from interpboard.circuits.heads.ablation import head_ablation
from interpboard.circuits.lens.logit import logit_lens
from interpboard.errors import InterpBoardError
from interpboard.models.calls import embeddings_of
from interpboard.models.language_model import LanguageModel
from interpboard.patching.activation import activation_patching
from interpboard.results import MetricRequest, PromptInfo
from interpboard.runs.edits import Edit
from interpboard.runs.metrics import Metric, resolve_metric
from interpboard.runs.prompt import make_prompt
from interpboard.runs.record import record
from interpboard.runs.replay import evaluate
from tests.plain_hooks import Act, plain_activations, plain_logits, plain_metric

TEXT, OTHER = "Mary gave the keys to John in the city", "John gave the keys to Mary in the city"
Pairs = Iterator[tuple[float, float]]  # ours, and that of the plain forward


def compare(lm: LanguageModel, every: int = 1) -> dict[str, float | str]:
    """The largest error of each check; or, as words, why it could not be made or what is wrong with it.
    ``every``: of how many positions one is looked at."""
    prompt, other = make_prompt(lm, TEXT), make_prompt(lm, OTHER)
    position = -1 if lm.verified.causal else len(prompt.tokens) // 2  # as if it were masked
    metric = resolve_metric(lm, prompt, MetricRequest(name="logit", position=position))
    spread = float(plain_logits(lm, prompt, [])[0].std())
    found: dict[str, float | str] = {}
    for name, pairs in _CHECKS.items():
        try:
            numbers = np.array(list(pairs(lm, prompt, other, metric, every)))
        except InterpBoardError as error:
            found[name] = f"refused: {error.message}"
            continue
        ours, plain = numbers[:, 0], numbers[:, 1]
        if not np.isfinite(numbers).all():
            found[name] = "wrong: not finite"
        elif len(ours) > 1 and not (ours - metric.baseline).any():
            found[name] = "wrong: nothing has an effect"
        else:
            size = np.maximum(np.abs(plain), spread) if name != "lens" else np.abs(plain)
            found[name] = float(np.max(np.abs(ours - plain) / size))
    return found


def _put(value: torch.Tensor, position: int | None = None, head: int | None = None) -> Act:
    """``value`` [pos, …] in an activation [1, pos, …], whole or at a position or a head of it."""

    def act(activation: torch.Tensor) -> torch.Tensor:
        new = activation.clone()
        at = slice(None) if position is None else position
        if head is None:
            new[0, at] = value[at].to(new)
        else:
            new[0, at, head] = value[at, head].to(new)
        return new

    return act


def _ablation(
    lm: LanguageModel, prompt: PromptInfo, _other: PromptInfo, metric: Metric, _every: int
) -> Pairs:
    values = head_ablation(lm, prompt, metric).values
    for layer in lm.verified.layers_with("z"):
        for head in range(lm.anatomy.n_heads):
            size = lm.anatomy.d_head[layer]
            nothing = torch.zeros(len(prompt.tokens), lm.anatomy.n_heads, size)
            plain = plain_metric(lm, prompt, metric, [("z", layer, _put(nothing, None, head))])
            yield metric.baseline + float(values[layer, head]), plain


def _whole_layers(
    lm: LanguageModel, prompt: PromptInfo, _other: PromptInfo, metric: Metric, _every: int
) -> Pairs:
    """What mixes tokens in a layer, and its MLP, ablated as a whole."""
    run = record(lm, prompt)
    nothing = torch.zeros(len(prompt.tokens), lm.anatomy.d_model)
    for site in ("attn_out", "mlp_out"):
        having = [i for i in range(lm.anatomy.n_layers) if site in lm.verified.at(i)]
        for layer in having or lm.verified.layers_with("attn_out"):
            if layer not in having:
                continue
            ours = evaluate(run, [(Edit(site, layer, "zero"),)], metric)
            yield float(ours[0]), plain_metric(lm, prompt, metric, [(site, layer, _put(nothing))])


def _patching(
    lm: LanguageModel, prompt: PromptInfo, other: PromptInfo, metric: Metric, every: int, site: str
) -> Pairs:
    """Activations of the clean run put into that of the other prompt."""
    values = activation_patching(lm, prompt, metric, corrupted=OTHER, site=site).extra["metric"]
    clean = plain_activations(lm, prompt, (site,), lm.verified.layers_with(site))
    for (_site, layer), value in clean.items():
        for at in range(0, values.values.shape[1], every if site != "z" else 1):
            act = _put(value, None, at) if site == "z" else _put(value, at)
            yield (
                float(values.values[layer, at]),
                plain_metric(lm, other, metric, [(site, layer, act)]),
            )


def _occlusion(
    lm: LanguageModel, prompt: PromptInfo, _other: PromptInfo, metric: Metric, every: int
) -> Pairs:
    values = occlusion(lm, prompt, metric).values
    for at in range(0, len(prompt.tokens), every):
        nothing = torch.zeros(len(prompt.tokens), *_embedded(lm))
        plain = plain_metric(lm, prompt, metric, [("embed", 0, _put(nothing, at))])
        yield metric.baseline - float(values[at]), plain


def _embedded(lm: LanguageModel) -> tuple[int, ...]:
    return tuple(embeddings_of(lm.anatomy, torch.zeros(1, 1, dtype=torch.long)).shape[2:])


def _lens(
    lm: LanguageModel, prompt: PromptInfo, _other: PromptInfo, metric: Metric, _every: int
) -> Pairs:
    """A layer's output in the place of the last one's."""
    values = logit_lens(lm, prompt, metric).values
    streams = plain_activations(lm, prompt, ("resid_post",))
    last = lm.anatomy.n_layers - 1
    for layer in range(last + 1):
        act = _put(streams["resid_post", layer])
        logits = plain_logits(lm, prompt, [("resid_post", last, act)])[0].double()
        plain = logits.softmax(-1)[:, metric.target_id]
        for at in range(len(prompt.tokens)):
            yield float(values[layer + 1, at]), float(plain[at])


_CHECKS: dict[str, Callable[[LanguageModel, PromptInfo, PromptInfo, Metric, int], Pairs]] = {
    "ablation": _ablation,
    "layers": _whole_layers,
    "patching z": partial(_patching, site="z"),
    "patching stream": partial(_patching, site="resid_pre"),
    "occlusion": _occlusion,
    "lens": _lens,
}
