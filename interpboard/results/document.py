"""``Document``: one model, one prompt, and the results computed on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from interpboard.display import visible
from interpboard.errors import BadResultFile
from interpboard.results.encoding import SCHEMA, from_json, json_of, read_file, write_file
from interpboard.results.info import ModelInfo, PromptInfo
from interpboard.results.result import Result
from interpboard.results.table import pandas
from interpboard.results.top import Entry, Order
from interpboard.results.views import Viewable


class Document(Viewable, msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """One model, one prompt, and the results computed on them."""

    schema: str = SCHEMA
    model: ModelInfo
    prompt: PromptInfo
    results: tuple[Result, ...]

    def result(self, analysis: str) -> Result:
        """The first result of ``analysis``."""
        for result in self.results:
            if result.analysis == analysis:
                return result
        raise KeyError(analysis)

    def top(self, k: int = 10, *, by: Order = "magnitude") -> dict[str, list[Entry]]:
        """``Result.top`` of the first result of each analysis; those whose values are text are left out."""
        first: dict[str, Result] = {}  # of means that of all rows
        for result in self.results:
            if result.values.dtype != object:
                first.setdefault(result.analysis, result)
        return {analysis: result.top(k, by=by) for analysis, result in first.items()}

    def to_dataframe(self) -> Any:
        """The frames of all results under each other, with the columns ``analysis``, ``metric`` and
        ``position`` in front; where a result lacks an axis or an extra, the cell is NaN.

        Raises ``MissingPackage`` where pandas is not installed.
        """
        pd = pandas()
        frames = []
        for result in self.results:
            frame = result.to_dataframe()
            frame.insert(0, "analysis", result.analysis)
            frame.insert(1, "metric", result.metric.name)
            frame.insert(2, "position", result.metric.position)
            frames.append(frame)
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    def to_json(self, indent: int | None = 2) -> str:
        """The document as JSON text. NaN and infinities are null."""
        return json_of(self, indent)

    @classmethod
    def from_json(cls, text: str | bytes) -> Document:
        """The document that ``to_json`` wrote. Raises ``BadResultFile`` for anything else."""
        return from_json(text, cls)

    def save(self, path: str | Path) -> Path:
        """Write the JSON to ``path`` and return it. Raises ``BadResultFile``."""
        return write_file(path, self.to_json() + "\n")

    @classmethod
    def load(cls, path: str | Path) -> Document:
        """Read what ``save`` wrote. Raises ``BadResultFile``, with the name of the file."""
        try:
            return cls.from_json(read_file(path))
        except BadResultFile as error:
            raise error.about(path) from error

    def __repr__(self) -> str:
        model, prompt = self.model, self.prompt
        head = f"<Document: {visible(model.name)} ({visible(model.family)}, {model.layers} layers"
        lines = [f"{head} × {model.heads} heads) on {visible(prompt.text)!r}"]
        lines += [f"  note: {visible(note)}" for note in model.notes]
        for result in self.results:
            lines += [f"  {line}" for line in repr(result).splitlines()]
        return "\n".join(lines) + ">"
