"""What the rows of a sweep say together, as ordinary results: means with intervals, groups, differences.

A result here has the axes of the analysis, tokens put together by role or by where they stand
(``alignment``). ``values`` are means over the rows that have such a cell; ``extra`` has ``n``, how many those
are, ``se``, ``low`` and ``high`` (an interval of the mean), ``median``, ``same_sign`` (the share of rows on
the mean's side of the neutral value), and of heads and components ``over_control``: by how much the size of
an effect is above that of a random component of the same row, with ``p_control`` for all of them together.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import NormalDist

import msgspec
import numpy as np

from interpboard.errors import BadParameter
from interpboard.registry import ANALYSES
from interpboard.results import (
    Axis,
    Document,
    LabelledArray,
    MetricInfo,
    PromptInfo,
    Result,
)
from interpboard.statistics import means
from interpboard.statistics.significance import permutation_p_values, sign_flip_p_values
from interpboard.sweeps.folder import SweepFolder
from interpboard.sweeps.request import UNITS_ALIGNED
from interpboard.sweeps.row_filter import row_filter
from interpboard.sweeps.row_values import (
    IN_MEMORY,
    ResultsOf,
    RowValues,
    by_roles,
    gathered,
    held_if_little,
    rows_by_analysis,
)
from interpboard.sweeps.said_of_rows import (
    check_columns_of_filter,
    in_no_group,
    most_common,
    of_few_ways,
    of_missing,
    of_rows_twice,
    of_warnings,
)
from interpboard.sweeps.sums import Sums

_CELLS_A_STEP = 2048
_OF_COMPONENTS = ("head", "component")


class AggregateSettings(msgspec.Struct, frozen=True):
    """``level`` of intervals, from ``resamples`` draws by ``seed``; rows that fit ``where``
    (``row_filter``), and the column ``group`` that makes groups of them. ``align``: in place of the sweep's
    own."""

    level: float = 0.95
    resamples: int = 2000
    seed: int = 0
    where: str = ""
    group: str = ""
    align: str = ""


def aggregate(
    folder: SweepFolder,
    settings: AggregateSettings = AggregateSettings(),  # noqa: B008 - frozen
) -> Document:
    """The results of ``folder`` over its rows, one an analysis; with a ``group`` one a group too, and of two
    groups their difference, with ``p_value`` and ``p_family`` of a permutation test.

    An analysis whose rows do not fit together is left out, and every result warns of it. Raises
    ``BadParameter`` where there is nothing, ``BadResultFile``.
    """
    manifest = folder.manifest
    check_settings(settings, manifest.request.align)
    results: list[Result] = []
    refused: list[str] = []
    counts = folder.finished().counts
    if counts.done:
        check_columns_of_filter(folder, settings.where)
    asked = len(manifest.request.analyses) * (manifest.rows or 0)
    if 0 < asked < counts.done:  # rows would count twice
        said = f"{folder.path} has {counts.done:,} results of {asked:,}: rows were read otherwise before."
        raise BadParameter(said, "Sweep them anew, into another folder.")
    sums = manifest.request.sums
    rows = folder.results if sums else rows_by_analysis(folder)
    for name in manifest.request.analyses:
        try:
            results += (
                _of_sums(folder, name, settings)
                if sums
                else _of_values(folder, name, settings, rows)
            )
        except BadParameter as error:
            refused.append(f"{name} has no mean: {error}")
    if not results:
        raise BadParameter(
            f"{folder.path} has no row to take a mean of.",
            # Where every row failed, why is in their reasons, and not that there is nothing.
            refused[0] if refused and counts.failed < counts.done else most_common(counts.reasons),
        )
    refused += of_missing(counts, asked)
    refused += of_rows_twice(manifest.repeated, manifest.rows)
    refused += in_no_group(results, settings.group)
    of_each = of_warnings(folder)
    marked = [
        msgspec.structs.replace(
            result,
            warnings=(*result.warnings, *of_each.get(result.analysis, ()), *refused),
        )
        for result in results
    ]
    prompt = PromptInfo(f"rows of {', '.join(Path(n).name for n in manifest.dataset)}", (), ())
    return Document(model=manifest.model, prompt=prompt, results=tuple(marked))


def check_settings(settings: AggregateSettings, align: str) -> None:
    """Raise ``BadParameter`` for what no mean can be taken by, of a sweep that puts tokens together by
    ``align``. What computes rows first asks for it before."""
    if not 0 < settings.level < 1 or settings.resamples < 1:
        raise BadParameter("The level is between 0 and 1, and resamples at least 1.")
    row_filter(settings.where)
    if settings.align not in ("", "index", align) and (
        align in UNITS_ALIGNED or settings.align in UNITS_ALIGNED
    ):
        raise BadParameter(
            f"Its tokens are known by {align}, not by {settings.align[:20]}.",
            f"Sweep anew with --align {settings.align[:20]}.",
        )


def _of_values(
    folder: SweepFolder, name: str, settings: AggregateSettings, results: ResultsOf
) -> Iterator[Result]:
    wanted = row_filter(settings.where)
    rows = held_if_little(lambda: (r for r in results(name) if not r.error and wanted(r)))
    roles = by_roles(folder.manifest.request.align, rows, settings.align)
    with gathered(rows, roles, settings.group, settings.where) as found:
        groups = sorted({group for group in found.groups if group is not None})
        if settings.group and not groups:
            raise BadParameter(f"No row has anything in a column {settings.group[:40]!r}.")
        yield _mean(folder, name, found, settings)
        if not settings.group:
            return
        parts = {}
        for group in groups:
            at = np.array([i for i, own in enumerate(found.groups) if own == group])
            parts[group] = found.values[at]
            yield _mean(folder, name, found, settings, at, f"{settings.group}={group}")
        if len(groups) == 2:
            yield _difference(folder, name, found, settings, parts, groups)


def _mean(
    folder: SweepFolder,
    name: str,
    found: RowValues,
    settings: AggregateSettings,
    rows: np.ndarray | slice = slice(None),
    group: str = "",
) -> Result:
    neutral = _neutral(folder, name)
    components = found.axes[-1].name in _OF_COMPONENTS if found.axes else False
    parts: dict[str, list[np.ndarray]] = {}
    for start in range(0, found.values.shape[1], _CELLS_A_STEP):
        block = np.asarray(found.values[rows, start : start + _CELLS_A_STEP])
        low, high = means.bootstrap_interval(
            block, settings.level, settings.resamples, settings.seed
        )
        for key, own in (
            ("values", means.mean_of(block)), ("n", means.known(block).astype(float)),
            ("se", means.error_of_mean(block)), ("low", low), ("high", high),
            ("median", means.median_of(block)),
            ("same_sign", means.same_sign(block, neutral)),
        ):  # fmt: skip
            parts.setdefault(key, []).append(own)
    arrays = {key: np.concatenate(own) for key, own in parts.items()}
    number = len(found.baselines[rows])
    if components and number > 1 and number * found.values.shape[1] * 8 <= IN_MEMORY:
        arrays |= _over_control(np.asarray(found.values[rows]), neutral, settings)
    return _result(
        folder, name, found.axes, found.metric, arrays, number, group, settings,
        baseline=_known_mean(found.baselines[rows]), seconds=float(found.seconds[rows].sum()),
    )  # fmt: skip


def _over_control(
    values: np.ndarray, neutral: float, settings: AggregateSettings
) -> dict[str, np.ndarray]:
    """By how much each component's effect is larger than one taken at random, which is their mean size."""
    size = np.abs(values - neutral)
    there = ~np.isnan(size).all(1)
    over = size[there] - np.nanmean(size[there], axis=1, keepdims=True)
    _, family = sign_flip_p_values(over, settings.resamples, settings.seed)
    return {"over_control": means.mean_of(over), "p_control": family}


