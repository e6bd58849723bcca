"""What every pane is: a frame with a title, a body, a readout of the cursor, and a legend."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.widget import Widget

from interpboard.display import visible
from tui import words
from tui.commands.command import keyed, shown_keys
from tui.session.compared import DIFFERENCE_SIDE, why_not_compared
from tui.session.note_subjects import note_at_cursor, noted_in
from tui.session.state import Answer, Selection, State
from tui.slots.at_cursor import AtCursor, Predicted
from tui.slots.framed_box import Body, FramedBox
from tui.slots.spec import Slot
from tui.slots.swatch import swatch
from tui.slots.waiting import waiting_words
from tui.widgets import lines
from tui.widgets.line import Line

if TYPE_CHECKING:
    from interpboard.results import Result
    from interpboard.visualization.colors import Scale
    from tui.slots.difference import DifferenceGrid
    from tui.widgets.cells import Searched
    from tui.widgets.cursor_view import CursorView

CLEAN_RUN = "clean run"  # said where something is held and the numbers are without it
FADED = 0.45  # how much is left of the colours of what is not of this prompt

Select = Callable[..., None]


class Pane(FramedBox, can_focus=False):
    """Base of the panes. Subclasses compose a body and say the lines around it in words."""

    slot: Slot
    detailed: ClassVar[bool] = False  # a second line of readout
    of_heads: ClassVar[bool] = False  # does it show which head is selected?
    noted_kinds: ClassVar[tuple[str, ...]] = ()  # the parts whose notes its title names
    about_prompt: ClassVar[bool] = False  # notes on the prompt are shown in it

    def __init__(self, slot: Slot, select: Select) -> None:
        super().__init__(id=slot.name, classes="pane")
        self.slot, self.select = slot, select
        self.state = State()
        self._titles: tuple[Text, Text] = (Text(), Text())
        self._less: DifferenceGrid | None = None  # made when B − A is shown for the first time

    def compose(self) -> ComposeResult:
        """Body, readout, legend; above them the title where there is no frame to hold it."""
        yield Line(classes="heading")
        with Body():
            yield from self.body()
        yield from self.under_body()
        yield Line(classes="readout")
        if self.detailed:
            yield Line(classes="details")
        yield Line(classes="legend")

    # -- for subclasses ---------------------------------------------------------------------------

    def body(self) -> Iterable[Widget]:
        """The widgets of the body; the first is the one to focus."""
        raise NotImplementedError

    def under_body(self) -> Iterable[Widget]:
        """Lines between the body and the readout."""
        return ()

    def fill(self) -> None:
        """Show ``self.state`` in the body."""
        raise NotImplementedError

    def subtitle(self) -> str:
        """What the title says after the pane's name."""
        return ""

    def readout(self) -> Text:
        """What is under the cursor, in full."""
        raise NotImplementedError

    def details(self) -> Text:
        """The second line of the readout, where there is one."""
        return Text()

    def empty_hint(self) -> str:
        """What to do where there is nothing yet."""
        return keyed("nothing yet: {key:run} runs")

    def legend(self) -> Text:
        """Scale, meaning of the sign, and how exact it is."""
        raise NotImplementedError

    def next_step(self, state: State) -> str:
        """The command that leads on from here; empty: the pane's first one."""
        if state.engine.phase == "failed":
            return "model"
        answer = state.slots[self.slot.name]
        if answer.result is None and answer.job is None and state.engine.phase == "ready":
            return "run"
        return ""

    def cannot(self, state: State) -> Collection[str]:
        """Commands of the pane that can do nothing now: the footer does not offer them."""
        return ()

    @property
    def position(self) -> int | None:
        """The token of the prompt under the cursor, where there is one."""
        return None

    def part(self) -> str:
        """The head, MLP or neuron under the cursor by its name, ``L2 H4``; empty: none is."""
        return ""

    def shows_edited(self) -> bool:
        """Does it show the run with the interventions beside the clean one?"""
        return False

    def of_clean_run(self) -> bool:
        """Is something held that its numbers do not know of?"""
        known = self.data.result is not None or self.data.partial is not None
        return known and bool(self.state.interventions.text) and not self.shows_edited()

    def intervention(self) -> AtCursor | None:
        """What stands under the cursor as an intervention; None: nothing that can be one."""
        return None

    def next_view(self) -> None:
        """Show it in the next way."""

    def predicted(self) -> Predicted | None:
        """What the model would predict at the cursor."""
        return None

    def show_predicted(self, predicted: Predicted | None) -> None:
        """Show what the active pane predicts at its cursor; None: nothing."""

    def follow(self, selection: Selection) -> bool:
        """Put the cursor where another pane's is; did it move?"""
        return False

    def slot_under_cursor(self) -> str:
        """The slot of the pane that shows what is under the cursor; empty: nothing opens."""
        return ""

    def cursor_rested(self) -> None:
        """The cursor has come to rest: show what is too much for every key of a run."""

    @property
    def searched(self) -> Searched:
        """What a search looks through: what has the focus, and what stands beside it."""
        return cast("Searched", self.view)

    # -- the same for all -------------------------------------------------------------------------

    @property
    def view(self) -> Widget:
        """The widget that takes the focus."""
        if self._less is not None and self.subtracts:
            return self._less
        return self.query_one(Body).children[0]

    @property
    def subtracts(self) -> bool:
        """Is B − A shown, and not what the pane shows otherwise?"""
        compared = self.state.compared
        return compared is not None and compared.view == DIFFERENCE_SIDE

    @property
    def shown_difference(self) -> DifferenceGrid | None:
        """The grid of B − A, while that is what is shown."""
        return self._less if self.subtracts else None

    def shown_readout(self) -> Text:
        """The readout of what is shown."""
        if self._less is not None and self.subtracts:
            return self._less.readout(self.ink)
        return self.readout()

    @property
    def cursor(self) -> Any:
        """Where the cursor is, in whatever view is in use."""
        return cast("CursorView", self.view).cursor

    @cursor.setter
    def cursor(self, at: Any) -> None:
        view = cast("CursorView", self.view)
        if view.cursor != at:
            view.cursor = at

    @property
    def data(self) -> Answer:
        """This pane's slot in the state."""
        return self.state.slots[self.slot.name]

    def show(self, state: State) -> None:
        """Show a snapshot."""
        self.state = state
        self._turn()
        if not self.subtracts:
            self.fill()
        elif self._less is not None:
            self._less.take(self.data.result)
        self.refresh_words()
        self.fade()

    def shown_by(self) -> Mapping[str, Sequence[Widget]]:
        """The slots whose results are on this pane, and the widgets that show each."""
        return {self.slot.name: self.query_one(Body).children}

    def fade(self) -> None:
        """What is of another prompt or model than those named above is dimmed."""
        for slot, widgets in self.shown_by().items():
            opacity = FADED if self.state.previous(slot) else 1.0
            for widget in (*widgets, *(self.query(Line) if slot == self.slot.name else ())):
                if widget.styles.opacity != opacity:
                    widget.styles.opacity = opacity

    def _turn(self) -> None:
        """Put the pane's own body in sight, or B − A in its place; the focus stays in the pane."""
        body = self.query_one(Body)
        if body.display != self.subtracts:
            return
        had_focus = self.has_focus_within
        if self.subtracts and self._less is None:
            from tui.slots.difference import DifferenceGrid  # numpy: after the first paint

            self._less = DifferenceGrid(self.refresh_readout, id=f"{self.slot.name}-difference")
            self.mount(self._less, after=body)
        assert self._less is not None
        self._less.display = self.subtracts
        if had_focus:
            self.screen.set_focus(self.view)
        body.display = not self.subtracts

    def refresh_words(self) -> None:
        """Readout, legend and titles; each repaints only if it changed."""
        empty = self.data.result is None and self.data.partial is None
        if empty:
            self._line(
                "readout",
                Text(
                    f" {waiting_words(self.state, self.data, self.empty_hint())}", self.inks.muted
                ),
            )
            self._line("details", Text())
        else:
            self.refresh_readout()
        self._line("legend", Text() if empty else self._legend_or_note())
        self._set_titles()

    def _legend_or_note(self) -> Text:
        """The note on what is under the cursor, in the place of the legend; where there is none that."""
        note = note_at_cursor(self.state, self.part(), self.about_prompt)
        if note is None:
            return self._legend()
        about = note.subject.part or "this prompt"
        text = Text(f" note on {about}  ", self.inks.muted)
        return text.append(visible(note.text), self.inks.accent)

    def _legend(self) -> Text:
        if self._less is None or not self.subtracts:
            return self.legend()
        text = self.swatch(self._less.scale)
        text.append("B − A: − smaller in B, + larger in B", self.inks.text)
        alone = "  A or B alone has it: no difference" if self._less.alone() else ""
        return text.append(alone, self.inks.muted)

    def lines_in_full(self) -> list[str]:
        """What the lines of the pane say, whole."""
        if self.data.result is None and self.data.partial is None:
            return [waiting_words(self.state, self.data, self.empty_hint())]
        details = () if self.subtracts else (self.details().plain,)
        texts = (self.subtitle(), self.shown_readout().plain, *details, self._legend().plain)
        return [text.strip() for text in texts if text.strip()]

    def _line(self, name: str, text: Text) -> None:
        for line in self.query(f".{name}").results(Line):
            line.set(text)

    def refresh_readout(self) -> None:
        """The cursor moved."""
        if self.data.result is not None or self.data.partial is not None:
            self._line("readout", self.shown_readout())
            if self.state.notes:
                self._line("legend", self._legend_or_note())
            if self.detailed:
                self._line("details", Text() if self.subtracts else self.details())

    def _set_titles(self) -> None:
        place = self.slot.place
        assert place is not None
        title = Text.assemble((f"{place.number} ", "bold"), (place.title, "bold"))
        if self.of_clean_run():
            title.append(f"  {CLEAN_RUN}", self.inks.warning)
        noted = noted_in(self.state, self.slot.name, self.noted_kinds)
        if noted:
            title.append(f"  {noted}", self.inks.accent)
        more = self._difference_of() if self.subtracts else self.subtitle()
        for part in filter(None, (more, words.factor(self._exponent))):
            title.append(f"  {part}")
        below = self._standing()
        if (title, below) != self._titles:
            self._titles = (title, below)
            self.border_title = title
            self.border_subtitle = below
            heading = Text.assemble(" ", (title.plain, Style(color=self.inks.accent, bold=True)))
            self._line("heading", heading.append_text(Text.assemble("  ", below)))

    @property
    def exponent(self) -> int:
        """The power of ten that the numbers of its grid share; the title says it."""
        return 0

    @property
    def _exponent(self) -> int:
        """That of what is shown."""
        if self._less is not None and self.subtracts:
            return self._less.exponent
        return self.exponent

    def _difference_of(self) -> str:
        """``B − A of head ablation, logit ·Paris``."""
        result = self.data.result
        if result is None:
            return "B − A"
        name = words.analysis_title(result.analysis.removeprefix("difference of "))
        return f"B − A of {name}{_compared_metric(result)}"

    def _standing(self) -> Text:
        """What is not the answer here: of what it is, how much of it there is, what is under way."""
        data, ink, previous = self.data, self.inks, self.state.previous(self.slot.name)
        if self.subtracts:
            differs = why_not_compared(data.result.warnings) if data.result is not None else ()
            return Text(visible("; ".join(differs)), ink.warning)
        said: list[tuple[str, str]] = [(previous, ink.warning)] if previous else []
        run = shown_keys("run")
        if data.job is not None:
            older = data.result is not None and data.partial is None and not previous
            said.append((lines.standing(data.job) + (": older values" if older else ""), ink.text))
        elif data.result is not None and data.failure:
            said.append((visible(data.failure), ink.warning))
        elif self.slot.stale(self.state):
            asks = self.slot.request(self.state) is not None
            of = "" if previous else "an older question: "
            said.append(
                (f"{of}{run} runs this one" if asks else f"older: {self.empty_hint()}", ink.warning)
            )
        elif data.result is not None and data.result.partial is not None:
            said.append((f"partial: {data.result.partial}, {run} goes on", ink.warning))
        return Text(", ").join(Text(words, style) for words, style in said if words)

    def swatch(self, scale: Scale) -> Text:
        """The scale in its own colours; its ends are written as the grid's numbers are."""
        return swatch(scale, 10.0**self._exponent, self.inks)


def _compared_metric(result: Result) -> str:
    """``, logit ·Paris``; of different targets both; nothing where no token is explained."""
    from interpboard.comparison import has_metric

    if not has_metric(result):
        return ""
    if result.metric.target is not None or result.metric.name == "kl":
        return f", {words.metric_name(result.metric)}"
    both = (words.token(str(result.params.get(f"{side}_target"))) for side in "ba")
    return f", {result.metric.name} {words.MINUS.join(f' {token} ' for token in both).strip()}"
