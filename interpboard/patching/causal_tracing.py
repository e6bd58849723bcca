"""Where a fact is stored: the subject drowned in noise, and one clean state restored at a time."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch

from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.patching.subject import subject_positions
from interpboard.results import Axis, LabelledArray, PromptInfo, Result, layer_axis, token_axis
from interpboard.runs.cells import evaluate_cells
from interpboard.runs.edits import Counterfactual, Edit
from interpboard.runs.metrics import Metric
from interpboard.runs.noise import embedding_noise
from interpboard.runs.provenance import made_by
from interpboard.runs.record import CLEAN, Run, record
from interpboard.runs.row_logits import row_logits
from interpboard.runs.watch import SILENT, Watch

STATES = {"resid": "resid_post", "mlp": "mlp_out", "attn": "attn_out"}


def causal_trace(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    subject: str | Sequence[str] | Sequence[int],
    state: str = "resid",
    window: int = 10,
    noise: float = 3.0,
    samples: int = 10,
    seed: int = 0,
    watch: Watch = SILENT,
) -> Result:
    """Indirect effect [layer, token] = metric(restored) − metric(corrupted), mean over noise samples.

    Meng et al. 2022, "Locating and Editing Factual Associations in GPT" (ROME). The corrupted run adds
    Gaussian noise to the subject's embeddings, ``noise`` times their standard deviation over the
    vocabulary; then one clean state is put back: the stream after a layer (``resid``), or the output
    of ``mlp`` or ``attn`` in a ``window`` of layers around it, clipped at both ends. Positive: putting
    the state back helps. Clean and corrupted rows pass in one batch, clean first.

    ``extra``: ``recovered`` (share of the total effect, same axes), ``per_sample`` [sample, layer,
    token], ``spread`` (standard deviation over samples), and the scalars ``clean``, ``corrupted``,
    ``total_effect`` (clean − corrupted, mean).

    Raises ``BadParameter`` for a subject that is not in the prompt, ``Unsupported``.
    """
    started = time.perf_counter()
    if state not in STATES:
        raise BadParameter(f"There is no state {state!r}.", f"Use {', '.join(STATES)}.")
    site = STATES[state]
    lm.verified.require_site("embed")
    lm.verified.require_site(site)
    positions = subject_positions(prompt, subject)
    run = record(
        lm, prompt, (site,), (*CLEAN, *embedding_noise(lm, positions, noise, samples, seed))
    )
    corrupted = _metric_of_rows(run, metric)[1:]
    cells = _cells(run, site, 1 if state == "resid" else window)
    axes = (layer_axis(lm.anatomy.n_layers), token_axis(prompt.tokens))
    values = evaluate_cells(
        run,
        cells * samples,
        metric,
        axes,
        lambda new: (new - corrupted[:, None, None]).mean(0),  # NaN until every sample is there
        shape=(samples, *(len(axis.labels) for axis in axes)),
        base=[sample + 1 for sample in range(samples) for _ in cells],
        watch=watch,
    )
    effects = values - corrupted[:, None, None]
    total = metric.baseline - float(corrupted.mean())
    return Result(
        analysis="causal_trace",
        params={
            "subject": list(positions),
            "state": state,
            "window": window,
            "noise": noise,
            "samples": samples,
            "seed": seed,
        },
        metric=metric.info,
        baseline=metric.baseline,
        axes=axes,
        values=effects.mean(0),
        extra={
            "recovered": LabelledArray(axes, effects.mean(0) / (total if total else np.nan)),
            "per_sample": LabelledArray(
                (Axis("sample", tuple(str(i) for i in range(samples))), *axes), effects
            ),
            "spread": LabelledArray(axes, effects.std(0)),
            "clean": LabelledArray((), np.array(metric.baseline)),
            "corrupted": LabelledArray((), np.array(corrupted.mean())),
            "total_effect": LabelledArray((), np.array(total)),
        },
        elapsed_s=time.perf_counter() - started,
        made_by=made_by(lm.verified.path, seed),
    )


def _cells(run: Run, site: str, window: int) -> list[Counterfactual]:
    """One counterfactual for each layer and position: the clean row's states put back."""
    n_layers = run.lm.anatomy.n_layers
    clean = [value[0] for value in run.sites[site]]
    found: list[Counterfactual] = []
    for layer in range(n_layers):
        begin = max(0, layer - window // 2)
        end = min(n_layers, layer - window // 2 + window)
        for position in range(len(run.prompt.token_ids)):
            found.append(
                tuple(
                    Edit(
                        site,
                        near,
                        "patch",
                        positions=(position,),
                        value=clean[near][position : position + 1],
                    )
                    for near in range(begin, end)
                )
            )
    return found


@torch.no_grad()
def _metric_of_rows(run: Run, metric: Metric) -> np.ndarray:
    values: np.ndarray = metric.of(row_logits(run, metric.info.position)).double().cpu().numpy()
    return values
