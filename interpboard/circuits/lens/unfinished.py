"""An unfinished training of a tuned lens: kept in a file, gone on with the same text and weights only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from interpboard.errors import BadParameter
from interpboard.models.fingerprints import Origin, check_resumed
from interpboard.runs.tensor_files import read_tensors, save_tensors

STATE = "training.safetensors"
_MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass
class BegunTraining:
    """A training in ``path``: its settings ``about``, what it is made from, what it changes.

    ``warnings``: what is not known of a training that is gone on with.
    """

    path: Path
    about: dict[str, Any]
    origin: Origin
    parameters: tuple[torch.Tensor, ...]
    adam: torch.optim.Adam
    warnings: tuple[str, ...] = ()

    def save(self, done: int) -> None:
        """Write what is needed to go on after ``done`` steps."""
        tensors = {}
        for number, parameter in enumerate(self.parameters):
            tensors[str(number)] = parameter.detach().cpu().contiguous()
            for name, value in self.adam.state[parameter].items():
                tensors[f"{number}.{name}"] = value.cpu().contiguous()
        metadata = {"settings": json.dumps(self.about), "done": str(done), **self.origin.metadata()}
        save_tensors(self.path, tensors, metadata)

    def restored(self) -> int:
        """Steps done so far; puts back what ``save`` wrote, if anything.

        Raises ``BadParameter`` for a training with other settings or of something else, and a damaged one.
        """
        if not self.path.is_file():
            return 0
        tensors, metadata = read_tensors(self.path)
        try:
            known, done = json.loads(metadata["settings"]), int(metadata["done"])
            self._check(known, metadata)
            self._put_back(tensors)
        except (ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
            raise self._damaged(str(error)) from error
        if not 0 <= done <= self.about["steps"]:
            raise self._damaged(f"{done} steps were done")
        return done

    def _damaged(self, why: str) -> BadParameter:
        return BadParameter(f"{self.path} is damaged: {why}.", "Delete it to start anew.")

    def _check(self, known: dict[str, Any], metadata: dict[str, str]) -> None:
        remedy = f"Delete {self.path.name} there, or name another folder."
        before = Origin.read({"model": str(known.get("model", "")), **metadata})
        what = f"{self.path.parent} holds an unfinished training"
        self.warnings = check_resumed(self.origin, before, what, remedy)
        free = (
            ("text",) if before.text else ()
        )  # the text may have moved if it is known by what is in it
        if any(known.get(n, value) != value for n, value in self.about.items() if n not in free):
            raise BadParameter(f"{what} with other settings.", remedy)
        if not before.weights:  # what was not known of its beginning is not known of the whole
            self.origin = before

    def _put_back(self, tensors: dict[str, torch.Tensor]) -> None:
        for number, parameter in enumerate(self.parameters):
            if tensors[str(number)].shape != parameter.shape:
                raise ValueError("parameters of another shape")
            parameter.data.copy_(tensors[str(number)])
            step = tensors.get(f"{number}.step")
            if step is not None:
                moments = {name: tensors[f"{number}.{name}"] for name in _MOMENTS}
                if any(moment.shape != parameter.shape for moment in moments.values()):
                    raise ValueError("moments of another shape")
                self.adam.state[parameter] = {
                    "step": step,
                    **{name: moment.to(parameter.device) for name, moment in moments.items()},
                }
