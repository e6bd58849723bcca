"""How sure a patching grid is: the same grid over a list of prompt pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.patching.activation import DIRECTIONS
from interpboard.patching.donor import AsAsked, Donor, at_layer, make_donor
from interpboard.patching.grid import Grid, evaluate_grid, make_grid
from interpboard.patching.prompt_pairs import MeasuredPair, make_cases, pair_fields
from interpboard.results import Axis, LabelledArray, PromptInfo
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.metrics import Metric
from interpboard.runs.record import Run, record
from interpboard.runs.watch import SILENT, Watch
from interpboard.statistics.means import bootstrap_interval, too_few_rows
from interpboard.statistics.significance import sign_flip_p_values


@analysis("patching_confidence")
def patching_confidence(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    corrupted: str,
    pairs: str | Sequence[str | Sequence[str]],
    site: str = "resid_pre",
    along: str = "auto",
    direction: str = "denoising",
    level: float = 0.95,
    resamples: int = 2000,
    control: bool = False,
    seed: int = 0,
    watch: Watch = SILENT,
) -> Computed:
    """Mean effect [layer, token] (or as in ``activation_patching``) over prompt pairs.

    effect = metric(patched) − metric(the run patched into). ``site`` and ``along`` as in
    ``activation_patching``; ``direction``: ``denoising`` puts clean activations
    into the corrupted run, ``noising`` the other way round.
    The first pair is ``prompt`` and ``corrupted``; ``pairs`` are further ones (see ``pair_fields``). Cells
    with positions in them need prompts that are all equally long.

    ``extra``: ``low`` and ``high``, the bootstrap interval at ``level`` over the pairs (``resamples`` draws
    by ``seed``); ``p_value``, two-sided, by flipping the signs of pairs (every pattern of signs, or
    ``resamples`` of them); ``p_family``, the same for all cells together; ``per_pair`` [pair, …]; ``share``,
    the mean effect as a share of the mean difference between the runs (so 1: all of it); the scalar
    ``n_pairs``. With ``control`` also ``control``, the mean effect of random vectors in the place of the
    difference, as long as it at every position, and ``p_control``, that effects are as large as those
    (by size). Every run is exact; what is uncertain is which prompts were chosen.

    Raises ``BadPrompt`` for prompts that are not equally long, ``BadParameter``, ``Unsupported``.
    """
    if direction not in DIRECTIONS:
        raise BadParameter(
            f"There is no direction {direction!r}.", f"Use {' or '.join(DIRECTIONS)}."
        )
    if not 0 < level < 1 or resamples < 1:
        raise BadParameter("The level is between 0 and 1, and resamples at least 1.")
    if control and site == "pattern":
        raise BadParameter("A pattern has no random vector to compare with.", "Use another site.")
    further = pair_fields(pairs)
    if not further:
        raise BadParameter("Confidence needs at least two pairs.", "Give more, one a line.")
    grid = make_grid(lm, prompt, site, along, partly=True)
    cases = make_cases(lm, prompt, metric, corrupted, further)
    _check_lengths(cases, grid)
    effects, controls = _effects(lm, cases, grid, direction, control, seed, watch)
    ways = 1 if direction == "denoising" else -1
    both = [(case.pair.on_clean, case.pair.on_corrupted) for case in cases]
    clean, bad = (float(np.mean(side)) for side in zip(*both, strict=True))
    span = ways * metric.apart(clean, bad)
    return Computed(
        values=effects.mean(0),
        axes=grid.axes,
        extra={
            name: LabelledArray(grid.axes, values.reshape(grid.shape))
            for name, values in _statistics(
                effects, controls, grid.there, level, resamples, seed, watch
            ).items()
        }
        | {
            "share": LabelledArray(grid.axes, effects.mean(0) / span),
            "per_pair": LabelledArray(
                (Axis("pair", tuple(str(i) for i in range(len(cases)))), *grid.axes), effects
            ),
            "n_pairs": LabelledArray((), np.array(len(cases))),
        },
        warnings=(*grid.notes, *filter(None, [too_few_rows(np.array([len(cases)]))])),
        params={"pairs": [list(fields) for fields in further], "along": grid.along},
    )


def _check_lengths(cases: Sequence[MeasuredPair], grid: Grid) -> None:
    strips = [(len(case.pair.clean.token_ids), case.pair.clean.border) for case in cases]
    lengths = [f"{border} and {n - border}" if border else str(n) for n, border in strips]
    if grid.along in ("position", "head_position") and len(set(strips)) > 1:
        raise BadParameter(
            f"The pairs have {', '.join(lengths)} tokens: their positions cannot be compared.",
            "Use pairs of one length, or a grid along heads or neurons.",
        )


def _effects(
    lm: LanguageModel,
    cases: Sequence[MeasuredPair],
    grid: Grid,
    direction: str,
    control: bool,
    seed: int,
    watch: Watch,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Effects [pair, …grid], and those of random vectors."""
    generator = torch.Generator().manual_seed(seed)
    size = int(np.prod(grid.shape))
    total = size * len(cases) * (1 + control)
    effects: list[np.ndarray] = []
    controls: list[np.ndarray] = []
    done = 0
    with watch.independent():
        for case in cases:
            found = _of_case(lm, case, grid, direction, control, generator, watch, done, total)
            for kept, values in zip((effects, controls), found, strict=False):
                kept.append(values)
            done += size * len(found)
            mean = np.mean(effects, axis=0)
            few = np.full(
                mean.shape, len(effects) < len(cases)
            )  # the mean of some pairs is no value yet
            watch.step(done, total, LabelledArray(grid.axes, mean, few))
    return np.stack(effects), np.stack(controls) if control else None


