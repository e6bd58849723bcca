"""Is anything of a sweep left to compute? Asked before a model is opened for it."""

from __future__ import annotations

from pathlib import Path

from interpboard.datasets.dataset import Dataset
from interpboard.sweeps.folder import SweepFolder
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
