"""The examples found so far while a text is read: kept in a file, and gone on from there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import msgspec
import torch

from interpboard.circuits.neurons.corpora import CorpusPlace, Window
from interpboard.circuits.neurons.peaks import Best, Peaks
from interpboard.errors import BadParameter, BadResultFile, Unsupported
from interpboard.models.fingerprints import Origin, check_resumed
from interpboard.models.language_model import LanguageModel
from interpboard.results.examples import (
    KEY,
    OUTSIDE,
    ExamplesFile,
    ExamplesInfo,
    ExamplesMetadata,
)
from interpboard.runs.prompt import token_text
from interpboard.runs.tensor_files import read_tensors, save_tensors

_MADE_FROM = ("weights", "tokenizer", "text")
# May differ: where it stopped, who made it, and names of what fingerprints tell better.
_FREE = ("tokens", "at", "made_by", "corpus", "model", *_MADE_FROM)


class Collected:
    """What was found up to the place ``at`` of the corpus."""

    def __init__(
        self, lm: LanguageModel, about: ExamplesInfo, warnings: tuple[str, ...] = ()
    ) -> None:
        self.lm, self.about, self.warnings = lm, about, warnings
        self.at, self.tokens, self.finished = CorpusPlace(), 0, False
        self.best: dict[int, Best] = {}
        self.seen = torch.zeros(lm.anatomy.d_vocab, dtype=torch.bool)
        self.words: dict[int, str] = {}
        for layer in about.layers:
            down = lm.anatomy.down_proj[layer]
            if down is None:
                raise Unsupported(f"Layer {layer} has no neurons that can be told apart.")
            self.best[layer] = Best.empty(lm, down, about)

    @classmethod
    def begin(cls, lm: LanguageModel, about: ExamplesInfo, out: Path) -> Collected:
        """The state that is saved in ``out``, or a fresh one where there is nothing.

        Raises ``BadParameter`` for one of something else, ``BadResultFile`` for a damaged one.
        """
        if not out.exists():
            return cls(lm, about)
        file = ExamplesFile(out)
        warnings = _compared(about, file)
        # What a file does not say of its beginning is not known of the whole either.
        kept = {name: "" for name in _MADE_FROM if not getattr(file.info, name)}
        state = cls(lm, msgspec.structs.replace(about, **kept), warnings)
        state.tokens, state.words = file.info.tokens, file.vocabulary
        state.finished = file.finished
        try:
            state.seen[list(file.vocabulary)] = True
            if file.info.at is not None:
                state.at = msgspec.convert(file.info.at, CorpusPlace)
                _check_place(state.at, about)
                tensors, _ = read_tensors(out)
                for layer, best in state.best.items():
                    best.restore({n: tensors[f"{layer}.{n}"] for n in best.tensors()})
        except (KeyError, IndexError, RuntimeError, ValueError, msgspec.MsgspecError) as error:
            raise BadResultFile(
                f"{out} is damaged: {error}.", "Delete it, or name another file."
            ) from error
        return state

    def file(self, out: Path) -> ExamplesFile:
        """What was saved in ``out``, to be read."""
        found = ExamplesFile(out)
        found.warnings = self.warnings
        return found

    def add(self, batch: Sequence[Window], peaks: dict[int, Peaks]) -> None:
        """Take in what was found in ``batch``."""
        ids = torch.full((len(batch), max(len(w.ids) for w in batch)), OUTSIDE)
        for row, window in zip(ids, batch, strict=True):
            row[: len(window.ids)] = torch.tensor(window.ids)
        self.seen[ids[ids != OUTSIDE]] = True
        first = torch.tensor([[window.file, window.first] for window in batch])
        for layer, found in peaks.items():
            self.best[layer].take(found, ids, first)
        self.tokens += sum(len(window.ids) for window in batch)
        self.at = batch[-1].after

    def save(self, out: Path, finished: bool = False) -> None:
        """Write everything to ``out``, in one step."""
        for i in self.seen.nonzero().flatten().tolist():
            if i not in self.words:
                self.words[i] = token_text(self.lm.tokenizer, i)
        about = msgspec.structs.replace(
            self.about, tokens=self.tokens, at=None if finished else asdict(self.at)
        )
        tensors = {
            f"{layer}.{name}": value.cpu().contiguous()
            for layer, best in self.best.items()
            for name, value in best.tensors().items()
        }
        metadata = ExamplesMetadata(about, dict(sorted(self.words.items())))
        save_tensors(out, tensors, {KEY: msgspec.json.encode(metadata).decode()})


def _compared(about: ExamplesInfo, file: ExamplesFile) -> tuple[str, ...]:
    """Warnings about going on in ``file``. Raises ``BadParameter`` if it is of something else."""
    known, remedy = file.info, "Name another file, or delete it."
    names = [
        name
        for name in about.__struct_fields__
        if name not in _FREE and getattr(known, name) != getattr(about, name)
    ]
    before, now = (
        Origin(each.model, each.weights, each.tokenizer, each.text) for each in (known, about)
    )
    warnings = check_resumed(now, before, f"{file.path} holds examples", remedy)
    if names:
        raise BadParameter(f"{file.path} holds examples with other {', '.join(names)}.", remedy)
    return warnings


def _check_place(place: CorpusPlace, about: ExamplesInfo) -> None:
    """Raises ``ValueError`` for a place that the text does not have."""
    end = place.file == len(about.files)
    size = 0 if end else about.files[place.file][1] if 0 <= place.file < len(about.files) else -1
    if not (0 <= place.offset <= size and place.token >= 0 and all(i >= 0 for i in place.left)):
        raise ValueError("it stopped at a place that is not in the text")
