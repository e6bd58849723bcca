"""Where a fact is stored: the subject drowned in noise, and one clean state restored at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.patching.subject import find_subject
from interpboard.results import Axis, LabelledArray, PromptInfo, token_axis
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.edits import Counterfactual, Edit
from interpboard.runs.metrics import Metric
from interpboard.runs.noise import embedding_noise
from interpboard.runs.portions import record_first
from interpboard.runs.record import CLEAN, Run
from interpboard.runs.replay import evaluate
from interpboard.runs.rounding import SAME_RUNS
from interpboard.runs.row_logits import row_logits
from interpboard.runs.steps import rows_of_a_recording
from interpboard.runs.strip_places import positions_at
from interpboard.runs.watch import SILENT, Watch

STATES = {"resid": "resid_post", "mlp": "mlp_out", "attn": "attn_out"}


@analysis("causal_trace")
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
) -> Computed:
    """Indirect effect [layer, token] = metric(restored) − metric(corrupted), mean over noise samples.

    Meng et al. 2022, "Locating and Editing Factual Associations in GPT" (ROME). The corrupted run adds
    Gaussian noise to the embeddings of the ``subject``, ``noise`` times their standard deviation over the
    vocabulary, ``samples`` draws by ``seed``; then one clean ``state`` is put back: the stream after a layer
    (``resid``), or the output of ``mlp`` or ``attn`` in a ``window`` of layers around it, clipped at both
    ends. Exactly 0 in a causal model before the subject, where noise changes nothing, and where nothing reads
    what is put back. Clean and corrupted rows pass in one batch, clean first, or in several where one would
    keep too much.

    ``extra``: ``recovered`` (share of the total effect, same axes), ``per_sample`` [sample, layer,
    token], ``spread`` (standard deviation over samples), and the scalars ``clean``, ``corrupted``,
    ``total_effect`` (clean − corrupted, mean). Where the noise does not change the metric by more than
    rounding there is nothing to restore: effects are 0, no share is recovered (NaN), and a warning says so.

    Raises ``BadParameter`` for a subject that is not in the prompt, ``Unsupported``.
    """
    if state not in STATES:
        raise BadParameter(f"There is no state {state!r}.", f"Use {', '.join(STATES)}.")
    site = STATES[state]
    lm.verified.require_site("embed")
    lm.verified.require_site(site)
    chosen = find_subject(prompt, subject)
    positions = chosen.positions
    noised = embedding_noise(lm, positions, noise, samples, seed)
    axes = (Axis("layer", lm.anatomy.layer_names), token_axis(prompt.tokens))
    window = 1 if state == "resid" else window
    begin = 0 if lm.verified.whole_prompt else positions[0]
    there = [positions_at(lm, prompt, site, layer) for layer in range(lm.anatomy.n_layers)]
    known = _unread(lm, len(prompt.tokens), metric.info.position, window)
    known[:, :begin] = True
    found = _Samples(axes, samples, metric, watch, known, there)
    found.measure(lm, prompt, noised, site, window)
    effects, corrupted = found.effects, found.corrupted
    total = metric.apart(metric.baseline, float(corrupted.mean()))
    same = bool(np.isnan(total))
    if same:  # what is left is rounding, which would be coloured and ranked like effects
        effects = np.where(np.isnan(effects), effects, 0.0)
    return Computed(
        values=effects.mean(0),
        axes=axes,
        extra={
            "recovered": LabelledArray(axes, effects.mean(0) / total),
            "per_sample": LabelledArray(
                (Axis("sample", tuple(str(i) for i in range(samples))), *axes), effects
            ),
            "spread": LabelledArray(axes, effects.std(0)),
            "clean": LabelledArray((), np.array(metric.baseline)),
            "corrupted": LabelledArray((), np.array(corrupted.mean())),
            "total_effect": LabelledArray((), np.array(metric.baseline - corrupted.mean())),
        },
        warnings=(*chosen.notes, *((SAME_RUNS,) if same else ())),
        params={"subject": list(positions)},
    )


def _unread(lm: LanguageModel, length: int, position: int, window: int) -> np.ndarray:
    """[layer, token]: whether the metric at ``position`` cannot see the state there: behind it, and of the
    last layer's output anywhere else. Nowhere where the head may read other positions."""
    shape = lm.anatomy.n_layers, length
    if lm.verified.whole_prompt or lm.anatomy.reads_all:
        return np.zeros(shape, dtype=bool)
    layer, at = np.indices(shape)
    last_alone = np.maximum(0, layer - window // 2) == lm.anatomy.n_layers - 1
    return (at > position) | (last_alone & (at != position))


class _Samples:
    """What is known so far: ``effects`` [sample, layer, token] and the ``corrupted`` metric [sample].

    ``known`` [layer, token]: where putting back does nothing, so that the effect is 0. ``there`` [layer]: the
    positions at which it has the state; the others stay empty.
    """

    def __init__(
        self,
        axes: tuple[Axis, ...],
        samples: int,
        metric: Metric,
        watch: Watch,
        known: np.ndarray,
        there: Sequence[range],
    ) -> None:
        self.axes, self.metric, self.watch = axes, metric, watch
        self.effects = np.full((samples, *(len(axis.labels) for axis in axes)), np.nan)
        missing = np.array(
            [[at not in here for at in range(self.effects.shape[2])] for here in there]
        )
        self.effects[:, known & ~missing] = 0.0
        self.asked = np.flatnonzero(~(known | missing))  # layer by layer
        self.corrupted = np.full(samples, np.nan)

    def measure(
        self,
        lm: LanguageModel,
        prompt: PromptInfo,
        noised: Sequence[Counterfactual],
        site: str,
        window: int,
    ) -> None:
        """Fill in every sample, a portion of the rows at a time: what is kept of each is large."""
        rows = (*CLEAN, *noised)
        most = rows_of_a_recording(lm, len(prompt.token_ids))
        cells: list[Counterfactual] = []
        done = 0
        with self.watch.independent():
            while done < len(rows):
                self._tell()
                run = record_first(lm, prompt, rows[done:], most, () if done else (site,), 1)
                if not done:
                    every = restorations([value[0] for value in run.sites[site]], site, window)
                    cells = [every[at] for at in self.asked]
                self._restore(run, done, cells)
                done += run.batch
                del run  # before the next is made
        self._tell()

    def _restore(self, run: Run, done: int, cells: list[Counterfactual]) -> None:
        """The samples that are rows of ``run``: those of all rows from ``done`` on, of which 0 is clean."""
        rows = range(0 if done else 1, run.batch)
        corrupted = _metric_of_rows(run, self.metric)[rows.start :]
        mine = slice(done + rows.start - 1, done + run.batch - 1)
        self.corrupted[mine] = corrupted
        effects = self.effects[mine].reshape(len(rows), self.effects[0].size)

        def take(indices: list[int], values: np.ndarray) -> None:
            sample, cell = np.divmod(indices, len(cells))
            for at, own in enumerate(corrupted):  # each sample is noise of its own
                values[sample == at] = self.metric.unless_rounding(values[sample == at], own)
            effects[sample, self.asked[cell]] = values - corrupted[sample]
            self._tell()

        evaluate(
            run,
            cells * len(rows),
            self.metric,
            base=[row for row in rows for _ in cells],
            watch=self.watch.silent,
            on_values=take,
        )

    def _tell(self) -> None:
        """Report means over the samples so far, marked where some are missing; NaN where all are."""
        known = (~np.isnan(self.effects)).sum(0)
        with np.errstate(invalid="ignore"):
            means = np.nansum(self.effects, 0) / known
        some = (known > 0) & (known < len(self.effects))
        partial = LabelledArray(self.axes, means, some) if known.any() else None
        self.watch.step(int(known.sum()), self.effects.size, partial)


def restorations(clean: Sequence[torch.Tensor], site: str, window: int) -> list[Counterfactual]:
    """One counterfactual for each layer and position: ``clean[layer]`` [pos, d_model] put back there.

    In ``window`` layers around it, clipped at both ends.
    """
    n_layers, length = len(clean), len(clean[0])
    edits = [
        [
            Edit(site, layer, "patch", positions=(at,), value=value[at : at + 1])
            for at in range(length)
        ]
        for layer, value in enumerate(clean)
    ]
    found: list[Counterfactual] = []
    for layer in range(n_layers):
        begin = max(0, layer - window // 2)
        end = min(n_layers, layer - window // 2 + window)
        found += [tuple(edits[near][at] for near in range(begin, end)) for at in range(length)]
    return found


@torch.no_grad()
def _metric_of_rows(run: Run, metric: Metric) -> np.ndarray:
    values: np.ndarray = metric.of(row_logits(run, metric.info.position)).double().cpu().numpy()
    return values
