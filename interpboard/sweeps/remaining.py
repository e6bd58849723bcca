"""Is anything of a sweep left to compute, and are its rows those of before? Asked before one is computed."""

from __future__ import annotations

from pathlib import Path

from interpboard.datasets.dataset import Dataset
from interpboard.errors import BadParameter
from interpboard.sweeps.folder import SweepFolder
from interpboard.sweeps.in_process import missing_rows
from interpboard.sweeps.row_results import row_id


def is_whole(path: Path, dataset: Dataset) -> bool:
    """Has the sweep in the folder ``path`` a result, or a reason, of every row and analysis that it asks for?

    Results of another version of the program, or of other weights, are none. Raises ``BadResultFile`` and
    what reading ``dataset`` raises.
    """
    folder = SweepFolder.open(path)
    request, weights = folder.manifest.request, folder.manifest.model.weights
    asked = [request.fingerprint(name, weights) for name in request.analyses]
    finished = folder.finished()
    return all(row_id(row, own) in finished for row in dataset.rows() for own in asked)


def refuse_read_otherwise(folder: SweepFolder, dataset: Dataset) -> None:
    """Raise ``BadParameter`` where ``folder`` has results of rows that ``dataset`` does not have as they were
    read then: their rows would be computed anew, and stand in it twice."""
    finished = folder.finished()
    if not len(finished):
        return
    analyses, known = len(folder.manifest.request.analyses), 0
    for _, missing in missing_rows(dataset, folder, finished):
        known += analyses - len(missing)
    if known < len(finished):
        raise BadParameter(
            f"{folder.path} has {len(finished) - known:,} results of rows that were read otherwise before.",
            "Sweep into another folder.",
        )
