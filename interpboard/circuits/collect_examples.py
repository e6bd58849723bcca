"""Max-activating examples: where in a text each neuron of whole layers is most active.

The text is read once, in batches of windows; memory holds the examples found so far, whose size is known
beforehand, and one batch. A neuron is an input of the MLP's last linear map: in gated MLPs (llama)
gate times up.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import msgspec
import torch
from safetensors.torch import load_file

from interpboard import __version__
from interpboard.circuits.best_examples import Best, Peaks
from interpboard.circuits.chosen import chosen
from interpboard.circuits.corpus import Place, Window, corpus_files, windows
from interpboard.circuits.head_probes import text_prefix
from interpboard.circuits.translators import save_whole
from interpboard.errors import BadParameter, Cancelled, OutOfMemory, Unsupported
from interpboard.models.finite import Tally
from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import out_of_memory
from interpboard.models.sites import at_site
from interpboard.results.examples import (
    KEY,
    OUTSIDE,
    SCHEMA,
    ExamplesFile,
    ExamplesInfo,
    ExamplesMetadata,
)
from interpboard.runs.finite import require
from interpboard.runs.metrics import at_least_float32
from interpboard.runs.prompt import token_text
from interpboard.runs.watch import SILENT, Watch

SAVED_EVERY_S = 60.0


@dataclass(frozen=True)
class Collection:
    """``top_k`` peaks a neuron, at most one from each window of ``length`` tokens (what the tokenizer puts
    first included); ``batch`` windows a step; tokens kept ``before`` and ``after`` a peak. ``layers`` None:
    all."""

    top_k: int = 16
    layers: Sequence[int] | None = None
    length: int = 128
    batch: int = 16
    before: int = 15
    after: int = 5


def collect_examples(
    lm: LanguageModel,
    corpus: str | Path,
    out: str | Path,
    settings: Collection = Collection(),
    watch: Watch = SILENT,
    saved_every_s: float = SAVED_EVERY_S,
) -> ExamplesFile:
    """The ``top_k`` highest activations of every neuron over the text file or folder ``corpus``, in ``out``.

    Windows of text follow each other without overlap; equal activations rank in the order of the text.
    Every minute, and on a cancel, what was found so far is saved in ``out``, whole or not at all: the same
    call then goes on there, to the same result as without the stop; of a finished ``out`` it reads nothing
    again. ``watch`` hears the bytes read.

    Raises ``BadParameter`` for a corpus that is no text, and for an ``out`` of other settings, another model
    or another corpus; ``Unsupported`` for a model without neurons; ``OutOfMemory``; ``Cancelled``.
    """
    lm.verified.require_site("neuron")
    prefix = text_prefix(lm)
    _check(lm, settings, len(prefix))
    out = Path(out)
    files = corpus_files(Path(corpus), leave_out=out)
    state = _State.begin(lm, _about(lm, Path(corpus), files, settings), out)
    if state.finished:
        return ExamplesFile(out)
    total = sum(size for _file, size in files)
    before = [sum(size for _file, size in files[:number]) for number in range(len(files) + 1)]
    saved = time.monotonic()
    try:
        rest = windows(lm, files, settings.length - len(prefix), state.at)
        while batch := list(islice(rest, settings.batch)):
            watch.step(before[state.at.file] + state.at.offset, total)
            state.add(batch, _peaks(lm, prefix, batch, tuple(state.best), watch))
            if time.monotonic() - saved >= saved_every_s:
                state.save(out)
                saved = time.monotonic()
    except Cancelled:
        state.save(out)
        raise
    if not state.tokens:
        raise BadParameter(f"There is no text in {corpus}.")
    state.save(out, finished=True)
    watch.step(total, total)
    return ExamplesFile(out)


class _State:
    """What was found up to the place ``at`` of the corpus."""

    def __init__(self, lm: LanguageModel, about: ExamplesInfo) -> None:
        self.lm, self.about = lm, about
        self.at, self.tokens, self.finished = Place(), 0, False
        self.best: dict[int, Best] = {}
        self.seen = torch.zeros(lm.anatomy.d_vocab, dtype=torch.bool)
        self.words: dict[int, str] = {}
        for layer in about.layers:
            down = lm.anatomy.down_proj[layer]
            if down is None:
                raise Unsupported(f"Layer {layer} has no neurons that can be told apart.")
            self.best[layer] = Best.empty(lm, down, about)

    @classmethod
    def begin(cls, lm: LanguageModel, about: ExamplesInfo, out: Path) -> _State:
        """The state that is saved in ``out``, or a fresh one where there is nothing."""
        state = cls(lm, about)
        if not out.exists():
            if not out.parent.is_dir():
                raise BadParameter(f"There is no folder {out.parent}.", "Create it first.")
            return state
        file = ExamplesFile(out)
        now = msgspec.structs.replace(  # the corpus itself may have moved
            file.info, tokens=0, at=None, made_by=about.made_by, corpus=about.corpus
        )
        if now != about:
            names = [n for n in about.__struct_fields__ if getattr(now, n) != getattr(about, n)]
            raise BadParameter(
                f"{out} holds examples with other {', '.join(names)}.",
                "Name another file, or delete it.",
            )
        state.tokens, state.words = file.info.tokens, file.vocabulary
        state.seen[list(file.vocabulary)] = True
        state.finished = file.finished
        if file.info.at is not None:
            state.at = msgspec.convert(file.info.at, Place)
            tensors = load_file(out)
            for layer, best in state.best.items():
                best.restore({n: tensors[f"{layer}.{n}"] for n in best.tensors()})
        return state

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
        said = ExamplesMetadata(about, dict(sorted(self.words.items())))
        save_whole(out, tensors, {KEY: msgspec.json.encode(said).decode()})


class _Enough(Exception):
    """Raised in the last layer that is asked for: the rest of the model need not run."""


def _peaks(
    lm: LanguageModel,
    prefix: Sequence[int],
    batch: Sequence[Window],
    layers: Sequence[int],
    watch: Watch,
) -> dict[int, Peaks]:
    """The peaks of each layer; in halves where memory does not suffice."""
    try:
        return _forward(lm, prefix, batch, layers, watch)
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        if len(batch) == 1:
            raise OutOfMemory(
                "One window does not fit in memory.", "Use a smaller length."
            ) from error
    middle = len(batch) // 2
    halves = [_peaks(lm, prefix, half, layers, watch) for half in (batch[:middle], batch[middle:])]
    return {layer: halves[0][layer].and_then(halves[1][layer]) for layer in layers}


@torch.no_grad()
def _forward(
    lm: LanguageModel,
    prefix: Sequence[int],
    batch: Sequence[Window],
    layers: Sequence[int],
    watch: Watch,
) -> dict[int, Peaks]:
    longest = max(len(window.ids) for window in batch)
    # Filled up behind the text, where a causal model's earlier positions do not look.
    rows = [[*prefix, *w.ids, *[0] * (longest - len(w.ids))] for w in batch]
    lengths = torch.tensor([len(window.ids) for window in batch], device=lm.device)
    beyond = torch.arange(longest, device=lm.device) >= lengths[:, None]
    found: dict[int, Peaks] = {}

    def keep(activation: torch.Tensor, layer: int) -> None:
        watch.check()
        text = activation[:, len(prefix) :]
        text = text.masked_fill(beyond[..., None].to(text.device), -torch.inf)
        peak, at = text.max(1)  # of equal ones the first
        found[layer] = Peaks(at_least_float32(peak), at, (text > 0).sum((0, 1)))
        if layer == max(layers):
            raise _Enough

    with ExitStack() as stack:
        for layer in layers:
            stack.enter_context(at_site(lm.anatomy, "neuron", layer, partial(keep, layer=layer)))
        ids = torch.tensor(rows, device=lm.device)
        _run_until_enough(lm, ids)
    return {layer: found[layer] for layer in layers}


def _run_until_enough(lm: LanguageModel, ids: torch.Tensor) -> None:
    tally = Tally(len(ids))
    try:
        with tally.over(lm.anatomy):
            lm.anatomy.base(input_ids=ids, use_cache=False)
    except _Enough:
        pass
    require(tally, lm, "A window of the text")


def _about(
    lm: LanguageModel, corpus: Path, files: tuple[tuple[Path, int], ...], settings: Collection
) -> ExamplesInfo:
    names = [str(f.relative_to(corpus)) if corpus.is_dir() else f.name for f, _size in files]
    options = asdict(settings) | {
        "layers": tuple(sorted(chosen(settings.layers, lm.anatomy.n_layers, "layer")))
    }
    return ExamplesInfo(
        schema=SCHEMA,
        model=lm.info.name,
        dtype=lm.info.dtype,
        corpus=str(corpus),
        files=tuple((name, size) for name, (_file, size) in zip(names, files, strict=True)),
        made_by={"interpboard": __version__, "torch": str(torch.__version__)},
        **options,
    )


def _check(lm: LanguageModel, settings: Collection, prefix: int) -> None:
    if min(settings.top_k, settings.batch) < 1 or min(settings.before, settings.after) < 0:
        raise BadParameter("top_k and batch are at least 1, before and after at least 0.")
    most = lm.anatomy.context or settings.length
    if not prefix < settings.length <= most:
        raise BadParameter(
            f"Windows of {settings.length} tokens do not fit.", f"Use {prefix + 1} to {most}."
        )
