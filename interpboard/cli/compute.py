"""What the commands compute: models opened, analyses run, lenses trained. Here torch comes in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from interpboard.cli.narration import progress, quiet_libraries, stdout_aside
from interpboard.config.garbage import look_as_usual
from interpboard.engine.threads import let_threads_sleep
from interpboard.errors import BadPrompt
from interpboard.registry import ANALYSES
from interpboard.registry.loading import NOTHING_ASKED, READING_WEIGHTS, LoadOptions, given

if TYPE_CHECKING:
    from interpboard.interventions.sets import InterventionSet
    from interpboard.models.language_model import LanguageModel
    from interpboard.results import Chat, Document, MetricRequest, Result
    from interpboard.results.plan import Plan

_BEGINNING = 40  # characters of a file that stand for a prompt


class ModelChoice(NamedTuple):
    """Which model, where, and what it may do."""

    model: str = "demo"
    device: str = "auto"
    dtype: str = "auto"
    trust_remote_code: bool = False
    allow_pickle: bool = False
    ignore_unused_weights: bool = False
    check_weights: bool = True
    special_tokens: bool = True
    load: LoadOptions = NOTHING_ASKED
    pair: bool = False  # the prompt is two texts, which a model of one must refuse


def compute(
    choice: ModelChoice,
    text: str | Chat | None,
    analyses: Sequence[str],
    metric: MetricRequest,
    params: Mapping[str, Mapping[str, Any]],
    *,
    swap: tuple[str, str] | None = None,
    debug: bool = False,
) -> Document:
    """Load the model and run the analyses. Here torch comes in.

    ``swap``: the corrupted prompt of every analysis that takes one is the text with the first exchanged for
    the second.
    Without a text it is the first prompt of the circuit's dataset, or the beginning of the file; see
    ``needs_no_text``.
    """
    with progress() as show, stdout_aside(debug), quiet_libraries(debug):
        show("importing torch", 0, 0)
        let_threads_sleep()
        from interpboard.analyze import analyze
        from interpboard.runs.watch import Watch

        lm = opened(choice, show)
        text = first_prompt(params) if text is None else text
        if swap is not None:
            params = _with_swapped(params, lm, text, swap)
        title = [""]

        def on_start(name: str) -> None:
            title[0] = ANALYSES[name].title if name in ANALYSES else name
            show(title[0], 0, 0)

        return analyze(
            lm,
            text,
            analyses=analyses,
            metric=metric,
            params=params,
            watch=Watch(on_progress=lambda done, total, _partial: show(title[0], done, total)),
            on_start=on_start,
        )


def planned(
    choice: ModelChoice,
    text: str | Chat,
    analyses: Sequence[str],
    metric: MetricRequest,
    params: Mapping[str, Mapping[str, Any]],
    *,
    swap: tuple[str, str] | None = None,
    debug: bool = False,
) -> tuple[Plan, ...]:
    """What ``compute`` would take: load the model and rehearse the analyses."""
    with progress() as show, stdout_aside(debug), quiet_libraries(debug):
        show("importing torch", 0, 0)
        let_threads_sleep()
        from interpboard.planning import plan
        from interpboard.runs.watch import Watch

        lm = opened(choice, show)
        if swap is not None:
            params = _with_swapped(params, lm, text, swap)
        watch = Watch(on_progress=lambda done, total, _partial: show("planning", done, total))
        return plan(lm, text, analyses, metric, params, watch=watch)


class WhatIfChoice(NamedTuple):
    """What ``what-if`` computes: heads chosen in a way (None: none), ``also`` interventions in their grammar.

    ``seed``: of the random set beside; None: without one.
    """

    heads: str | None
    also: str
    put: str
    source: str
    seed: int | None


def compute_what_if(
    choice: ModelChoice,
    text: str | Chat,
    asked: MetricRequest,
    wanted: WhatIfChoice,
    *,
    debug: bool = False,
) -> tuple[Document, list[str]]:
    """The results that the heads were chosen from, then ``what_if``, and a line on each set of them."""
    with progress() as show, stdout_aside(debug), quiet_libraries(debug):
        show("importing torch", 0, 0)
        let_threads_sleep()
        from msgspec.structs import replace

        from interpboard.analyze import analyze
        from interpboard.interventions.choose import Chosen, choose
        from interpboard.interventions.grammar import parse_items
        from interpboard.reproduce import command_line
        from interpboard.runs.chat import prompt_of
        from interpboard.runs.metrics import resolve_metric
        from interpboard.runs.watch import Watch

        if wanted.also:
            parse_items(wanted.also)  # what cannot be read is said before a model is opened
        lm = opened(choice, show)
        watch = Watch(on_progress=lambda done, total, _partial: show("What if", done, total))
        chosen = Chosen(None, None, ())
        if wanted.heads is not None:
            asked_of, prompt = prompt_of(lm, text)
            references = (wanted.source,) if wanted.source else ()
            chosen = choose(
                asked_of, prompt, resolve_metric(asked_of, prompt, asked), wanted.heads,
                what=wanted.put, references=references, seed=wanted.seed, watch=watch,
            )  # fmt: skip
        sets = [each for each in (chosen.heads, chosen.control) if each is not None]
        interventions = "; ".join(
            filter(None, (chosen.heads.text if chosen.heads else "", wanted.also))
        )
        params = {"interventions": interventions}
        if chosen.control is not None:
            params["controls"] = chosen.control.text
        if wanted.source:
            params["source"] = wanted.source
        document = analyze(lm, text, ("what_if",), asked, {"what_if": params}, watch=watch)
        notes = [f"{each.name}: {' '.join(each.places)} ({each.about})" for each in sets]
        if chosen.heads is not None:
            notes.append(_effects(document.results[0], chosen.heads, chosen.control))
        notes.append(f"again: {command_line(document, asked).strip()}")
        return replace(document, results=(*chosen.results, *document.results)), notes


def _effects(result: Result, heads: InterventionSet, control: InterventionSet | None) -> str:
    """What the set does to the metric by itself, and the random one."""
    from interpboard.results.metric_words import metric_words

    of_set = (
        result.extra["alone"].values[0]
        if "alone" in result.extra
        else result.extra["effect"].values
    )
    parts = [f"{heads.name} {float(of_set):+.4g}"]
    if control is not None:
        parts.append(f"{control.name} {float(result.extra['control'].values[0]):+.4g}")
    return f"effect on {metric_words(result.metric)}: {', '.join(parts)}"


def _with_swapped(
    params: Mapping[str, Mapping[str, Any]],
    lm: LanguageModel,
    text: str | Chat,
    swap: tuple[str, str],
) -> dict[str, dict[str, Any]]:
    from interpboard.patching.corrupt import swap_span
    from interpboard.runs.chat import prompt_of

    lm, prompt = prompt_of(lm, text)  # of a chat, what its template made of it
    corrupted = swap_span(lm, prompt.text, *swap)
    return {
        name: {**given, "corrupted": corrupted} if "corrupted" in given else dict(given)
        for name, given in params.items()
    }


def first_prompt(params: Mapping[str, Mapping[str, Any]]) -> str:
    """What stands for a prompt where none is given: see ``compute``."""
    if "token_losses" in params:
        from interpboard.whole_text.losses import text_of_file

        return text_of_file(params["token_losses"]["file"]).strip()[:_BEGINNING] or " "
    circuit = params["circuit"]
    from interpboard.circuits.discovery.behaviours import load_behaviour
    from interpboard.circuits.discovery.examples import read_examples

    if circuit.get("dataset"):
        return read_examples(circuit["dataset"])[0].clean
    return load_behaviour(circuit["behavior"]).examples[0].clean


def tune(
    choice: ModelChoice,
    corpus: Path,
    out: Path,
    settings: Mapping[str, Any],
    *,
    debug: bool = False,
) -> tuple[list[float], tuple[str, ...]]:
    """Train a tuned lens on ``corpus`` into the folder ``out``; the last KL [layer], and warnings."""
    with progress() as show, stdout_aside(debug), quiet_libraries(debug):
        show("importing torch", 0, 0)
        let_threads_sleep()
        from interpboard.circuits.lens.training import TrainingSettings, tune_lens
        from interpboard.results import LabelledArray
        from interpboard.runs.watch import Watch

        last: list[float] = []

        def hear(done: int, total: int, partial: LabelledArray | None) -> None:
            show("Tuned lens", done, total)
            if partial is not None:
                last[:] = [float(value) for value in partial.values]

        lm = opened(choice, show)
        made = tune_lens(lm, corpus, out, TrainingSettings(**settings), Watch(on_progress=hear))
        return last, made.warnings


def collect(
    choice: ModelChoice,
    corpus: Path,
    out: Path,
    settings: Mapping[str, Any],
    *,
    debug: bool = False,
) -> tuple[int, tuple[str, ...]]:
    """Collect max-activating examples over ``corpus`` into ``out``; how many tokens, and warnings."""
    with progress() as show, stdout_aside(debug), quiet_libraries(debug):
        show("importing torch", 0, 0)
        let_threads_sleep()
        from interpboard.circuits.neurons.collect import Collection, collect_examples
        from interpboard.runs.watch import Watch

        watch = Watch(on_progress=lambda done, total, _partial: show("Examples", done, total))
        lm = opened(choice, show)
        found = collect_examples(lm, corpus, out, Collection(**settings), watch)
        return found.info.tokens, found.warnings


def opening_words(choice: ModelChoice) -> dict[str, Any]:
    """What was chosen, as arguments of ``open_model``."""
    return {
        "name_or_path": choice.model,
        "device": choice.device,
        "dtype": choice.dtype,
        "trust_remote_code": choice.trust_remote_code,
        "allow_pickle": choice.allow_pickle,
        "ignore_unused_weights": choice.ignore_unused_weights,
        "check_weights": choice.check_weights,
        "special_tokens": choice.special_tokens,
        **given(choice.load),
    }


def opened(choice: ModelChoice, show: Callable[[str, int, int], None]) -> LanguageModel:
    """The model, its stages told to ``show``."""
    from interpboard.models.language_model import open_model

    def say(stage: str, fraction: float) -> None:
        if fraction >= READING_WEIGHTS:
            look_as_usual()
        show(stage, round(100 * fraction), 100)

    words = opening_words(choice)
    lm = open_model(words.pop("name_or_path"), **words, on_stage=say)
    if choice.pair and lm.anatomy.label_head is None:
        raise BadPrompt("This model reads one text, and no pair.", "Leave out --text-pair.")
    return lm
