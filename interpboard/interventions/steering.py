"""Steering: a vector added to the residual stream, and what the model then says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from interpboard.datasets.dataset import texts_of
from interpboard.errors import BadParameter
from interpboard.interventions.vectors import Vector, prepare_place, read_vector, save_vector
from interpboard.models.fingerprints import Origin
from interpboard.models.finite import Tally, finite_logits
from interpboard.models.language_model import LanguageModel
from interpboard.models.sites import at_site
from interpboard.models.unembedding import forward_logits
from interpboard.results import Axis, LabelledArray, PromptInfo, text_array
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.ending import end_tokens
from interpboard.runs.finite import count_not_finite
from interpboard.runs.labels import label_head
from interpboard.runs.metrics import Metric, at_least_float32, fills_masks
from interpboard.runs.prompt import input_ids, make_prompt, token_text, without_appended
from interpboard.runs.record import record
from interpboard.runs.steps import rows_of_a_recording
from interpboard.runs.strip_places import plain_ids, source_layers, values_there, with_next
from interpboard.runs.token_texts import text_behind
from interpboard.runs.watch import SILENT, Watch

SCALES = (-2.0, -1.0, 0.0, 1.0, 2.0)

__all__ = ["difference_of_means", "load_vector", "save_vector", "steering"]


@torch.no_grad()
def difference_of_means(
    lm: LanguageModel, positive: Sequence[str], negative: Sequence[str], layer: int
) -> torch.Tensor:
    """Mean stream [d_model] behind ``layer`` at the last token of the ``positive`` texts − that of the
    ``negative`` ones (Turner et al. 2023, "Activation Addition"; Rimsky et al. 2024). In an encoder's layer
    (``E`` of an encoder–decoder) no token has read all others last: there it is the mean over the source.
    Raises ``BadParameter`` for an empty set or a layer that is not there."""
    _check_layer(lm, layer)
    if not positive or not negative:
        raise BadParameter(
            "A steering vector needs prompts on both sides.", "Give positive and negative prompts."
        )
    means = []
    for texts in (positive, negative):
        last = [
            _summed_up(lm, prompt, layer)
            for prompt in (without_appended(make_prompt(lm, text)) for text in texts)
        ]
        means.append(torch.stack(last).double().mean(0))
    return (means[0] - means[1]).to(last[0].dtype)


def _summed_up(lm: LanguageModel, prompt: PromptInfo, layer: int) -> torch.Tensor:
    stream = record(lm, prompt, ("resid_post",)).sites["resid_post"][layer][0]
    own = values_there(lm, prompt, "resid_post", layer, stream)
    return own.mean(0) if layer in range(source_layers(lm)) else own[-1]


def load_vector(lm: LanguageModel, path: str | Path) -> torch.Tensor:
    """The one vector [d_model] of a safetensors or ``.npy`` file.

    Raises ``BadParameter`` for anything else, and for a vector made from other weights.
    """
    return read_vector(lm, path).values


@analysis("steering", path="hooks")
@torch.no_grad()
def steering(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    positive: str | Sequence[str] = (),
    negative: str | Sequence[str] = (),
    vector: str = "",
    layer: int = -1,
    scales: Sequence[float] | None = None,
    new_tokens: int = 20,
    save: str = "",
    watch: Watch = SILENT,
) -> Computed:
    """Effect [scale] = metric(steered) − metric(clean), and the text that each scale continues with.

    For each of ``scales`` (None: −2, −1, 0, 1 and 2) scale · vector is added to the residual stream behind
    ``layer`` (−1: the one that a saved vector was read behind, else the middle one; of an encoder–decoder its
    decoder's) at every position that it has, those generated included. The vector is the difference
    of means between ``positive`` and ``negative`` prompts (lists, one a line, or a file of rows; see
    ``difference_of_means``), or a saved one: a safetensors file named by ``vector``, with a warning where it
    was read elsewhere than it is added. ``save`` writes it
    there. Text is greedy, ``new_tokens`` long unless it ends before; scale 0 is the model unsteered, and is
    always among them. A model with labels continues no text: its texts are empty. Nor does a masked model:
    its text is the one token that it puts at the metric's position.

    ``extra``: ``text`` [scale], ``metric`` [scale], and ``norm``, the length of the vector. Raises
    ``BadParameter``.
    """
    if label_head(lm) is not None or fills_masks(lm):
        new_tokens = 0  # it continues no text
    texts = [texts_of(side) for side in (positive, negative)]
    if bool(vector) == any(texts):
        raise BadParameter(
            "Steering needs positive and negative prompts, or a saved vector: one of the two."
        )
    read = read_vector(lm, vector) if vector else None
    if layer == -1:
        middle = (source_layers(lm) + lm.anatomy.n_layers) // 2
        layer = middle if read is None or read.layer is None else read.layer
    _check_layer(lm, layer)
    lm.verified.require_site("resid_post")
    chosen = tuple(sorted({0.0, *map(float, SCALES if scales is None else scales)}))
    if not np.isfinite(chosen).all():
        raise BadParameter("A scale is not finite.", "Give numbers.")
    if save:
        prepare_place(save)
    watch.step(0, new_tokens + 1)
    warnings = tuple[str, ...]()
    if read is not None:
        direction = read.values
        warnings = (*read.warnings, *read.elsewhere(lm, vector, layer, "resid_post"))
    else:
        direction = watch.once(
            "direction", lambda: difference_of_means(lm, texts[0], texts[1], layer)
        )
    wide = at_least_float32(direction.cpu())
    added = torch.tensor(chosen, dtype=wide.dtype)[:, None, None] * wide
    metrics, continuations = _steered(lm, prompt, metric, layer, added, new_tokens, watch)
    metrics[np.array(chosen) == 0] = metric.baseline  # the model as it is, not up to rounding
    if save:
        _save(lm, save, direction, layer, read)
    axes = (Axis("scale", tuple(f"{scale:.12g}" for scale in chosen)),)
    return Computed(
        values=metrics - metric.baseline,
        axes=axes,
        extra={
            "text": LabelledArray(axes, text_array(continuations)),
            "metric": LabelledArray(axes, metrics),
            "norm": LabelledArray((), np.array(float(wide.norm()))),
        },
        warnings=warnings,
        params={
            "positive": texts[0],
            "negative": texts[1],
            "layer": layer,
            "scales": list(chosen),
            "save": "",
        },
    )


def _save(
    lm: LanguageModel, path: str, direction: torch.Tensor, layer: int, read: Vector | None
) -> None:
    """Of a vector that was ``read`` the file goes on to say of what and where it is."""
    if read is None:
        save_vector(path, direction, layer, Origin.of(lm.info))
    else:
        own = layer if read.layer is None else read.layer
        save_vector(path, direction, own, read.origin, site=read.site)


@dataclass
class _Continued:
    """Steered rows: the metric, and how far each is continued.

    ``values`` [row]; ``ids`` [row, pos]; ``written`` [row], the tokens that count; ``ended`` and ``lost``
    [row], at its end, and not finite any more. ``put`` [row]: the likeliest token where the metric is read.
    """

    values: torch.Tensor
    ids: torch.Tensor
    written: torch.Tensor
    ended: torch.Tensor
    lost: torch.Tensor
    put: torch.Tensor


def _steered(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    layer: int,
    added: torch.Tensor,
    new_tokens: int,
    watch: Watch,
) -> tuple[np.ndarray, list[str]]:
    """Metric [row] and continuation of each row of ``added`` [row, 1, d_model].

    Rows that are not finite: NaN, and the text ends there.
    """
    ids = input_ids(lm, prompt).expand(len(added), -1)
    prompt = without_appended(prompt)
    length = len(prompt.token_ids)
    ends = sorted(end_tokens(lm))
    written = length - prompt.border  # of two strips the context is that of each
    limit = new_tokens if lm.anatomy.context is None else lm.anatomy.context - written
    masked = metric.masked

    def at(ids: torch.Tensor, position: int, lost: torch.Tensor) -> torch.Tensor:
        """Logits [row, d_vocab] of ``ids``; 0 in rows that are lost, which are told from then on."""
        some = rows_of_a_recording(lm, ids.shape[1])
        parts = zip(ids.split(some), added.split(some), lost.split(some), strict=True)
        return torch.cat([of_some(*part, position) for part in parts])

    def of_some(
        ids: torch.Tensor, added: torch.Tensor, lost: torch.Tensor, position: int
    ) -> torch.Tensor:
        tally = Tally(len(ids))
        with (
            at_site(lm.anatomy, "resid_post", layer, lambda hidden: hidden + added.to(hidden)),
            tally.over(lm.anatomy),
        ):
            logits = forward_logits(lm.anatomy, ids, position)
        fine = tally.finite().to(lost.device) & finite_logits(logits, masked).to(lost.device)
        lost.logical_or_(~fine)
        return logits.masked_fill(lost.to(logits.device)[:, None], 0)

    def begun() -> _Continued:
        lost = torch.zeros(len(added), dtype=torch.bool, device=ids.device)
        logits = at(ids, metric.info.position, lost)
        values, put = metric.of(logits).masked_fill(lost, torch.nan), logits.argmax(-1)
        count_not_finite(int(lost.sum()))
        text = ids[:, :length]  # the text alone is continued
        unwritten, going_on = torch.zeros_like(ids[:, 0]), torch.zeros_like(lost)
        return _Continued(values, text, unwritten, going_on, lost, put)

    rows = watch.once("rows", begun)
    filled = []
    if fills_masks(lm):
        filled = [
            "" if lost else token_text(lm.tokenizer, own)
            for own, lost in zip(rows.put.tolist(), rows.lost.tolist(), strict=True)
        ]
    for step in range(rows.ids.shape[1] - length, min(new_tokens, limit)):
        if rows.ended.all():
            break
        watch.step(1 + step, new_tokens + 1)
        last = rows.ids.shape[1] - 1
        # In the run that the metric was read of.
        known = last == metric.info.position and last + 1 == ids.shape[1]
        chosen = (rows.put if known else at(rows.ids, -1, rows.lost).argmax(-1)).to(ids.device)
        rows.written += (~rows.lost).long()
        rows.ids = with_next(lm, rows.ids, chosen)
        rows.ended |= torch.isin(chosen, torch.tensor(ends, device=ids.device)) | rows.lost
    watch.step(new_tokens + 1, new_tokens + 1)
    behind = plain_ids(lm, rows.ids)[:, length:].tolist()
    new = [
        _until_end(row[:count], ends)
        for row, count in zip(behind, rows.written.tolist(), strict=True)
    ]
    texts = filled or [text_behind(lm.tokenizer, prompt.token_ids, row) for row in new]
    return rows.values.double().cpu().numpy(), texts


def _until_end(row: list[int], ends: list[int]) -> list[int]:
    stop = next((i for i, token in enumerate(row) if token in ends), len(row))
    return row[:stop]


def _check_layer(lm: LanguageModel, layer: int) -> None:
    if not 0 <= layer < lm.anatomy.n_layers:
        raise BadParameter(
            f"Layer {layer} does not exist.", f"The model has 0 to {lm.anatomy.n_layers - 1}."
        )
