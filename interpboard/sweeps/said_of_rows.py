"""What must be said of a mean of rows: which are missing, warned of, in no group, or there twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from interpboard.datasets.row_expression import row_expression
from interpboard.results import Result
from interpboard.statistics.significance import smallest_p_value
from interpboard.sweeps.finished_rows import Counts
from interpboard.sweeps.folder import SweepFolder
from interpboard.sweeps.row_results import OF_GROUPS


def check_columns_of_filter(folder: SweepFolder, where: str) -> None:
    """Raise ``BadParameter`` where ``where`` names a column that no row has: all would fit its ``!=``."""
    wanted = row_expression(where)
    asked, known = set(wanted.columns), dict.fromkeys(OF_GROUPS)
    for row in folder.heads():  # no further than until they are found
        if asked <= known.keys():
            return
        known |= dict.fromkeys(row["columns"])
    wanted.check(known)


def of_missing(counts: Counts, asked: int) -> list[str]:
    """How many results of those ``asked`` for are not computed, and how many have only a reason."""
    said = []
    if counts.done < asked:
        said.append(f"not finished: {counts.done:,} of {asked:,} results are computed")
    if counts.failed:
        share = f"{counts.failed:,} of {counts.done:,} results have only a reason"
        said.append(f"{share}, most often: {most_common(counts.reasons)}")
    return said


def of_rows_twice(repeated: int, rows: int | None) -> list[str]:
    """That ``repeated`` of the dataset's ``rows`` are asked what another is asked."""
    if not repeated:
        return []
    return [
        f"{repeated:,} of the dataset's {rows or 0:,} rows repeat another one's prompt and answers: "
        "intervals and p-values count them as if they were independent"
    ]


def of_warnings(folder: SweepFolder) -> dict[str, list[str]]:
    """Of each analysis how many rows have warnings of their own, and the most frequent one."""
    rows: Counter[str] = Counter()
    warned: Counter[str] = Counter()
    found: dict[str, Counter[str]] = {}
    for analysis, warnings in folder.warnings():
        rows[analysis] += 1
        if warnings:
            warned[analysis] += 1
            found.setdefault(analysis, Counter()).update(warnings)
    return {
        name: [
            f"{warned[name]:,} of the sweep's {rows[name]:,} rows have warnings, most often: "
            f"{own.most_common(1)[0][0].rstrip('.')}"
        ]
        for name, own in found.items()
    }


def in_no_group(results: Sequence[Result], column: str) -> list[str]:
    """A warning where rows have nothing in the column of the groups."""
    rows, of_groups = 0, 0
    for result in results:
        if result.analysis == results[0].analysis:
            group = result.params.get("group")
            if group is None:
                rows = result.params["rows"]
            elif "p_family" not in result.extra:  # not of a difference
                of_groups += result.params["rows"]
    left = rows - of_groups if column and of_groups else 0
    return [f"{left:,} of {rows:,} rows have no {column}: they are in no group."] if left else []


def of_few_ways(one: int, other: int, draws: int) -> list[str]:
    """That groups of so many rows can be parted in too few ways for a small p-value."""
    least = smallest_p_value(one, other)
    if least <= 1 / draws:
        return []
    return [
        f"Groups of {one:,} and {other:,} rows can be parted in few ways: the smallest p is about "
        f"{least:.2g}."
    ]


def most_common(reasons: dict[str, int]) -> str:
    """The reason that most rows have."""
    if not reasons:
        return "Nothing was computed yet."
    return max(reasons, key=lambda reason: reasons[reason])