def _difference(
    folder: SweepFolder,
    name: str,
    found: RowValues,
    settings: AggregateSettings,
    parts: dict[str, np.ndarray],
    groups: list[str],
) -> Result:
    one, other = (np.asarray(parts[group]) for group in groups)
    own, family = permutation_p_values(one, other, settings.resamples, settings.seed)
    arrays = {
        "values": means.mean_of(one) - means.mean_of(other),
        "se": np.hypot(means.error_of_mean(one), means.error_of_mean(other)),
        "p_value": own,
        "p_family": family,
    }
    shown = f"{settings.group}={groups[0]} − {groups[1]}"
    rows, few = len(one) + len(other), of_few_ways(len(one), len(other), settings.resamples)
    made = _result(folder, name, found.axes, found.metric, arrays, rows, shown, settings, None)
    # Neutral is 0, whatever it is of one group.
    return msgspec.structs.replace(made, neutral=0.0, warnings=(*made.warnings, *few))


def _of_sums(folder: SweepFolder, name: str, settings: AggregateSettings) -> Iterator[Result]:
    request = folder.manifest.request
    for what, given in (("where", settings.where), ("align", settings.align)):
        if given:
            raise BadParameter(f"Means that were kept alone cannot be taken anew by {what}.")
    if settings.group and settings.group != request.group:
        raise BadParameter(f"Its sums are not kept by {settings.group!r}.", "Sweep with --group.")
    sums = folder.sums()
    # As rows call it: a model of values or of choices has another than was asked for.
    of_rows = (row.metric for row in folder.results(name) if not row.error)
    metric = MetricInfo(next(of_rows, request.metric.name), -1)
    for (analysis, group), own in sums.items():
        if analysis != name:
            continue
        if own.refused:
            raise BadParameter(own.refused)
        shown = "" if group is None else f"{request.group}={group}"
        arrays = _from_sums(own, settings.level, _neutral(folder, name))
        baseline = own.baseline / own.baselines if own.baselines else None
        axes = own.space.axes or ()
        yield _result(
            folder, name, axes, metric, arrays, own.rows, shown, settings, baseline, normal=True
        )


