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
from tui.session.state import Question
from tui.slots.at_cursor import Predicted
from tui.slots.pane import Pane
from tui.slots.pane_contract import Select
from tui.slots.predictions.likely import predicted
from tui.slots.predictions.spec import LIKELY_TOKENS
from tui.slots.spec import Slot
from tui.slots.tokens import losses
from tui.slots.tokens.keys import KEYS
from tui.slots.tokens.next_tokens import NextTokens
from tui.slots.tokens.reasoning import folded_in, with_reasoning_folded
from tui.slots.tokens.units import (
    BY_UNIT,
    KNOCKOUT,
    SURROGATE,
    Part,
    fidelity,
    how_exact,
    moved,
    of_units,
    parts_of,
    spans_in,
    summed,
    unit_words,
)
from tui.slots.top_tokens import TopList
from tui.widgets.bars import Bar, Bars
from tui.widgets.cells import Several
from tui.widgets.token_strip import TokenStrip

if TYPE_CHECKING:
    from interpboard.results import PromptInfo, Result
    from interpboard.visualization.colors import Scale


class TokensPane(Pane):
    """Attribution of the metric to the tokens, and beside it the ten likeliest next tokens."""

    about_prompt = True
    asked_by_search = (LIKELY_TOKENS.name,)

    BINDINGS = bindings(KEYS, before=MOVES)

    def __init__(self, slot: Slot, select: Select) -> None:
        super().__init__(slot, select)
        self.strip = TokenStrip(self._moved, id="strip", drags=True)
        self.ranking = Bars(id="strongest-tokens")
        self.next = NextTokens()
        self._searched = Several(self.strip, self.next.after, self.next.edited)
        self._shown: object = None
        self._painted = ""  # of a whole text's losses, what was chosen to be painted
        self.method_before = ""  # the analysis that the whole text took the place of
        self.parts: list[Part] = []

    def body(self) -> Iterable[Widget]:
        """The text; under it the strongest tokens and the next ones, clean and edited."""
        return (self.strip, Horizontal(self.ranking, *self.next.lists, id="lists"))

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
        self.next.fill(self.state)
        result, prompt = self.data.result, self.scored_prompt
        asked = self.data.question
        of_now = asked is None or asked.text == self.state.question.text
        subject = self.state.subject if of_now else ()
        spans = spans_in(self.state) if of_now else ()
        painted, explained = self.painted, self._explained()
        shown = (result, subject, spans, self.state.reasoning_open, painted, explained)
        if result is None or prompt is None:
            self._show_text_alone()
            return
        if shown == self._shown:
            self.ranking.show(self.ranking.bars, self._order_words())
            return
        from interpboard.results.tokens import as_read, reasoning_sections, sections_of

        first = self._shown is None
        self._shown = shown
        at = explained
        cursor = max(0, at) if first else min(self.strip.cursor, len(prompt.tokens) - 1)
        folded = folded_in(self.state, prompt, at)
        scale, parts = self._scale(), parts_of(self._numbers(), prompt)
        self.parts = with_reasoning_folded(parts, folded, prompt.tokens)
        scores = [nan] * len(prompt.tokens)
        for part in self.parts:
            scores[part.begin : part.end] = [part.score] * (part.end - part.begin)
        self.strip.speak(sections_of(prompt), reasoning_sections(prompt))
        self.strip.show(as_read(prompt), scores, scale, at, cursor, subject, spans, folded)
        known = [part for part in self.parts if part.score == part.score]
        order = sorted(known, key=lambda part: -abs(scale.share(part.score)))
        bars = [
            Bar(part.label, value_words(part.score, scale), scale.share(part.score))
            for part in order[:50]
        ]
        self.ranking.sentences = of_units(result)
        self.ranking.show(bars, self._order_words())

    def _order_words(self) -> str:
        """And of what the list is, where what stands beside it may be of this prompt already."""
        order = "largest first" if self.painted else "strongest first"
        previous = self.state.previous(self.slot.name)
        return f"{previous}: {order}" if previous else order

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

    def show_predicted(self, predicted: Predicted | None) -> None:
        """Show a cell of the lens instead; None: the model's own predictions again."""
        if predicted != self.next.lens:
            self.next.lens = predicted
            self.next.fill(self.state)

    def next_tokens(self) -> TopList:
        """(token, probability), likeliest first: the model's, or of the lens cell under its cursor."""
        return self.next.tokens(self.state)

    def shown_by(self) -> Mapping[str, Sequence[Widget]]:
        """The lists of next tokens are of slots of their own."""
        own = (self.strip, self.ranking)
        return {**super().shown_by(), self.slot.name: own, **self.next.shown_by()}

    # -- the whole text ---------------------------------------------------------------------------

    @property
    def painted(self) -> str:
        """What of a whole text's losses is painted; empty where it is no such result."""
        result = self.data.result
        if result is None or result.analysis != losses.LOSSES:
            return ""
        return losses.painting_of(result, self._painted)

    @property
    def scored_prompt(self) -> PromptInfo | None:
        """The text that has scores: the prompt, or a file's."""
        result, prompt = self.data.result, self.data.prompt
        if not self.painted or result is None or prompt is None:
            return prompt
        return losses.text_of_losses(result, prompt)

    def next_view(self) -> None:
        """The next of what can be painted."""
        result = self.data.result
        if result is not None and self.painted:
            self._painted = losses.next_painting(result, self._painted)
            self.fill()
            self.refresh_words()

    def asks_at_cursor(self) -> Question | str | None:
        """Of a whole text why the token under the cursor is there."""
        result, prompt = self.data.result, self.scored_prompt
        if not self.painted or result is None or prompt is None:
            return None
        return losses.explained_token(self.state, result, prompt, self.strip.cursor)

    def shows_edited(self) -> bool:
        """Losses are shown clean and edited."""
        result = self.data.result
        return bool(self.painted) and result is not None and "edited" in result.extra

    def _explained(self) -> int:
        """The position that is explained; losses are of none, and the other panes' is marked."""
        result = self.data.result
        if result is not None and not self.painted:
            return result.metric.position
        found = predicted(self.state)
        return -1 if found is None or self.state.previous("tokens") else found.metric.position

    def _numbers(self) -> Result:
        from msgspec.structs import replace

        result = self.data.result
        assert result is not None
        if not self.painted:
            return result
        return replace(result, values=losses.painted_losses(result, self.painted)[0])

    def _scale(self) -> Scale:
        from interpboard.visualization.reading import scale_of

        result = self.data.result
        assert result is not None
        return losses.painted_losses(result, self.painted)[1] if self.painted else scale_of(result)

    # -- words ------------------------------------------------------------------------------------

    def subtitle(self) -> str:
        """The method and what it explains."""
        result = self.data.result
        if result is None:
            return words.analysis_title(self.slot.analysis_in(self.state))
        if self.painted:
            return losses.losses_title(result, self.painted)
        how = unit_words(result) if result.analysis == BY_UNIT else ""
        title = how or words.analysis_title(result.analysis)
        if result.analysis in (SURROGATE, KNOCKOUT):
            title += f" {unit_words(result)}"
        return f"{title} of {words.metric_name(result.metric)}"

    def readout(self) -> Text:
        """The token under the cursor and its score."""
        result, prompt, at = self.data.result, self.scored_prompt, self.strip.cursor
        if result is None or prompt is None or at >= len(prompt.tokens):
            return Text()
        if self.painted:
            return losses.losses_readout(result, prompt, at, self.inks)
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
            said.append(f"  in {words.shorten_middle(part.label, 24)}", self.ink("text"))
        text = said + Text.assemble(
            (f"  {value_words(value, self._scale())}", self.ink("accent", bold=True)),
            (summed(result, part), self.ink("text")),
            (moved(result, part), self.ink("text")),
            (f"  {words.percent(abs(value) / total if total else 0.0)} of all", self.ink("text")),
            (f"  rank {rank}/{len(self.parts)}", self.ink("text")),
        )
        text.append(f"  {how_exact(result)}", self.ink("muted"))
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
        scale = self._scale()
        text = self.swatch(scale)
        if self.painted:
            return text.append_text(losses.losses_legend(result, self.painted))
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
