"""Help: the keys of the focused pane and of the app, made from the command table."""

from __future__ import annotations

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from tui.commands import table as keys
from tui.commands.keymap import spelled
from tui.commands.table import Command
from tui.dialogs.box import Box
from tui.theme import Inks, inks

ABOUT = {
    "tokens": (
        "Which tokens of the prompt mattered, by integrated gradients.",
        "The scores sum to metric(prompt) − metric(zero embeddings), up to",
        "the completeness error that the legend shows.",
        "The legend says what either sign means for the metric.",
    ),
    "heads": (
        "Each attention head's output is replaced, one at a time; exact.",
        "effect = metric(ablated) − metric(clean)",
        "The legend says what either sign means for the metric.",
        "Letters, what type the head is of: on random repeated tokens p previous",
        "token, d duplicate token, i induction, c copying; here n name mover.",
        "Beside its score z: how many deviations above shuffled data that is.",
    ),
    "lens": (
        "Each layer's stream, read as if the model ended there; exact. emb is the",
        "input of layer 0; the last row is the model's own prediction. s reads the",
        "stream before or within layers, or what attention or the MLP adds. m goes",
        "to a tuned lens, through maps that F trains or T opens, and back.",
    ),
    "runs": (
        "Every finished result, newest first. Reopening computes nothing and",
        "needs no model: the next Enter in the panes loads it and runs.",
        "Two pinned runs are shown side by side, or as A − B.",
    ),
    "trace": (
        "Clean states put back into a corrupted run, one at a time; exact.",
        "Causal trace: noise on the subject that s marks in Tokens.",
        "Activation patching: from the corrupted prompt, under the clean one.",
        "v chooses stream, MLP or attention, m the method.",
    ),
    "attention": (
        "Where the selected head looks: probability [query, key]; exact.",
        "Enter on a head in Heads opens it here. The arrows move through heads and",
        "layers, h j k l move the cursor. v paints the prompt itself: where the",
        "cursor's token looks, or who looks at it; then lists the strongest pairs.",
        "Means over the positions: entropy, how many tokens back the head looks,",
        "and how much of it goes to the first token.",
    ),
    "neurons": (
        "What each neuron writes straight into the logit of the target: its",
        "activation × what a unit of it writes; exact. Below the tokens that a",
        "unit of the chosen one promotes and suppresses most, and texts in which",
        "it is most active, from a file that F collects or E opens.",
    ),
    "circuit": (
        "Which edges between heads and MLPs carry a behaviour. Edges are chosen",
        "by estimated scores; faithfulness is measured: with only the circuit",
        "live, how much of clean − corrupted is left. Completeness: how much is",
        "lost without it. [ and ] show the sizes measured, computing nothing. f opens",
        "prompts of your own, one a line: clean => corrupted | target | foil.",
    ),
    "continuation": (
        "What the model writes next, greedily, and why: each row explains one written",
        "token to all that stood before it, the written ones too. Each row's metric is",
        "that of its own token at its own place; a foil stays the foil.",
    ),
    "steering": (
        "A vector added to the residual stream at every position, in several",
        "strengths; exact. effect = metric(steered) − metric(clean). The texts are",
        "greedy; scale 0 is the model as it is. A held vector acts in every pane.",
    ),
    "logits": (
        "What each part writes straight into the logit of the target; exact.",
        "The parts sum to the logit; effects through later layers are not in it.",
        "While something is held, clean → edited: the parts of both runs, each read",
        "at its own final norm's scale; v sorts by size, by change, or by place, and",
        "sums up to each layer.",
    ),
}
_SECTIONS = (("move", "Moving"), ("app", "Everywhere"), ("prompt", "In the prompt"))


def text(slot: str, title: str, ink: Inks) -> Text:
    """The whole help for one pane."""
    result = Text()
    _head(result, title, ink)
    for line in ABOUT.get(slot, ()):
        result.append(f"{line}\n", ink.text)
    for where, name in ((slot, ""), *_SECTIONS):
        found = keys.commands(where)
        if name and found:
            result.append("\n")
            _head(result, name, ink)
        for command in found:
            shown = _shown(command, slot) if where == "move" else command.shown
            result.append(f"  {shown:<10}", Style(color=ink.accent, bold=True))
            result.append(f" {command.help}\n", ink.text)
    result.rstrip()
    return result


def _shown(move: Command, slot: str) -> str:
    """The keys of a move, without those that the pane has for something else."""
    own = {key for command in keys.commands(slot) for key in command.keys.split(",")}
    left = [key for key in move.keys.split(",") if key not in own]
    return move.shown if own.isdisjoint(move.keys.split(",")) else " ".join(map(spelled, left))


def _head(result: Text, title: str, ink: Inks) -> None:
    result.append(f"{title}\n", Style(color=ink.text, bold=True, underline=True))


class HelpScreen(Box[None]):
    """Scrolls with the keys that move cursors."""

    BINDINGS = [  # noqa: RUF012
        ("q,backspace,question_mark,f1,enter", "leave", "Back"),
        ("j,down", "scroll(1)", "Down"),
        ("k,up", "scroll(-1)", "Up"),
        ("ctrl+d,pagedown", "scroll(10)", "Page down"),
        ("ctrl+u,pageup", "scroll(-10)", "Page up"),
        ("g,home", "scroll(-999)", "Top"),
        ("G,end", "scroll(999)", "Bottom"),
    ]
    DEFAULT_CSS = "HelpScreen > .box { width: 84; max-width: 96%; height: auto; }"

    def __init__(self, slot: str, title: str) -> None:
        super().__init__()
        self.slot, self.title_of_pane = slot, title

    def compose(self) -> ComposeResult:
        """One text."""
        with VerticalScroll(classes="box", can_focus=False) as box:
            box.border_title = Text("Help")
            box.border_subtitle = Text("q closes, j k scroll")
            yield Static(text(self.slot, self.title_of_pane, inks(self.app.current_theme.dark)))

    def action_scroll(self, by: int) -> None:
        """Scroll by lines."""
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)