def _from_sums(sums: Sums, level: float, neutral: float) -> dict[str, np.ndarray]:
    n, total, squares = (sums.arrays[name] for name in ("n", "total", "squares"))
    nowhere = np.full(len(n), np.nan)
    mean = np.divide(total, n, out=nowhere.copy(), where=n > 0)
    spread = np.maximum(squares - n * np.nan_to_num(mean) ** 2, 0)
    se = np.sqrt(np.divide(spread, (n - 1) * n, out=nowhere.copy(), where=n > 1))
    width = NormalDist().inv_cdf((1 + level) / 2) * se
    arrays = {"values": mean, "n": n, "se": se, "low": mean - width, "high": mean + width}
    if neutral == 0:  # signs were counted about zero
        side = np.where(mean > 0, sums.arrays["positive"], sums.arrays["negative"])
        arrays["same_sign"] = np.divide(side, n, out=nowhere.copy(), where=np.nan_to_num(mean) != 0)
    return arrays


def _result(
    folder: SweepFolder,
    name: str,
    axes: tuple[Axis, ...],
    metric: MetricInfo,
    arrays: dict[str, np.ndarray],
    rows: int,
    group: str,
    settings: AggregateSettings,
    baseline: float | None,
    normal: bool = False,
    seconds: float = 0.0,
) -> Result:
    shape = tuple(len(axis.labels) for axis in axes)
    request = folder.manifest.request
    n = arrays.get("n", np.zeros(0))
    ragged = narrow = ""
    if n.size and n.min() < n.max():
        ragged = f"Of {rows:,} rows each cell has those with a value: {n.min():,.0f} to {n.max():,.0f} (n)."
    if "low" in arrays:
        narrow = means.too_few_rows(n)
    how = f"{settings.level:g}, {'normal' if normal else 'bootstrap'}"
    test = f"permutation, {settings.resamples:,} draws"
    params = {
        **request.params.get(name, {}),
        "rows": rows,
        **({"test": test} if "p_family" in arrays else {"interval": how}),
        **({"group": group} if group else {}),
        **({"where": settings.where} if settings.where else {}),
    }
    return Result(
        analysis=name,
        params=params,
        metric=metric,
        baseline=baseline,
        axes=axes,
        values=arrays["values"].reshape(shape),
        extra={
            key: LabelledArray(axes, own.reshape(shape))
            for key, own in arrays.items()
            if key != "values"
        },
        elapsed_s=seconds,
        warnings=tuple(filter(None, (ragged, narrow))),
        made_by=msgspec.structs.replace(folder.manifest.made_by, seed=settings.seed),
    )


def _neutral(folder: SweepFolder, name: str) -> float:
    return ANALYSES[name].neutral_with(folder.manifest.request.params.get(name, {}))


def _known_mean(values: np.ndarray) -> float | None:
    return None if np.isnan(values).all() else float(np.nanmean(values))
