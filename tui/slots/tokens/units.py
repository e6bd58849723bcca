"""Tokens taken together: which unit the pane sums, and what a result by units says of each token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from interpboard.display import visible, visible_token
from tui import words

if TYPE_CHECKING:
    from interpboard.results import PromptInfo, Result
    from tui.controllers.controllers import Controllers
    from tui.session.state import State

BY_UNIT, SURROGATE = "unit_attribution", "context_cite"
# What of a method by tokens there is by units; of any other what taking a unit away does.
_SAME = {"integrated_gradients": "integrated_gradients", "shapley": "shapley"}
_METHODS = ("occlusion", "shapley", "integrated_gradients", SURROGATE)


@dataclass(frozen=True)
class Part:
    """Positions ``[begin, end)`` that have one score, and what they are called."""

    label: str
    begin: int
    end: int
    score: float

    def holds(self, at: int) -> bool:
        """Is the token at ``at`` one of it?"""
        return self.begin <= at < self.end


def parts_of(result: Result, prompt: PromptInfo) -> list[Part]:
    """What has a score: units, or the tokens one by one."""
    scores = [float(value) for value in result.values]
    if not of_units(result):
        labels = (f"{at:>3} {visible_token(token)}" for at, token in enumerate(prompt.tokens))
        return [
            Part(label, at, at + 1, score)
            for at, (label, score) in enumerate(zip(labels, scores, strict=True))
        ]
    begins, ends = (result.extra[name].values for name in ("begin", "end"))
    named = result.axes[0].labels
    return [
        Part(visible(label.strip()) or visible(label), int(begin), int(end), score)
        for label, begin, end, score in zip(named, begins, ends, scores, strict=True)
    ]


def of_units(result: Result) -> bool:
    """Has it a score for each unit, and not for each token?"""
    return result.analysis in (BY_UNIT, SURROGATE)


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


# -- what keys do ------------------------------------------------------------------------------------


def next_unit(app: Controllers) -> None:
    """Tokens, words, sentences, the turns of a chat, and tokens again."""
    state = app.state
    units = ["token", "word", "sentence", *(["turn"] if state.question.kind == "chat" else [])]
    now = unit_in(state)
    at = units.index(now) + 1 if now in units else 0
    _show_by(app, units[at % len(units)], method_in(state))


def next_token_method(app: Controllers) -> None:
    """The next method: by tokens those of the registry, by units those that there are by units."""
    state, slot = app.state, app.session.slots["tokens"]
    if unit_in(state) == "token":
        methods = slot.methods() if slot.methods is not None else ()
        at = methods.index(slot.analysis_in(state)) + 1
        app.session.set_analysis("tokens", methods[at % len(methods)])
        return
    following = _METHODS[(_METHODS.index(method_in(state)) + 1) % len(_METHODS)]
    _show_by(app, unit_in(state), following)


def unit_in(state: State) -> str:
    """The unit that the pane sums."""
    analysis = state.analyses.get("tokens", "")
    if analysis not in (BY_UNIT, SURROGATE):
        return "token"
    return str(state.params.get(analysis, {}).get("unit", "sentence"))


def method_in(state: State) -> str:
    """How units are explained; by tokens, how they would be."""
    analysis = state.analyses.get("tokens", "integrated_gradients")
    if analysis == SURROGATE:
        return SURROGATE
    if analysis == BY_UNIT:
        return str(state.params.get(BY_UNIT, {}).get("method", "occlusion"))
    return _SAME.get(analysis, "occlusion")


def _show_by(app: Controllers, unit: str, method: str) -> None:
    state, session = app.state, app.session
    analysis = SURROGATE if method == SURROGATE else BY_UNIT
    if unit == "token":
        back = method if method in _SAME else "occlusion"
        session.set_analysis("tokens", back)
        return
    own = {**state.params.get(analysis, {}), "unit": unit}
    if analysis == BY_UNIT:
        own["method"] = method
    params = {**state.params, analysis: own}
    analyses = {**state.analyses, "tokens": analysis}
    session.change("tokens", params=params, analyses=analyses)
