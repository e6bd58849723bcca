"""Training the tuned lens on a text file, on the spot: cancellable, and taken up where it stopped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import torch

from interpboard.circuits.lens.logit import lens_axis
from interpboard.circuits.lens.training_pairs import pair_batches, pair_streams
from interpboard.circuits.lens.translators import (
    Translators,
    about_to_replace,
    prepare_folder,
    translated,
)
from interpboard.circuits.lens.unfinished import STATE, BegunTraining
from interpboard.circuits.neurons.corpora import corpus_files, corpus_fingerprint, windows
from interpboard.errors import BadParameter, Cancelled
from interpboard.models.fingerprints import Origin
from interpboard.models.frozen import frozen
from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import require_room_for_tokens
from interpboard.models.sites import at_site
from interpboard.models.unembedding import residual_to_logits, run_body
from interpboard.results import LabelledArray, PromptInfo
from interpboard.runs.finite import refusing, require_finite
from interpboard.runs.metrics import at_least_float32
from interpboard.runs.prompt import text_prefix
from interpboard.runs.steps import bytes_of_a_layer, fullest_device
from interpboard.runs.strip_places import source_layers
from interpboard.runs.watch import SILENT, Postponed, Watch

SAVED_EVERY = 25  # steps
_LOGITS_A_STEP = {"cpu": 1 << 23, "cuda": 1 << 26, "mps": 1 << 25}
_LOGITS_THERE = 8  # tensors of the logits of a step, forwards and back
# Tensors as large as the translators: they, their gradients, two moments, and what Adam makes meanwhile.
_TRANSLATORS_THERE, _OF_OTHERS = {"cpu": 4}, 6
TrainingBatch = torch.Tensor | list[PromptInfo]
"""Windows [row, pos] of a text; of an encoder–decoder pairs of source and target."""


@dataclass(frozen=True)
class TrainingSettings:
    """What the training does. One step: ``batch`` windows of ``length`` tokens; Adam, its rate falling
    to zero along a line."""

    steps: int = 250
    batch: int = 8
    length: int = 64
    rate: float = 1e-3


def tune_lens(
    lm: LanguageModel,
    text: str | Path,
    out: str | Path,
    settings: TrainingSettings = TrainingSettings(),
    watch: Watch = SILENT,
) -> Translators:
    """Train translators on ``text``, a text file or a folder of them, and save them in the folder ``out``.

    They start as the identity and minimise KL(final ‖ layer), in nats a token, each layer its own
    (Belrose et al. 2023). The text is read a line at a time, over and over, in windows; for an encoder–
    decoder each line is a pair, ``source ||| target``, of at most ``length`` tokens in either strip, and the
    lens is its decoder's. ``watch`` hears
    each step with the KL [layer] of its batch. After a cancel, and every 25 steps, what is needed to go on
    lies in ``out``: the same call then goes on there, to the same result as without the stop. It goes on with
    the same weights, tokenizer and text only. A lens that was finished in ``out`` is replaced by the new one.

    Raises ``BadParameter`` for a file that is no text or too short, and for an ``out`` that cannot be
    written or holds an unfinished training with other settings or of something else; ``Unaffordable`` where
    a step has no room; ``Cancelled``; ``Unsupported`` without a verified head.
    """
    lm.verified.require_lens()
    _check(lm, settings)
    require_room_for_training(lm, settings.batch * settings.length)
    text, out = Path(text), Path(out)
    files = tuple(
        (file, size)
        for file, size in corpus_files(text)
        if out.resolve() not in file.resolve().parents
    )
    prepare_folder(out)
    start = Translators.identity(lm)
    weight, bias = (part.requires_grad_() for part in (start.weight, start.bias))
    # In one kernel on a CPU: else each step has two more tensors as large as the translators.
    adam = torch.optim.Adam([weight, bias], lr=settings.rate, fused=lm.device.type == "cpu" or None)
    origin = Origin.of(lm.info, corpus_fingerprint(files, watch))
    about = {**asdict(settings), "dtype": lm.info.dtype, "text": str(text.resolve())}
    begun = BegunTraining(out / STATE, about, origin, (weight, bias), adam)
    done = begun.restored()
    replaced = () if begun.path.is_file() else about_to_replace(lm, out, origin)
    pairs = lm.anatomy.strips is not None
    batches: Iterator[TrainingBatch] = _batches(lm, files, settings)
    if pairs:
        batches = pair_batches(lm, [file for file, _size in files], settings.batch, settings.length)
    batches = islice(batches, done, settings.steps)
    axis = lens_axis(lm, "resid_post")
    rows = type(axis)(axis.name, axis.labels[:-1])
    try:
        for ids in batches:
            watch.step(done, settings.steps)
            for group in adam.param_groups:
                group["lr"] = settings.rate * (1 - done / settings.steps)
            kl = _gradients(lm, start, ids, watch)
            adam.step()
            adam.zero_grad()
            done += 1
            if done % SAVED_EVERY == 0:
                begun.save(done)
            watch.step(done, settings.steps, LabelledArray((rows,), kl.cpu().numpy()))
    except (Cancelled, Postponed):
        begun.save(done)
        raise
    warnings = (*replaced, *begun.warnings)
    found = Translators(weight.detach(), bias.detach(), begun.origin, warnings)
    found.save(out)
    (out / STATE).unlink(missing_ok=True)
    return found


def bytes_of_a_training_step(lm: LanguageModel, tokens: int) -> int:
    """Bytes that a step on so many ``tokens`` takes: translators in float32, their gradients and Adam's two
    moments; the streams of all layers, and logits of as many positions as are read at once."""
    anatomy = lm.anatomy
    item = anatomy.embedding.weight.element_size()  # type: ignore[operator]
    n_layers = anatomy.n_layers - source_layers(lm)
    translators = 4 * n_layers * (anatomy.d_model + 1) * anatomy.d_model
    streams = tokens * (n_layers + 1) * anatomy.d_model * item
    logits = _LOGITS_THERE * 4 * min(tokens, _positions_a_step(lm)) * anatomy.n_logits
    held = _TRANSLATORS_THERE.get(lm.device.type, _OF_OTHERS) * translators
    # While the streams are recorded no gradients are there, and behind them those of one layer twice.
    meanwhile = max(logits + translators // n_layers, bytes_of_a_layer(lm, tokens) - translators)
    return held + streams + meanwhile


def require_room_for_training(lm: LanguageModel, tokens: int) -> None:
    """Raise ``Unaffordable`` where a step on so many ``tokens`` has no room, with how many have."""
    require_room_for_tokens(
        fullest_device(lm), lambda n: bytes_of_a_training_step(lm, n), tokens,
        f"A training step on {tokens:,} tokens", "use a device with more memory",
        prompts="a step (batch × length)",
    )  # fmt: skip


def _positions_a_step(lm: LanguageModel) -> int:
    most = _LOGITS_A_STEP.get(lm.device.type, _LOGITS_A_STEP["cpu"])
    return max(1, most // lm.anatomy.n_logits)


def _gradients(
    lm: LanguageModel, translators: Translators, batch: TrainingBatch, watch: Watch
) -> torch.Tensor:
    """Each layer's gradient becomes the translators'; the KL [layer] of the batch.

    A few positions at a time: of a long window all logits, and what their softmax is made of, would be
    gigabytes.
    """
    with torch.no_grad():
        streams = (
            _streams(lm, batch) if isinstance(batch, torch.Tensor) else pair_streams(lm, batch)
        )
    learned = (translators.weight, translators.bias)
    for part in learned:
        part.grad = torch.zeros_like(part)
    tokens = len(streams[-1])
    a_step = _positions_a_step(lm)
    losses = [torch.zeros((), device=lm.device) for _ in streams[:-1]]
    for start in range(0, tokens, a_step):
        here = slice(start, start + a_step)
        with torch.no_grad():
            logits = residual_to_logits(lm.anatomy, streams[-1][here])
            final = at_least_float32(logits).log_softmax(-1)
        for layer, stream in enumerate(streams[:-1]):
            watch.check()
            own = [part.detach()[layer].requires_grad_() for part in learned]
            with frozen(lm.model), torch.enable_grad():
                logits = residual_to_logits(lm.anatomy, translated(stream[here], *own))
                lens = at_least_float32(logits).log_softmax(-1)
                loss = (final.exp() * (final - lens)).sum() / tokens
                slopes = torch.autograd.grad(loss, own)
            for part, slope in zip(learned, slopes, strict=True):
                part.grad[layer] += slope  # type: ignore[index]
            losses[layer] += loss.detach().to(losses[layer])
    mean_losses = torch.stack(losses)
    require_finite(lm, "The loss of the training", mean_losses, *_slopes(translators))
    return mean_losses


def _slopes(translators: Translators) -> list[torch.Tensor]:
    """A layer at a time: what they are looked at with is as large as they."""
    parts = (translators.weight, translators.bias)
    return [slope for part in parts if part.grad is not None for slope in part.grad]


def _streams(lm: LanguageModel, ids: torch.Tensor) -> list[torch.Tensor]:
    """The input of every layer, and the final stream, each [rows · pos, d_model]."""
    seen: list[torch.Tensor] = []

    def keep(value: torch.Tensor) -> None:
        seen.append(value.flatten(0, 1).clone())

    last = lm.anatomy.n_layers - 1
    with ExitStack() as stack:
        for layer in range(lm.anatomy.n_layers):
            stack.enter_context(at_site(lm.anatomy, "resid_pre", layer, keep))
        stack.enter_context(at_site(lm.anatomy, "resid_post", last, keep))
        with refusing(lm, "A window of the text", len(ids)):
            run_body(lm.anatomy, ids)
    return seen


def _batches(
    lm: LanguageModel, files: tuple[tuple[Path, int], ...], settings: TrainingSettings
) -> Iterator[torch.Tensor]:
    """Windows of the text [batch, pos], over and over, each behind what the tokenizer puts first."""
    prefix = text_prefix(lm)
    room = settings.length - len(prefix)
    rows: list[list[int]] = []
    while True:
        found = 0
        for window in windows(lm, files, room):
            if len(window.ids) < room:  # what is left of a file
                continue
            found += 1
            rows.append([*prefix, *window.ids])
            if len(rows) == settings.batch:
                yield torch.tensor(rows, device=lm.device)
                rows = []
        if not found:
            raise BadParameter(
                f"Every file of the text has fewer than {room} tokens.",
                "Use a longer text, or a smaller length.",
            )


def _check(lm: LanguageModel, settings: TrainingSettings) -> None:
    least = 1 if lm.anatomy.strips is not None else len(text_prefix(lm)) + 1
    most = lm.anatomy.context or settings.length
    if settings.steps < 1 or settings.batch < 1 or not settings.rate > 0:
        raise BadParameter("Training needs at least one step, one window and a rate above 0.")
    if not least <= settings.length <= most:
        raise BadParameter(f"Windows of {settings.length} tokens do not fit.", f"Use up to {most}.")
