"""Which known types the heads are of: scores, each with how far it stands above chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from interpboard.circuits.heads.encoder_types import ENCODER_SCORES, encoder_probes
from interpboard.circuits.heads.name_mover import name_mover_probe
from interpboard.circuits.heads.probes import (
    Probe,
    attention_probes,
    copying_probe,
    longest_repeat,
    random_repeats,
)
from interpboard.circuits.heads.strip_types import STRIP_SCORES, strip_probes
from interpboard.errors import Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.results import Axis, LabelledArray, PromptInfo, text_array
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.metrics import Metric
from interpboard.runs.watch import SILENT, Watch

SCORES = ("previous_token", "duplicate_token", "induction", "copying", "name_mover")
RESOLUTION = 1e-3  # a smaller standard error is not believed
LABELLED_FROM_Z = 3.0
LABELLED_FROM_EXCESS = 0.2


@analysis("head_scores")
@torch.no_grad()
def head_scores(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    samples: int = 8,
    length: int = 0,
    seed: int = 0,
    watch: Watch = SILENT,
) -> Computed:
    """Score [score, layer, head], each between 0 and 1.

    ``previous_token``: attention to the token before. ``duplicate_token``: to the same token one segment
    ago. ``induction``: to the token behind that one (Olsson et al. 2022). ``copying``: share of tokens that
    are among the five (of fewer than ten tokens, the better half) which the head promotes when it sees
    them (the OV circuit). ``name_mover``: attention from the metric's position to the target in the prompt,
    where it is copied from (Wang et al. 2023). The first three are means over ``samples`` sequences of
    ``length`` different random tokens, drawn by ``seed`` and repeated once (0: 32, or as many as the context
    and the vocabulary have room for); copying is measured on random tokens without context; only name_mover
    depends on the prompt and the metric, and is NaN with a warning where the target does not stand in the
    prompt.

    The null of previous_token is the attention to a random token up to the query; of duplicate_token and
    induction, that to the same place with the second segment shuffled; of copying, the share for another
    token than the one seen; of name_mover, the score of the prompt's other tokens.

    ``extra``: ``null`` [score, layer, head], the same measured on shuffled data; ``z`` [score, layer, head]
    how far above it the score stands, in standard errors over the samples (name_mover: in standard
    deviations over the other tokens); ``copying_eigenvalue`` [layer, head] between −1 (suppresses what it
    sees) and 1 (copies it); ``label`` [layer, head], the attention score (failing that copying) that is
    most above its null, by at least 0.2 and 3 standard errors; empty if none is.

    Of an encoder the scores are others, and a warning says so: ``previous_token``, ``next_token``,
    ``duplicate_token`` (the same token in the other segment), ``begin_token`` and ``end_token`` (what the
    tokenizer puts around a text), ``mask_token`` (a mask in the place of one token); see ``encoder_types``.
    Of an encoder–decoder they are by group, NaN in the others: those of an encoder, those of a decoder, and
    what cross attention fetches from the source; see ``strip_types``.

    Raises ``BadParameter`` for a length that does not fit, ``Unsupported`` where no pattern can be read.
    """
    watch.step(0, 3)
    strips = lm.anatomy.strips is not None
    if strips or not lm.verified.causal:
        names = STRIP_SCORES if strips else ENCODER_SCORES
        measure = strip_probes if strips else encoder_probes
        found, said, length = watch.once(
            "attention", lambda: measure(lm, samples, length, seed, watch)
        )
        watch.step(3, 3)
        return _computed(lm, names, found, None, tuple(said), length)
    length = length or longest_repeat(lm)
    repeats = random_repeats(lm, samples, length, seed)
    attended = watch.once("attention", lambda: attention_probes(lm, repeats, seed, watch))
    probes: dict[str, Probe | None] = dict(attended)
    watch.step(1, 3)
    warnings: list[str] = []
    eigenvalues = np.full((lm.anatomy.n_layers, lm.anatomy.n_heads), np.nan)
    probes["copying"] = probes["name_mover"] = None
    try:
        probes["copying"], eigenvalues = watch.once(
            "copying", lambda: copying_probe(lm, samples, seed, watch)
        )
    except Unsupported as error:
        warnings.append(f"No copying score. {error}")
    watch.step(2, 3)
    try:
        probes["name_mover"] = name_mover_probe(lm, prompt, metric, seed, watch)
        if probes["name_mover"] is None:
            warnings.append("No name_mover score: the target does not stand in the prompt.")
    except Unsupported as error:
        warnings.append(f"No name_mover score. {error}")
    watch.step(3, 3)
    return _computed(lm, SCORES, probes, eigenvalues, tuple(warnings), length)


def above_chance(probe: Probe) -> np.ndarray:
    """[layer, head]: (score − null) in standard errors; of a single score, in deviations of the null."""
    n_values, n_null = len(probe.values), len(probe.null)
    if n_null < 2:
        return np.full(probe.values.shape[1:], np.nan)
    excess: np.ndarray = probe.values.mean(0) - probe.null.mean(0)
    spread = probe.null.var(0, ddof=1)
    if n_values > 1:
        spread = spread / n_null + probe.values.var(0, ddof=1) / n_values
    return excess / np.maximum(np.sqrt(spread), RESOLUTION)


def labels_of(
    scores: np.ndarray, null: np.ndarray, z: np.ndarray, names: Sequence[str] = SCORES
) -> np.ndarray:
    """Name of the score [layer, head] that stands out, of ``names`` [score] and numbers [score, layer, head];
    empty if none does."""
    with np.errstate(invalid="ignore"):
        excess = np.where(z >= LABELLED_FROM_Z, scores - null, 0)
    excess = np.where(excess >= LABELLED_FROM_EXCESS, excess, 0)
    if "copying" in names:
        copying = names.index("copying")
        # Heads of many types copy: what a head looks at says more.
        excess[copying] = np.where(np.delete(excess, copying, axis=0).any(0), 0, excess[copying])
    best = np.array(names, dtype=object)[excess.argmax(0)]
    return np.where(excess.any(0), best, "").astype(object)


def _computed(
    lm: LanguageModel,
    names: tuple[str, ...],
    probes: dict[str, Probe | None],
    eigenvalues: np.ndarray | None,
    warnings: tuple[str, ...],
    length: int,
) -> Computed:
    nothing = np.full((lm.anatomy.n_layers, lm.anatomy.n_heads), np.nan)
    found = [probes[name] for name in names]
    scores = np.stack([nothing if p is None else p.values.mean(0) for p in found])
    # Of a prompt of the target alone there are no other tokens.
    null = np.stack([nothing if p is None or not len(p.null) else p.null.mean(0) for p in found])
    z = np.stack([nothing if p is None else above_chance(p) for p in found])
    heads = (
        Axis("layer", tuple(lm.anatomy.layer_names)),
        Axis("head", tuple(str(i) for i in range(lm.anatomy.n_heads))),
    )
    axes = (Axis("score", names), *heads)
    copies = (
        {} if eigenvalues is None else {"copying_eigenvalue": LabelledArray(heads, eigenvalues)}
    )
    return Computed(
        values=scores,
        axes=axes,
        extra={
            "null": LabelledArray(axes, null),
            "z": LabelledArray(axes, z),
            **copies,
            "label": LabelledArray(heads, text_array(labels_of(scores, null, z, names).tolist())),
        },
        warnings=warnings,
        params={"length": length},
    )
