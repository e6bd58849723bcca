"""What the model writes next, and why: every token of its continuation to all that stood before it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual.events import ScreenResume
from textual.widget import Widget

from interpboard.display import fit, visible, visible_token
from tui import scales, words
from tui.commands.command import bindings
from tui.session.state import State
from tui.slots.continuation.keys import KEYS
from tui.slots.continuation.spec import CONTINUATION_EDITED
from tui.slots.continuation.taken import text_with
from tui.slots.grid_screen import GridScreen
from tui.widgets.grid_data import GridData
from tui.widgets.line import Line

if TYPE_CHECKING:
    from interpboard.results import Result

_LABEL = 16  # columns of a written token, at most
_SOURCE, _TARGET, _EDITED = "source", "target", "edited"


class ContinuationScreen(GridScreen):
    """Written tokens down, all that stands before them across."""

    heading = "{key:continuation} Writes"
    BINDINGS = bindings(KEYS)

    def above_grid(self) -> Iterable[Widget]:
        """The source, of an encoder–decoder, and what is written."""
        names = ("source", "text", "edited")
        return [Line(id=f"continuation-{name}") for name in names]

    def data(self, result: Result) -> GridData:
        """Scores [written, before]; what comes later is empty."""
        written, before = result.axes[0].labels, result.axes[1].labels
        labels = [visible_token(token) for token in written]
        width = min(_LABEL, max(map(len, labels)))
        return GridData(
            rows=tuple(fit(label, width) for label in labels),
            columns=tuple(visible_token(token) for token in before),
            values=result.values,
            scale=scales.analysis_scale(result.analysis, result.params, result.values),
            absent=" ",
            row_names=tuple(labels),
        )

    def cursor_in(self, result: Result) -> tuple[int, int]:
        """The first written token, and what did most for it."""
        return 0, _strongest(result, 0)

    def refresh_cell(self) -> None:
        """The text too: the cursor's row stands out in it."""
        super().refresh_cell()
        source = self.line("source")
        source.display = self.border > 0
        source.set(self._source())
        self.line("text").set(self._text())
        edited = self.line("edited")
        edited.display = bool(self.host.state.interventions.text)
        edited.set(self._edited())

    def show(self, state: State) -> None:
        """What it writes with what is on too."""
        super().show(state)
        self.host.session.ensure(CONTINUATION_EDITED.name)

    def on_screen_resume(self, event: ScreenResume) -> None:
        """What was changed in the list of interventions meanwhile."""
        self.show(self.host.state)

    def _edited(self) -> Text:
        """What the model writes with the interventions that are on; what differs stands out."""
        ink, state, head = self.ink, self.host.state, f" {_EDITED}"
        answer, found = (
            state.slots[CONTINUATION_EDITED.name],
            state.edited(CONTINUATION_EDITED.name),
        )
        text = Text(head, ink.muted).append("▏", ink.frame)
        if answer.job is not None or found is None:
            return text.append(visible(answer.failure) if answer.job is None else "…", ink.muted)
        parted = words.scalar(found.extra["parted"])
        room = self.app.size.width - len(head) - 3
        for at, token in enumerate(map(str, found.extra["token"].values[1])):
            shown = words.shorten(visible_token(token), room) if token and room > 0 else ""
            differs = parted is not None and at >= parted
            text.append(shown, ink.warning if differs else ink.text)
            room -= cell_len(shown)
        return text

    def _parting(self) -> str:
        """Where the edited text parts from the clean one; empty where nothing is on."""
        found = self.host.state.edited(CONTINUATION_EDITED.name)
        parted = words.scalar(found.extra["parted"]) if found is not None else None
        if found is None or parted is None:
            return ""
        if parted != parted:
            return f"  {_EDITED}: the same"
        at = int(parted)
        was, now = (
            visible_token(str(own)) if own else "the end"
            for own in found.extra["token"].values[:, at]
        )
        share = float(found.values[1, at])
        return f"  {_EDITED}: {now}{'' if share != share else f' {words.percent(share)}'} for {was}"

    @property
    def border(self) -> int:
        """How many tokens are the source's; 0 where the model reads one text."""
        prompt = self.host.state.slots[self.place].prompt
        return prompt.border if prompt is not None and self.of is not None else 0

    def _source(self) -> Text:
        """What an encoder–decoder reads; the token that the cursor is at stands out."""
        if self.of is None or not self.border:
            return Text()
        ink, at = self.ink, self.grid.cursor[1]
        tokens = [visible_token(token) for token in self.of.axes[1].labels[: self.border]]
        room, begin = self.app.size.width - len(_SOURCE) - 4, 0
        while (
            at < self.border and cell_len("".join(tokens[begin : at + 1])) > room > 0 and begin < at
        ):
            begin += 1  # so far that the cursor's token is in sight
        text = Text.assemble(
            (f" {_SOURCE}", ink.muted), ("▏", ink.frame), ("…" * (begin > 0), ink.muted)
        )
        for place, token in enumerate(tokens[begin:], begin):
            here = place == at
            text.append(token, Style(color=ink.accent if here else ink.muted, bold=here))
        return text

    def _text(self) -> Text:
        """The end of the prompt and what the model adds; the cursor's row stands out."""
        if self.of is None:
            return Text()
        ink, row = self.ink, self.grid.cursor[0]
        written, before = self.of.axes[0].labels, self.of.axes[1].labels
        prompt = before[self.border : len(before) - len(written) + 1]
        written_tokens = [visible_token(token) for token in written]
        head = f" {_TARGET}" if self.border else " "
        room = max(8, self.app.size.width - sum(map(len, written_tokens)) - 3 - len(head))
        text = Text(head, ink.muted)
        if self.border:
            text.append("▏", ink.frame)
        text.append(words.shorten_start("".join(map(visible_token, prompt)), room), ink.muted)
        for at, token in enumerate(written_tokens):
            text.append(token, Style(color=ink.accent if at == row else ink.text, bold=at == row))
        return text

    @property
    def exponent(self) -> int:
        """Of the grid."""
        return self.grid.exponent

    def readout(self) -> Text:
        """The cell: what the earlier token did for the written one, and its rank in the row."""
        if self.of is None:
            return Text()
        (row, at), ink = self.grid.cursor, self.ink
        scores, before = self.of.values[row], self.of.axes[1].labels
        names = [visible_token(token) for token in (self.of.axes[0].labels[row], before[at])]
        text = Text.assemble(
            (f" {fit(names[0], _LABEL).rstrip()}", Style(color=ink.text, bold=True)),
            (f"  from {at} {fit(names[1], _LABEL).rstrip()}", ink.text),
        )
        if self.border:
            text.append(f"  {_SOURCE if at < self.border else _TARGET}", ink.muted)
        known = scores[scores == scores]
        if at >= len(known):
            return text.append("  it comes later", ink.muted)
        rank = 1 + int((abs(known) > abs(scores[at])).sum())
        assert self.grid.data is not None
        score = scales.value_words(float(scores[at]), self.grid.data.scale)
        text.append(f"  {score}", Style(color=ink.accent, bold=True))
        return text.append(f"  rank {rank}/{len(known)}", ink.text)

    def details(self) -> Text:
        """How the tokens are explained, and what is explained in this row."""
        if self.of is None:
            return Text()
        row, name = self.grid.cursor[0], str(self.of.params["method"]).replace("_", " ")
        value = float(self.of.extra["metric"].values[row])
        said = f" {name} of this token's {self.of.metric.name}, {words.unsigned(value, 2)}"
        warned = [warning for warning in self.of.warnings if warning.startswith(f"{row} ")]
        text = Text(said + self._parting(), self.ink.muted)
        return text.append(f"  {warned[0]}", self.ink.warning) if warned else text

    def metric(self, result: Result) -> str:
        """A row has a target of its own."""
        return f"{result.metric.name} of each written token"

    # -- what keys do -----------------------------------------------------------------------------

    def action_method(self) -> None:
        """The next method."""
        from interpboard.registry import find_analysis

        method = next(
            p for p in find_analysis("continuation_attribution").parameters if p.name == "method"
        )
        now = self.host.state.params.get(self.place, {}).get("method", method.default)
        following = method.choices[(method.choices.index(now) + 1) % len(method.choices)]
        self.host.session.set_param(self.place, "method", following)
        self.host.session.ensure(self.place)

    def action_interventions(self) -> None:
        """List what is on; what it writes with them follows."""
        self.host.interventions.list()

    def action_take(self) -> None:
        """The prompt goes on with what is written, up to the cursor's row; back to the panes."""
        state, prompt = self.host.state, self.host.state.slots[self.place].prompt
        if self.of is None or prompt is None:
            return
        if state.question.kind != "text" or self.slot.stale(state):
            self.host.tell("Only a plain text goes on, and only with what is written behind it.")
            return
        text = text_with(state.question.text, self.of, self.grid.cursor[0], prompt.border > 0)
        if not text:
            self.host.tell(
                "Nothing of this row can stand behind the text: an end, or half a character."
            )
            return
        self.host.app.prompt.show(text, "text")
        self.action_leave()
        self.host.run_prompt()

    def action_parameters(self) -> None:
        """How many tokens, and how each is explained."""
        self.host.parameters.edit(self.slot)


def _strongest(result: Result, row: int) -> int:
    """The column of the row's largest score."""
    scores = abs(result.values[row])
    return int((scores == scores[scores == scores].max()).argmax())