def _of_case(
    lm: LanguageModel,
    case: MeasuredPair,
    grid: Grid,
    direction: str,
    control: bool,
    generator: torch.Generator,
    watch: Watch,
    done: int,
    total: int,
) -> list[np.ndarray]:
    """Effects […grid] of one pair, and those of random vectors; its runs and donors end with it."""
    pair = case.pair
    into, source, at_base = (
        (pair.corrupted, pair.clean, pair.on_corrupted)
        if direction == "denoising"
        else (pair.clean, pair.corrupted, pair.on_clean)
    )
    donor = make_donor(lm, grid.site, source, into)
    sites = (grid.site,) if control and not _from_inputs(lm, grid.site) else ()
    run = record(lm, into, sites, partly=True)
    found = []
    for number in range(1 + control):
        if number:
            donor = _random_donor(run, donor, grid, generator)
        values = evaluate_grid(
            run, grid, donor, case.metric, lambda v: v, unchanged=at_base,
            watch=watch.stage(done + number * int(np.prod(grid.shape)), total, shown=False),
        )  # fmt: skip
        found.append(values - at_base)
    return found


def _from_inputs(lm: LanguageModel, site: str) -> bool:
    """Whether what a layer has is computed from its input where it is asked for, and not kept of all."""
    return (
        lm.verified.path == "replay"
        and lm.anatomy.strips is None
        and site not in ("embed", "router")
    )


def _random_donor(run: Run, donor: Donor, grid: Grid, generator: torch.Generator) -> Donor:
    """The donor with each difference from ``run`` exchanged for a random one of the same length."""

    def value(layer: int) -> torch.Tensor:
        own = run.sites[grid.site][layer][0] if run.sites else at_layer(run, grid.site, layer)
        if layer in grid.without:
            return own
        difference = donor.change(layer, own)
        noise = torch.randn(difference.shape, generator=generator).to(own)
        if grid.along in ("neuron", "expert"):  # one number a position: only its sign is random
            return own + noise.sign() * difference
        length = difference.norm(dim=-1, keepdim=True)
        return own + length * noise / noise.norm(dim=-1, keepdim=True)

    drawn = AsAsked(len(donor.values), value)
    return replace(donor, values=drawn if donor.made_anew else tuple(drawn))


def _statistics(
    effects: np.ndarray,
    controls: np.ndarray | None,
    there: np.ndarray,
    level: float,
    resamples: int,
    seed: int,
    watch: Watch,
) -> dict[str, np.ndarray]:
    """Of the cells that are ``there``; NaN elsewhere, which would make all of ``p_family`` so."""
    flat = effects.reshape(len(effects), -1)[:, there.ravel()]
    low, high = bootstrap_interval(flat, level, resamples, seed, watch.check)
    alone, family = sign_flip_p_values(flat, resamples, seed, watch.check)
    extra = {"low": low, "high": high, "p_value": alone, "p_family": family}
    if controls is not None:
        random = controls.reshape(len(controls), -1)[:, there.ravel()]
        sizes = np.abs(flat) - np.abs(random)
        larger = sign_flip_p_values(sizes, resamples, seed, watch.check)[0]
        extra |= {"control": random.mean(0), "p_control": larger}
    whole = {name: np.full(there.size, np.nan) for name in extra}
    for name, values in extra.items():
        whole[name][there.ravel()] = values
    return whole
