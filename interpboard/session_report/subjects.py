"""Which result a note is on: what was computed and asked, so that the same result made again is the same."""

from __future__ import annotations

import json

from interpboard.display import visible_token
from interpboard.registry import ANALYSES
from interpboard.registry.chosen_words import ON_THE_WAY, chosen_words
from interpboard.reproduce import own_params
from interpboard.results import ModelInfo, Result
from interpboard.results.metric_words import metric_words
from interpboard.store import NoteSubject


def result_subject(model: ModelInfo, prompt: str, result: Result) -> NoteSubject:
    """``result`` of ``model`` on the text ``prompt`` as the subject of a note."""
    metric = result.metric
    asked = {
        "analysis": result.analysis,
        "metric": metric_words(metric, token=str, ascii_only=False),
        "position": metric.position,
        "params": {k: v for k, v in own_params(result).items() if k not in ON_THE_WAY},
    }
    place = json.dumps(asked, sort_keys=True, ensure_ascii=False, default=str)
    return NoteSubject("result", model.name, model.weights, prompt, place)


def subject_words(subject: NoteSubject) -> str:
    """What a note is on, in a few words; not harmless to show as it is."""
    if subject.kind == "session":
        return "this session"
    if subject.kind == "prompt":
        return f"prompt: {subject.prompt}"
    if subject.kind != "result":
        return f"{subject.part} of {subject.model}"
    try:
        asked = json.loads(subject.place)
        known = ANALYSES.get(str(asked["analysis"]))
        params = dict(asked["params"])
        title = known.title if known is not None else str(asked["analysis"])
        facts = (title, *chosen_words(params), _metric(str(asked["metric"])))
        return f"{', '.join(facts)}: {subject.prompt}"
    except (ValueError, KeyError, TypeError, RecursionError):  # written by another version
        return f"a result: {subject.prompt}"


def _metric(words: str) -> str:
    """``logit of ·Paris``: the spaces of the tokens shown, which in the place are as they are."""
    name, of, tokens = words.partition(" of ")
    return name + of + " against ".join(map(visible_token, tokens.split(" against ")))
