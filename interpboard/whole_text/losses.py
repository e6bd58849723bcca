"""The loss of every token of a text, clean and with interventions, in windows where it is long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from interpboard.datasets.dataset_lines import dataset_text
from interpboard.errors import BadParameter, BadPrompt
from interpboard.files.places import expanded
from interpboard.interventions.grammar import Intervention, parse_interventions
from interpboard.interventions.resolve import edits_of, warnings_of
from interpboard.models.language_model import LanguageModel
from interpboard.results import LabelledArray, PromptInfo, text_array, token_axis
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.edits import Counterfactual
from interpboard.runs.encoded import Encoded, encode
from interpboard.runs.half_characters import shown_tokens
from interpboard.runs.labels import require_tokens
from interpboard.runs.metrics import Metric
from interpboard.runs.prompt import token_text
from interpboard.runs.watch import SILENT, Watch
from interpboard.whole_text.forced_target import begin_of_words, forced_target, refuse_windows
from interpboard.whole_text.loss_reference import loss_reference, refuse_bound_positions
from interpboard.whole_text.masked import mask_of, masked_scores
from interpboard.whole_text.scores import TokenScores, token_scores
from interpboard.whole_text.windows import ScoredWindow, windows_around, windows_of

_WINDOW = 2048  # of a file, where the model's context is longer or has no end


@analysis("token_losses", path="forward")
def token_losses(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    file: str = "",
    limit: int = 0,
    window: int = 0,
    stride: int = 0,
    interventions: str = "",
    reference: str = "",
    source: str = "",
    watch: Watch = SILENT,
) -> Computed:
    """Loss [token] = −ln p(token | those before it), in nats, of the prompt or of the text in ``file``; of an
    encoder −ln p(token | all others), itself masked: a pseudo-likelihood.

    The metric is not looked at. A token without any before it has no loss (NaN), nor have those that
    the tokenizer puts around the text, nor masks that the text itself has. Of a text ``limit`` takes the
    first so many tokens (0: all). What is longer than ``window`` tokens (0: the whole prompt; of a file the
    model's context, 2,048 at most) is scored in windows that each move on by ``stride`` (0: half a window):
    ``context`` says how many tokens of the text each had before it; of an encoder, beside it.

    ``interventions``, in the grammar of ``what_if``, are made in every window: then ``edited`` is the loss
    with them, ``effect`` edited − clean, and ``loss_recovered`` =
    (L_reference − L_edited) / (L_reference − L_clean) of the mean losses: 1 is the clean loss, 0 that of
    ``reference``, interventions that take everything away (by default the same places at zero). ``source``:
    the prompt that ``patch`` takes its values from.

    Of an encoder–decoder the words of the target have losses, each given the source and those before it; the
    text in ``file`` is one of each, ``source ||| target``, and there are no windows.

    ``extra``, each [token]: ``rank`` (1: it was the likeliest), ``entropy`` of the prediction in nats,
    ``surprise`` = loss − entropy (by how much it was less likely than the model expected), ``context``,
    ``likeliest``, the token that the model put first, and its probability ``likeliest_prob``; and of the
    whole ``mean_loss``, ``perplexity`` = exp(mean_loss) (of an encoder ``pseudo_perplexity``: it is of no
    distribution over texts), ``predicted``, how many tokens have a loss.

    Raises ``BadParameter``, ``BadPrompt`` for a text without a token to predict, ``Unsupported`` for an
    encoder without a mask token, ``NotFinite``. Jelinek et al. 1977 (perplexity); Salazar et al. 2020
    (pseudo-perplexity); Bricken et al. 2023 (loss recovered).
    """
    require_tokens(lm, "The loss of a text")
    strips, masks = lm.anatomy.strips is not None, _masks(lm)
    if masks:
        mask_of(lm)
    applied = parse_interventions(interventions) if interventions.strip() else ()
    against = loss_reference(applied, reference)
    text = text_of_file(file) if file else prompt.text
    whole: PromptInfo | None = None
    if strips:
        refuse_windows(window, stride)
        whole = forced_target(lm, text.strip() if file else text, limit)
        encoded = Encoded(whole.token_ids, None, begin_of_words(whole))
    else:
        encoded = _limited(encode(lm.tokenizer, text, lm.special_tokens), limit, masks)
    size, step = _sizes(lm, encoded, bool(file) and not strips, window, stride)
    cut = (
        windows_around(len(encoded.own), size - encoded.before - encoded.after, step)
        if masks
        else windows_of(len(encoded.own), size, step, encoded.before)
    )
    refuse_bound_positions((*applied, *against), len(cut))
    tokens = shown_tokens(lm.tokenizer, encoded.ids) if whole is None else whole.tokens
    work = _Work(lm, encoded, source, tokens, whole)
    asked: dict[str, tuple[Intervention, ...]] = {"clean": ()}
    asked |= {"edited": applied} if applied else {}
    asked |= {"reference": against} if against else {}
    total = len(cut) * len(asked)
    runs = {
        name: work.scored(cut, own, watch.stage(number * len(cut), total))
        for number, (name, own) in enumerate(asked.items())
    }
    given = {
        "file": file, "limit": limit, "window": len(cut) > 1, "stride": len(cut) > 1,
        "interventions": interventions, "reference": reference, "source": source,
    }  # fmt: skip
    notes = [*warnings_of(lm, applied), *_notes(applied, len(cut), masks)]
    extra, more = _extra(lm, work, runs, cut)
    return Computed(
        values=work.spread(runs["clean"].loss),
        axes=(token_axis(work.tokens),),
        extra=extra,
        warnings=tuple(dict.fromkeys((*notes, *more))),
        params={"window": size, "stride": step} if len(cut) > 1 else {},
        unused=tuple(name for name, value in given.items() if not value),
        baseline=None,
    )


def _masks(lm: LanguageModel) -> bool:
    """Whether tokens are masked in turn: an encoder has no next one."""
    return not lm.verified.causal and lm.anatomy.strips is None


@dataclass(frozen=True)
class _Work:
    """A text as ids, with its ``tokens`` as they are shown, and where its scores stand."""

    lm: LanguageModel
    encoded: Encoded
    source: str
    tokens: tuple[str, ...]
    strips: PromptInfo | None = None  # an encoder–decoder's, which is not cut into windows

    @property
    def first(self) -> int:
        """The first token of the text that is predicted: one that has any before it, where that matters."""
        return 0 if self.encoded.before or _masks(self.lm) else 1

    def scored(
        self, cut: Sequence[ScoredWindow], interventions: Sequence[Intervention], watch: Watch
    ) -> TokenScores:
        """Of the text's tokens from ``first`` on, with ``interventions`` made in each window."""
        parts = []
        for number, window in enumerate(cut):
            watch.step(number, len(cut))
            name = f"{[each.text for each in interventions]} {number}"
            parts.append(watch.once(name, partial(self._window, window, interventions, watch)))
        watch.step(len(cut), len(cut))
        return TokenScores(*map(np.concatenate, zip(*parts, strict=True)))

    def _window(
        self, window: ScoredWindow, interventions: Sequence[Intervention], watch: Watch
    ) -> TokenScores:
        before, whole = self.encoded.before, len(self.encoded.ids)
        behind = range(whole - self.encoded.after, whole) if _masks(self.lm) else ()
        places = [*range(before), *range(before + window.begin, before + window.end), *behind]
        tokens = tuple(self.tokens[at] for at in places)
        prompt = self.strips or PromptInfo(
            "".join(tokens[before:]), tokens, tuple(self.encoded.ids[at] for at in places)
        )
        if _masks(self.lm):
            scored = range(
                before + window.first - window.begin, before + window.last - window.begin
            )
            return masked_scores(
                self.lm, prompt, partial(self._edits, interventions), scored, watch.silent
            )
        edits = edits_of(self.lm, prompt, interventions, self.source) if interventions else ()
        first = before + max(window.first, self.first) - window.begin
        return token_scores(self.lm, prompt, edits, first, watch)

    def _edits(self, interventions: Sequence[Intervention], prompt: PromptInfo) -> Counterfactual:
        return tuple(edits_of(self.lm, prompt, interventions, self.source)) if interventions else ()

    def spread(self, values: np.ndarray) -> np.ndarray:
        """``values`` of the scored tokens over all tokens; NaN elsewhere."""
        whole = np.full(len(self.encoded.ids), np.nan)
        begin = self.encoded.before + self.first
        whole[begin : begin + len(values)] = values
        return whole


def _extra(
    lm: LanguageModel, work: _Work, runs: dict[str, TokenScores], cut: Sequence[ScoredWindow]
) -> tuple[dict[str, LabelledArray], list[str]]:
    clean, axes = runs["clean"], (token_axis(work.tokens),)
    texts = {int(i): token_text(lm.tokenizer, int(i)) for i in np.unique(clean.likeliest)}
    said = [""] * len(work.tokens)
    begin = work.encoded.before + work.first
    said[begin : begin + len(clean.likeliest)] = [texts[int(i)] for i in clean.likeliest]
    context = np.concatenate(
        [
            np.full(w.last - w.first, w.end - w.begin - 1)
            if _masks(lm)
            else np.arange(max(w.first, work.first), w.end) - w.begin
            for w in cut
        ]
    ).astype(float)
    by_token = {
        "rank": clean.rank.astype(float),
        "entropy": clean.entropy,
        "surprise": clean.loss - clean.entropy,
        "context": context,
        "likeliest_prob": clean.likeliest_prob,
    }
    told = ~np.isnan(clean.loss)  # not the masks that the text itself has
    if not told.any():
        raise BadPrompt("The text has only masks: there is no token to predict.")
    mean = float(clean.loss[told].mean())
    name = "pseudo_perplexity" if _masks(lm) else "perplexity"
    lone = {"mean_loss": mean, name: _exp(mean), "predicted": float(told.sum())}
    warnings = []
    if "edited" in runs:
        edited = runs["edited"].loss
        by_token |= {"edited": edited, "effect": edited - clean.loss}
        after = float(edited[told].mean())
        lone |= {"edited_mean_loss": after, f"edited_{name}": _exp(after)}
    if "reference" in runs:
        nothing = float(runs["reference"].loss[told].mean())
        lone["reference_mean_loss"] = nothing
        if nothing > mean:
            lone["loss_recovered"] = (nothing - lone["edited_mean_loss"]) / (nothing - mean)
        else:
            warnings.append(
                "the reference does not raise the loss: there is no loss to recover, and none is given"
            )
    extra = {name: LabelledArray(axes, work.spread(own)) for name, own in by_token.items()}
    extra["likeliest"] = LabelledArray(axes, text_array(said))
    extra |= {name: LabelledArray((), np.array(value)) for name, value in lone.items()}
    return extra, warnings


def _exp(mean: float) -> float:
    with np.errstate(over="ignore"):
        return float(np.exp(mean))


def text_of_file(file: str) -> str:
    """What a file says, of 20 MB at most: it is tokenised whole. Raises ``BadParameter``."""
    path = expanded(file)
    text = dataset_text(path)
    if not text:
        raise BadParameter(f"{path} is empty.")
    return text


def _limited(encoded: Encoded, limit: int, masks: bool) -> Encoded:
    """The first ``limit`` tokens of the text; refused where there is nothing to predict."""
    if limit and limit < len(encoded.own):
        behind = encoded.ids[len(encoded.ids) - encoded.after :] if masks else ()
        kept = (*encoded.ids[: encoded.before], *encoded.own[:limit], *behind)
        encoded = Encoded(kept, None, encoded.before, len(behind))
    if masks and not encoded.own:
        raise BadPrompt("The text has no token to mask.", "Give a longer text.")
    if len(encoded.own) < (1 if encoded.before or masks else 2):
        raise BadPrompt(
            "One token alone has none before it: there is no loss.", "Give a longer text."
        )
    return encoded


def _sizes(
    lm: LanguageModel, encoded: Encoded, is_file: bool, window: int, stride: int
) -> tuple[int, int]:
    """The window, with what the tokenizer puts in front, and the stride."""
    context = lm.anatomy.context
    around = encoded.before + (encoded.after if _masks(lm) else 0)
    whole = around + len(encoded.own)
    if window and context is not None and window > context:
        raise BadParameter(
            f"A window of {window} is longer than the model's context of {context}.", "Shorten it."
        )
    usual = min(context or _WINDOW, _WINDOW) if is_file else whole
    size = window or usual
    return size, stride or max(1, (size - around) // 2)


def _notes(interventions: Sequence[Intervention], windows: int, masks: bool) -> list[str]:
    notes = []
    if not masks and any(each.what == "mean" for each in interventions):
        notes.append(
            "a mean is over all tokens of the window, so that a token's edited loss has seen later ones"
        )
    if windows > 1:
        notes.append(
            f"read in {windows:,} windows: context says how many tokens each had "
            f"{'beside' if masks else 'before'} it, and tokens with few are harder to predict"
        )
    return notes
