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

import torch

from interpboard import __version__
from interpboard.circuits.neurons.collected import Collected
from interpboard.circuits.neurons.corpora import Window, corpus_files, corpus_fingerprint, windows
from interpboard.circuits.neurons.peaks import Peaks
from interpboard.circuits.selection import chosen
from interpboard.errors import BadParameter, Cancelled, OutOfMemory
from interpboard.files.atomic import try_place
from interpboard.models.finite import Tally
from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import out_of_memory
from interpboard.models.sites import at_site
from interpboard.models.unembedding import run_body
from interpboard.results.examples import EXAMPLES_SCHEMA, ExamplesFile, ExamplesInfo
from interpboard.runs.finite import require
from interpboard.runs.metrics import at_least_float32
from interpboard.runs.prompt import text_prefix
from interpboard.runs.watch import SILENT, Postponed, Watch

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
    call then goes on there, to the same result as without the stop; of a finished ``out`` nothing is computed
    again. ``watch`` hears the bytes read. The file says of which weights, tokenizer and text it is, and goes
    on with the same ones only; one that does not say it, from before that was kept, comes with a warning.

    Raises ``BadParameter`` for a corpus that is no text, and for an ``out`` that cannot be written or is of
    other settings, other weights, another tokenizer or another text; ``Unsupported`` for a model without
    neurons; ``OutOfMemory``; ``Cancelled``.
    """
    lm.verified.require_site("neuron")
    prefix = text_prefix(lm)
    _check(lm, settings, len(prefix))
    out = Path(out)
    files = corpus_files(Path(corpus), leave_out=out)
    try:
        try_place(out)
    except OSError as error:
        raise BadParameter(
            f"Cannot write {out}: {error.strerror}.", "Name another place."
        ) from error
    state = Collected.begin(lm, _about(lm, Path(corpus), files, settings, watch), out)
    if state.finished:
        return state.file(out)
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
    except (Cancelled, Postponed):
        state.save(out)
        raise
    if not state.tokens:
        raise BadParameter(f"There is no text in {corpus}.")
    state.save(out, finished=True)
    watch.step(total, total)
    return state.file(out)


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
            run_body(lm.anatomy, ids)
    except _Enough:
        pass
    require(tally, lm, "A window of the text")


def _about(
    lm: LanguageModel,
    corpus: Path,
    files: tuple[tuple[Path, int], ...],
    settings: Collection,
    watch: Watch,
) -> ExamplesInfo:
    names = [str(f.relative_to(corpus)) if corpus.is_dir() else f.name for f, _size in files]
    options = asdict(settings) | {
        "layers": tuple(sorted(chosen(settings.layers, lm.anatomy.n_layers, "layer")))
    }
    return ExamplesInfo(
        schema=EXAMPLES_SCHEMA,
        model=lm.info.name,
        dtype=lm.info.dtype,
        corpus=str(corpus),
        files=tuple((name, size) for name, (_file, size) in zip(names, files, strict=True)),
        made_by={"interpboard": __version__, "torch": str(torch.__version__)},
        weights=lm.info.weights,
        tokenizer=lm.info.tokenizer,
        text=corpus_fingerprint(files, watch),
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
