"""Tokens taken together: which unit the pane sums, and what a result by units says of each token."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from interpboard.display import visible, visible_token
from tui import words
from tui.slots.tokens.losses import LOSSES

if TYPE_CHECKING:
    from interpboard.results import PromptInfo, Result
    from tui.controllers.controllers import Controllers
    from tui.session.state import State

BY_UNIT, SURROGATE, KNOCKOUT = "unit_attribution", "context_cite", "attention_knockout"
# What of a method by tokens there is by units; of any other what taking a unit away does.
_SAME = {"integrated_gradients": "integrated_gradients", "shapley": "shapley"}
_METHODS = ("occlusion", "shapley", "integrated_gradients", SURROGATE, KNOCKOUT)


@dataclass(frozen=True)
class Part:
    """Positions ``[begin, end)`` that have one score, and what they are called.

    ``number``: which of the result's it is; of the sum of several, ``sum_of``, that of the first.
    """

    label: str
    begin: int
    end: int
    score: float
    number: int = 0
    sum_of: int = 1

    def holds(self, at: int) -> bool:
        """Is the token at ``at`` one of it?"""
        return self.begin <= at < self.end

    def summing(self, count: int) -> Part:
        """The same, said to be the sum of ``count``."""
        return replace(self, sum_of=count)


def parts_of(result: Result, prompt: PromptInfo) -> list[Part]:
    """What has a score: units, or the tokens one by one."""
    scores = [float(value) for value in result.values]
    if not of_units(result):
        labels = (f"{at:>3} {visible_token(token)}" for at, token in enumerate(prompt.tokens))
        return [
            Part(label, at, at + 1, score, at)
            for at, (label, score) in enumerate(zip(labels, scores, strict=True))
        ]
    begins, ends = (result.extra[name].values for name in ("begin", "end"))
    named = result.axes[0].labels
    return [
        Part(visible(label.strip()) or visible(label), int(begin), int(end), score, number)
        for number, (label, begin, end, score) in enumerate(
            zip(named, begins, ends, scores, strict=True)
        )
    ]


def of_units(result: Result) -> bool:
    """Has it a score for each unit, and not for each token?"""
    return result.analysis in (BY_UNIT, SURROGATE, KNOCKOUT)


def unit_words(result: Result) -> str:
    """``by sentence, shapley``; empty for a result by tokens."""
    if not of_units(result):
        return ""
    method = str(result.params.get("method", "")).replace("_", " ")
    return f"by {result.params['unit']}{f', {method}' if method else ''}"


def fidelity(result: Result) -> str:
    """How far a surrogate can be trusted: its rank agreement on runs that it was not fitted to."""
    lds = words.scalar(result.extra.get("lds"))
    return "" if lds is None else f"  LDS {lds:.2f} on held-out runs"


def moved(result: Result, part: Part) -> str:
    """How far the prediction moves where ``part`` is hidden; empty where nothing is, and of a sum."""
    if "kl" not in result.extra or part.sum_of > 1:
        return ""
    return f"  KL {float(result.extra['kl'].values[part.number]):.3g}"


def summed(result: Result, part: Part) -> str:
    """``sum of 12 tokens``; empty for what is no sum."""
    if part.sum_of == 1:
        return ""
    unit = str(result.params["unit"]) if of_units(result) else "token"
    return f"  sum of {part.sum_of} {unit}s"


# -- what keys do ------------------------------------------------------------------------------------


def next_unit(controllers: Controllers) -> None:
    """Tokens, words, sentences, the turns of a chat, marked spans, and tokens again."""
    state = controllers.state
    if state.analyses.get("tokens") == LOSSES or state.lacks_mask:
        controllers.panes.view.next_view()
        return
    units = ["token", "word", "sentence", *(["turn"] if state.question.kind == "chat" else [])]
    units += ["span"] if spans_in(state) else []
    now = unit_in(state)
    at = units.index(now) + 1 if now in units else 0
    _show_by(controllers, units[at % len(units)], method_in(state))


def next_token_method(controllers: Controllers) -> None:
    """The next method: by tokens those of the registry, by units those that there are by units."""
    state, slot = controllers.state, controllers.session.slots["tokens"]
    if unit_in(state) == "token":
        methods = slot.methods() if slot.methods is not None else ()
        at = methods.index(slot.analysis_in(state)) + 1
        controllers.session.set_analysis("tokens", methods[at % len(methods)])
        return
    following = _METHODS[(_METHODS.index(method_in(state)) + 1) % len(_METHODS)]
    _show_by(controllers, unit_in(state), following)


def unit_in(state: State) -> str:
    """The unit that the pane sums."""
    analysis = state.analyses.get("tokens", "")
    if analysis not in (BY_UNIT, SURROGATE, KNOCKOUT):
        return "token"
    unit = str(state.params.get(analysis, {}).get("unit", "sentence"))
    return "sentence" if unit == "span" and not spans_in(state) else unit


def method_in(state: State) -> str:
    """How units are explained; by tokens, how they would be."""
    analysis = state.analyses.get("tokens", "integrated_gradients")
    if analysis in (SURROGATE, KNOCKOUT):
        return analysis
    if analysis == BY_UNIT:
        return str(state.params.get(BY_UNIT, {}).get("method", "occlusion"))
    return _SAME.get(analysis, "occlusion")


def _show_by(controllers: Controllers, unit: str, method: str) -> None:
    controllers.session.change("tokens", **unit_choice(controllers.state, unit, method))


def unit_choice(state: State, unit: str, method: str) -> dict[str, Any]:
    """What of the state changes where the pane is to sum ``unit`` by ``method``."""
    analysis = method if method in (SURROGATE, KNOCKOUT) else BY_UNIT
    if unit == "token":
        back = method if method in _SAME else "occlusion"
        return {"analyses": {**state.analyses, "tokens": back}}
    parameters = {**state.params.get(analysis, {}), "unit": unit}
    if analysis == BY_UNIT:
        parameters["method"] = method
    params = {**state.params, analysis: parameters}
    return {"params": params, "analyses": {**state.analyses, "tokens": analysis}}


# -- spans that are marked -----------------------------------------------------------------------------


def spans_in(state: State) -> tuple[tuple[int, int], ...]:
    """``[begin, end)`` of each span that is marked in this prompt."""
    return state.spans[1] if state.spans[0] == state.question.text else ()


def spans_text(spans: tuple[tuple[int, int], ...]) -> str:
    """As the analyses read them: ``2-5,7``, both ends among them."""
    return ",".join(f"{b}-{e - 1}" if e - b > 1 else str(b) for b, e in spans)


def spans_in_text(text: object) -> tuple[tuple[int, int], ...]:
    """What ``spans_text`` wrote; none where it is something else, texts say."""
    pairs = [part.partition("-") for part in str(text).split(",")]
    if not all(b.isdecimal() and (e.isdecimal() or not dash) for b, dash, e in pairs):
        return ()
    return tuple((int(b), int(e or b) + 1) for b, _, e in pairs)


def marked_in(result: Result) -> tuple[tuple[int, int], ...]:
    """The spans that a result was asked for, by positions or by their texts; none where one is not found."""
    given = result.params.get("spans") or ()
    items = given.split(";") if isinstance(given, str) else given
    found: list[tuple[int, int]] = []
    for item in (str(own) for own in items):
        places = spans_in_text(item.replace(" ", "")) or _by_label(result, item)
        if item.strip() and not places:
            return ()
        found += places
    return tuple(sorted(found))


def _by_label(result: Result, text: str) -> tuple[tuple[int, int], ...]:
    """The unit that is called ``text``, which may stand in double quotes."""
    if "begin" not in result.extra:
        return ()
    bare = text.strip()
    if len(bare) > 2 and bare[0] == bare[-1] == '"':
        bare = bare[1:-1]
    labels = [label.strip() for label in result.axes[0].labels]
    if labels.count(bare.strip()) != 1:
        return ()
    at = labels.index(bare.strip())
    begin, end = (int(result.extra[name].values[at]) for name in ("begin", "end"))
    return ((begin, end),)


def hide_from_answer(controllers: Controllers) -> None:
    """Show what each unit's sight is worth to the answer, the cursor's among them."""
    state, now = controllers.state, unit_in(controllers.state)
    usual = "span" if spans_in(state) else "sentence"
    controllers.panes.go("tokens")
    controllers.session.change(
        "tokens", **unit_choice(state, usual if now == "token" else now, KNOCKOUT)
    )


def how_exact(result: Result) -> str:
    """Whether a score is exactly what its method says, or a sum or a sample in its place."""
    if "delta" in result.extra:
        return "approximate"
    if result.analysis == SURROGATE:
        return f"a linear fit to {result.params['samples']} runs"
    return f"mean of {result.params['samples']}" if "samples" in result.params else "exact"
