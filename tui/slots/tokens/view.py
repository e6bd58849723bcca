"""Tokens: which tokens of the prompt mattered, painted on its own text, and what comes next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import nan
from typing import TYPE_CHECKING

from rich.text import Text
from textual.containers import Horizontal
from textual.widget import Widget

from interpboard.display import visible
from tui import words
from tui.commands.command import bindings
from tui.commands.places import MOVES
from tui.scales import sides, value_words
from tui.session.selection import Selection
from tui.slots.at_cursor import Predicted
from tui.slots.pane import Pane
from tui.slots.pane_contract import Select
from tui.slots.predictions.spec import LIKELY_TOKENS
from tui.slots.spec import Slot
from tui.slots.tokens.keys import KEYS
from tui.slots.tokens.likely import LikelyTokens
from tui.slots.tokens.reasoning import folded_in, with_reasoning_folded
from tui.slots.tokens.units import (
    BY_UNIT,
    KNOCKOUT,
    SURROGATE,
    Part,
    fidelity,
    moved,
    of_units,
    parts_of,
    spans_in,
    summed,
    unit_words,
)
from tui.slots.top_tokens import TopList, pairs, top_bars
from tui.slots.what_if.spec import WHAT_IF
from tui.widgets.bars import Bar, Bars
from tui.widgets.cells import Several
from tui.widgets.token_strip import TokenStrip

if TYPE_CHECKING:
    from interpboard.results import Result
    from interpboard.visualization.colors import Scale


_NUMBERS = {"value": "value", "vector": "components"}  # of a model with neither tokens nor labels


class TokensPane(Pane):
    """Attribution of the metric to the tokens, and beside it the ten likeliest next tokens."""

    about_prompt = True
    asked_by_search = (LIKELY_TOKENS.name,)

    BINDINGS = bindings(KEYS, before=MOVES)

    def __init__(self, slot: Slot, select: Select) -> None:
        super().__init__(slot, select)
        self.strip = TokenStrip(self._moved, id="strip", drags=True)
        self.ranking = Bars(id="strongest-tokens")
        self.after = Bars(id="next", folds=True)
        self.edited = Bars(id="next-edited", folds=True)
        self._searched = Several(self.strip, self.after, self.edited)
        self._lens: Predicted | None = None
        self._shown: object = None
        self._behind: Result | None = None
        self.parts: list[Part] = []

    def body(self) -> Iterable[Widget]:
        """The text; under it the strongest tokens and the next ones, clean and edited."""
        return (self.strip, Horizontal(self.ranking, self.after, self.edited, id="lists"))

    @property
    def position(self) -> int:
        """The token under the cursor."""
        return self.strip.cursor

    @property
    def searched(self) -> Several:
        """The text, and the tokens that come next."""
        return self._searched

    def fill(self) -> None:
        """Paint the tokens."""
        self._fill_next()
        result, prompt = self.data.result, self.data.prompt
        asked = self.data.question
        of_now = asked is None or asked.text == self.state.question.text
        subject = self.state.subject if of_now else ()
        spans = spans_in(self.state) if of_now else ()
        shown = (result, subject, spans, self.state.reasoning_open)
        if result is None or prompt is None:
            self._show_text_alone()
            return
        if shown == self._shown:
            return
        from interpboard.results.tokens import as_read, reasoning_sections, sections_of

        first = self._shown is None
        self._shown = shown
        at = result.metric.position
        cursor = at if first else min(self.strip.cursor, len(prompt.tokens) - 1)
        folded = folded_in(self.state, prompt, at)
        scale, self.parts = (
            _scale(result),
            with_reasoning_folded(parts_of(result, prompt), folded, prompt.tokens),
        )
        scores = [nan] * len(prompt.tokens)
        for part in self.parts:
            scores[part.begin : part.end] = [part.score] * (part.end - part.begin)
        self.strip.speak(sections_of(prompt), reasoning_sections(prompt))
        self.strip.show(as_read(prompt), scores, scale, at, cursor, subject, spans, folded)
        order = sorted(self.parts, key=lambda part: -abs(scale.share(part.score)))
        bars = [
            Bar(
                words.shorten(part.label, 18),
                value_words(part.score, scale),
                scale.share(part.score),
            )
            for part in order[:50]
        ]
        self.ranking.show(bars, "strongest first")

    def _show_text_alone(self) -> None:
        """Before there are scores: the prompt's tokens, as soon as another answer names them."""
        self._shown, self.parts = None, []
        known = self.state.slots["predictions"]
        tokens: tuple[str, ...] = ()
        explained = -1
        if known.result and known.prompt and known.question == self.state.question:
            from interpboard.results.tokens import as_read, reasoning_sections, sections_of

            tokens, explained = tuple(as_read(known.prompt)), known.result.metric.position
            self.strip.speak(sections_of(known.prompt), reasoning_sections(known.prompt))
        if tokens != self.strip.tokens or self.strip.scale is not None:
            self.strip.show(tokens, [nan] * len(tokens), None, explained, max(0, explained))
        self.ranking.show(())

    # -- next tokens ------------------------------------------------------------------------------

    def show_predicted(self, predicted: Predicted | None) -> None:
        """Show a cell of the lens instead; None: the model's own predictions again."""
        if predicted != self._lens:
            self._lens = predicted
            self._fill_next()

    def next_tokens(self) -> TopList:
        """(token, probability), likeliest first: the model's, or of the lens cell under its cursor."""
        if self._lens is not None:
            return self._lens.top
        result = self.state.slots["predictions"].result
        return [] if result is None else [(t, p) for _, t, p in words.top_list(result)]

    def _fill_next(self) -> None:
        result, edited = self.state.slots["predictions"].result, self._edited_next()
        where = ""
        prompt = self.state.slots["predictions"].prompt
        if self._lens is not None:
            where = self._lens.where
        elif result is not None and prompt is not None:
            at = result.metric.position
            tokens = prompt.tokens
            read = f"{at} {words.token(tokens[at])}" if at < len(tokens) else ""
            if result.metric.problem:
                where = _NUMBERS.get(result.metric.problem, "labels")
                where += f", read at {read}" if read and result.metric.problem != "vector" else ""
            else:
                where = f"{result.metric.place} {read}" if read else ""
        previous = self.state.previous("predictions" if self._lens is None else "lens")
        if previous:
            where = f"{previous}: {where}"
        both = edited is not None
        clean = "clean" if self._lens is None and not previous else f"{where}, clean"
        self.after.show(self._bars(self.next_tokens()), clean if both else where)
        self._fill_behind()
        if edited is not None:
            self.edited.show(self._bars(edited), "edited" + self._late())
        if self.edited.display != both:
            self.edited.display = both

    def _fill_behind(self) -> None:
        """What a search finds behind the list: of this question, and not of a cell of the lens."""
        answer = self.state.slots[LIKELY_TOKENS.name]
        of_now = self._lens is None and answer.question == self.state.question
        result = answer.result if of_now else None
        if result is not self._behind:
            self._behind = result
            found = None if result is None else LikelyTokens(result, len(self.after.bars))
            self.after.behind = (lambda _query: ()) if found is None else found.beyond

    def shown_by(self) -> Mapping[str, Sequence[Widget]]:
        """The lists of next tokens are of slots of their own."""
        after = "predictions" if self._lens is None else "lens"
        return {
            **super().shown_by(),
            self.slot.name: (self.strip, self.ranking),
            after: (self.after,),
            "what_if": (self.edited,),
        }

    def _edited_next(self) -> TopList | None:
        """What follows in the edited run, at the same place."""
        if self._lens is not None:
            return self._lens.edited
        found = self.state.edited("what_if")
        return pairs(found.extra, "top", 1) if found is not None else None

    def _late(self) -> str:
        return " (by an older list)" if WHAT_IF.stale(self.state) else ""

    def _bars(self, top: TopList) -> list[Bar]:
        result = self.state.slots["predictions"].result
        target = result.metric.target.token if result and result.metric.target else None
        return top_bars(top, target, "" if result is None else result.metric.problem)

    # -- words ------------------------------------------------------------------------------------

    def subtitle(self) -> str:
        """The method and what it explains."""
        result = self.data.result
        if result is None:
            return words.analysis_title(self.slot.analysis_in(self.state))
        how = unit_words(result) if result.analysis == BY_UNIT else ""
        title = how or words.analysis_title(result.analysis)
        if result.analysis in (SURROGATE, KNOCKOUT):
            title += f" {unit_words(result)}"
        return f"{title} of {words.metric_name(result.metric)}"

    def readout(self) -> Text:
        """The token under the cursor and its score."""
        result, prompt, at = self.data.result, self.data.prompt, self.strip.cursor
        if result is None or prompt is None or at >= len(prompt.tokens):
            return Text()
        from interpboard.results.tokens import appended, sections_of

        part = next((own for own in self.parts if own.holds(at)), None)
        turn = next((own for own in sections_of(prompt) if own.begin <= at < own.end), None)
        said = Text.assemble(
            (f" {at} ", self.ink("muted")),
            (words.token(prompt.tokens[at]), self.ink("text", bold=True)),
        )
        if turn is not None:
            own = turn.content[0] <= at < turn.content[1]
            said.append(
                f"  {visible(turn.role)}{'' if own else ', of the template'}", self.ink("muted")
            )
        if part is None:
            last = result.analysis == KNOCKOUT and at <= result.metric.position
            why = "nothing behind it" if last else "behind what is explained"
            return said.append(f"  {why}", self.ink("muted"))
        value = part.score
        total = float(abs(result.values).sum())
        rank = 1 + sum(abs(own.score) > abs(value) for own in self.parts)
        if of_units(result) or part.sum_of > 1:
            said.append(f"  in {words.shorten(part.label, 24)}", self.ink("text"))
        text = said + Text.assemble(
            (f"  {value_words(value, _scale(result))}", self.ink("accent", bold=True)),
            (summed(result, part), self.ink("text")),
            (moved(result, part), self.ink("text")),
            (f"  {words.percent(abs(value) / total if total else 0.0)} of all", self.ink("text")),
            (f"  rank {rank}/{len(self.parts)}", self.ink("text")),
        )
        text.append(f"  {_how(result)}", self.ink("muted"))
        if at == result.metric.position and not result.metric.over_text:
            text.append("  explained here", self.ink("muted"))
            if at == len(prompt.tokens) - 1 - appended(prompt) < len(prompt.tokens) - 1:
                text.append(": the end of the text", self.ink("muted"))
        if any(b <= at < e for b, e in spans_in(self.state)):
            text.append("  in a span", self.ink("muted"))
        if at in self.state.subject:
            text.append("  subject", self.ink("muted"))
        return text

    def legend(self) -> Text:
        """Scale, sign, and the completeness error: the one thing here that is not exact."""
        result = self.data.result
        if result is None:
            return Text()
        scale = _scale(result)
        text = self.swatch(scale)
        kind = "a share, no sign" if scale.of_shares else "a size, no sign"
        said = sides(self.data) if scale.diverging else kind
        text.append(said, self.ink("text"))
        delta = words.scalar(result.extra.get("delta"))
        if delta is not None:
            too_much = any(warning.startswith("Completeness") for warning in result.warnings)
            style = self.ink("warning" if too_much else "muted")
            text.append(f"  completeness error {words.signed(delta)}", style)
        return text.append(fidelity(result), self.ink("text"))

    def follow(self, selection: Selection) -> bool:
        """The selected position."""
        return selection.token is not None and self.strip.put(selection.token)

    def _moved(self) -> None:
        self._searched.leave()
        self.select(token=self.strip.cursor)
        self.refresh_readout()


def _scale(result: Result) -> Scale:
    from interpboard.visualization.reading import scale_of

    return scale_of(result)


def _how(result: Result) -> str:
    """Whether a score is exactly what its method says, or a sum or a sample in its place."""
    if "delta" in result.extra:
        return "approximate"
    if result.analysis == SURROGATE:
        return f"a linear fit to {result.params['samples']} runs"
    return f"mean of {result.params['samples']}" if "samples" in result.params else "exact"
