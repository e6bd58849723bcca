"""What a worker does, be it an actor of Ray or a process of this machine: open the model, work on shards.

What it fails by is told, not raised (``told``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interpboard.errors import BadParameter, Cancelled
from interpboard.runs.watch import SILENT, Watch
from interpboard.sweeps.folder import SweepFolder
from interpboard.sweeps.going_on import identity_of
from interpboard.sweeps.pace import SweepPace
from interpboard.sweeps.row_results import RowResult
from interpboard.sweeps.shards import results_of_shard
from interpboard.sweeps.told import Told, WorkerFailure

if TYPE_CHECKING:
    from interpboard.models.language_model import LanguageModel


@dataclass(frozen=True)
class OpenedModel:
    """The model ``lm`` of ``name``, or why there is none."""

    name: str
    lm: LanguageModel | None = None
    failed: WorkerFailure | None = None

    @classmethod
    def of(cls, opening: Mapping[str, Any]) -> OpenedModel:
        """That of the words of ``open_model``."""
        from interpboard.models.language_model import open_model

        name = str(opening.get("name_or_path"))
        try:
            return cls(name, open_model(**opening))
        except Exception as error:  # noqa: BLE001 - told to the user by heard_by
            return cls(name, failed=WorkerFailure.of(error))


class ShardWorker:
    """The model, opened once, and the folder that its parts go to."""

    def __init__(self, opened: OpenedModel, folder: str, watch: Watch = SILENT) -> None:
        self.failed = opened.failed
        try:
            self._begin(opened, folder, watch)
        except Exception as error:  # noqa: BLE001 - told to the user by heard_by
            self.failed = WorkerFailure.of(error)

    def _begin(self, opened: OpenedModel, folder: str, watch: Watch) -> None:
        from interpboard.sweeps.row_work import rows_function

        if opened.lm is None:
            return
        self.folder = SweepFolder.open(Path(folder))
        lm, manifest = opened.lm, self.folder.manifest
        if identity_of(lm.info) != identity_of(manifest.model):
            raise BadParameter(
                f"A worker's {opened.name} is not the model that the sweep began with.",
                "Give every node the same files.",
            )
        self.work = rows_function(lm, manifest.request, watch)
        self.check = watch.check

    def worked(self, shard: Path) -> Told:
        """The rows of ``shard`` to one part on disk; how it went. ``Cancelled`` passes through, what was
        computed written."""
        if self.failed is None:
            try:
                return self._worked(shard)
            except Cancelled:
                raise
            except Exception as error:  # noqa: BLE001 - told to the user by heard_by
                self.failed = WorkerFailure.of(error)
        return Told(failed=self.failed)

    def _worked(self, shard: Path) -> Told:
        pace = SweepPace(None)
        held: list[RowResult] = []
        try:
            for found in results_of_shard(self.work, shard, pace):
                held += found
                self.check()
        finally:
            self.folder.write(held)
        return Told(pace.rows, pace.computed, pace.work, pace.reasons, passing=pace.passing)
