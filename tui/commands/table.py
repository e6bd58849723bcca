"""The one table of commands: key bindings, footer, palette and help are all views of it.

``where`` says in which focus a command lives: ``app`` (everywhere outside a text input), ``move``
(every pane's cursor), the names of single panes, or ``prompt`` (the text input itself).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tui.commands import keymap

if TYPE_CHECKING:  # ``interpboard config show`` reads the table and needs no Textual
    from textual.binding import BindingType


@dataclass(frozen=True)
class Command:
    """One command. ``keys`` are Textual's names, ``shown`` is what people read."""

    id: str
    keys: str
    shown: str
    label: str
    help: str
    action: str
    where: tuple[str, ...] = ("app",)
    palette: bool = True


def _move(how: str, keys: str, shown: str, about: str) -> Command:
    return Command(how, keys, shown, "", about, f"move('{how}')", ("move",), palette=False)


def _on(screen: str, id: str, keys: str, shown: str, label: str, help: str, action: str) -> Command:
    """A command of a screen over the panes."""
    return Command(id, keys, shown, label, help, action, (screen,), palette=False)


COMMANDS: tuple[Command, ...] = (
    Command(
        "open", "enter", "Enter", "Open", "Open what is under the cursor; where nothing opens: run",
        "app.open",
    ),
    Command("run", "r", "r", "Run", "Run the analyses in sight on the prompt", "app.run"),
    Command("cancel", "x", "x", "Cancel", "Cancel what is running", "app.cancel"),
    Command("prompt", "p", "p", "Prompt", "Edit the prompt", "app.edit_prompt"),
    Command(
        "prompts", "H", "H", "Prompts", "Search the prompts of before and those with names",
        "app.prompts",
    ),
    Command("name_prompt", "S", "S", "Name prompt", "Give the prompt a name", "app.name_prompt"),
    Command(
        "prompt_file", "O", "O", "Prompt file", "Open a file with one prompt a line",
        "app.ask_prompts",
    ),
    Command(
        "next_prompt", "greater_than_sign", ">", "Next prompt", "Run the next prompt of the file",
        "app.step_prompt(1)",
    ),
    Command(
        "previous_prompt", "less_than_sign", "<", "Prompt before", "Run the file's prompt before",
        "app.step_prompt(-1)",
    ),
    Command("target", "t", "t", "Target", "Choose the token to explain", "app.ask_target"),
    Command("foil", "f", "f", "Foil", "Choose the token to contrast with", "app.ask_foil"),
    Command(
        "metric", "M", "M", "Metric", "The next metric: logit, prob, logprob, diff",
        "app.metric",
    ),
    Command("model", "o", "o", "Open", "Open another model, by name or folder", "app.ask_model"),
    Command(
        "interventions", "i", "i", "What if", "List what is held; add, switch and let go",
        "app.interventions",
    ),
    Command("undo", "u", "u", "Undo", "Undo the last change to what is held", "app.undo"),
    Command("redo", "ctrl+r", "Ctrl+r", "Redo", "Do it again", "app.redo"),
    Command(
        "explain_here", "space", "Space", "Explain",
        "Explain what follows the cursor's token; again: the last", "app.explain_here",
        ("tokens", "lens"),
    ),
    Command(
        "toggle", "space", "Space", "Off/on",
        "Switch the head or MLP under the cursor off, or on again", "app.toggle_part", ("heads",),
    ),
    Command(
        "hold_patch", "space", "Space", "Hold",
        "Hold the corrupted prompt's state at the cursor, or let it go (patching)", "app.hold_patch",
        ("trace",),
    ),
    Command(
        "subject", "s", "s", "Subject", "Mark the cursor's token as subject, or no longer",
        "app.subject", ("tokens",),
    ),
    Command(
        "replace", "w", "w", "Swap word", "Hold another token in the place of the cursor's",
        "app.replace_token", ("tokens",),
    ),
    Command(
        "method", "m", "m", "Method", "The next method", "app.method", ("tokens", "trace", "lens"),
    ),
    Command(
        "view", "v", "v", "View", "The next view: what is painted, which site, which order",
        "app.view", ("lens", "trace", "attention", "logits", "neurons"),
    ),
    Command(
        "site", "s", "s", "Site", "Read the next site: the stream, or what attention or the MLP adds",
        "app.lens_site", ("lens",),
    ),
    Command(
        "lens_folder", "T", "T", "Tuned lens", "Open a folder of trained translators: a tuned lens",
        "app.ask_translators", ("lens",),
    ),
    Command(
        "train_lens", "F", "F", "Train", "Fit a tuned lens to a text; it is then read with",
        "app.train_lens", ("lens",),
    ),
    Command(
        "parameters", "P", "P", "Parameters", "Set the parameters of the method",
        "app.ask_parameters", ("tokens", "trace"),
    ),
    Command(
        "examples_file", "E", "E", "Examples", "Open a file of max-activating examples",
        "app.ask_examples", ("neurons",),
    ),
    Command(
        "collect_examples", "F", "F", "Collect", "Find max-activating examples in a text",
        "app.collect_examples", ("neurons",),
    ),
    Command(
        "next_head", "right_square_bracket,right", "] →", "Next head", "The next head, through the layers",
        "app.step_head(1)", ("attention",),
    ),
    Command(
        "previous_head", "left_square_bracket,left", "[ ←", "Head before", "The head before",
        "app.step_head(-1)", ("attention",),
    ),
    Command(
        "next_layer", "right_curly_bracket,down", "} ↓", "Next layer", "The same head one layer on",
        "app.step_layer(1)", ("attention",),
    ),
    Command(
        "previous_layer", "left_curly_bracket,up", "{ ↑", "Layer before",
        "The same head one layer back", "app.step_layer(-1)", ("attention",),
    ),
    Command(
        "corrupted", "d", "d", "Corrupted", "Write the corrupted prompt to compare with",
        "app.ask_corrupted", ("trace",),
    ),
    Command(
        "ablation", "a", "a", "Zero/mean",
        "What replaces an output: zeros, its mean, or its outputs on the corrupted prompt",
        "app.ablation", ("heads",),
    ),
    Command(
        "circuit", "C", "C", "Circuit", "Circuits: of a behaviour, or of the two prompts",
        "app.circuit",
    ),
    Command(
        "methods", "V", "V", "Methods", "Every attribution of the prompt, row by row",
        "app.methods",
    ),
    Command(
        "steering", "A", "A", "Steering", "Add a vector to the stream: the metric and the text by scale",
        "app.steering",
    ),
    Command(
        "continuation", "W", "W", "Writes", "What the model writes next, and why each token of it",
        "app.continuation",
    ),
    Command("zoom", "z", "z", "Zoom", "One pane on the whole screen, and back", "app.zoom"),
    Command("pane_1", "1", "1", "Tokens", "Go to Tokens: which tokens mattered", "app.pane(1)"),
    Command(
        "pane_2", "2", "2", "Heads", "Go to Heads: which heads carry the answer",
        "app.pane(2)",
    ),
    Command("pane_3", "3", "3", "Lens", "Go to Lens: where the answer appears", "app.pane(3)"),
    Command("pane_4", "4", "4", "Trace", "Go to Trace: where the fact passes", "app.pane(4)"),
    Command(
        "pane_5", "5", "5", "Attention", "Go to Attention: where a head looks", "app.pane(5)",
    ),
    Command("pane_6", "6", "6", "Logits", "Go to Logits: who writes the answer", "app.pane(6)"),
    Command("pane_7", "7", "7", "Neurons", "Go to Neurons: which neurons speak for it", "app.pane(7)"),
    Command("pane_8", "8", "8", "Runs", "Saved results: reopen, pin, compare", "app.runs"),
    Command(
        "next_pane", "tab", "Tab", "Next pane", "Go to the next pane", "app.step_pane(1)",
        palette=False,
    ),
    Command(
        "previous_pane", "shift+tab", "Shift+Tab", "Previous pane", "Go to the previous pane",
        "app.step_pane(-1)", palette=False,
    ),
    Command(
        "export", "e", "e", "Export", "Write this pane or everything to a file", "app.export",
    ),
    Command("yank", "y", "y", "Yank", "Copy the readout of the cursor", "app.yank"),
    Command(
        "code", "c", "c", "Code", "Copy the Python and the command line that make this pane again",
        "app.code",
    ),
    Command("yank_pane", "Y", "Y", "Yank pane", "Copy the pane as markdown", "app.yank_pane"),
    Command(
        "theme", "ctrl+t", "Ctrl+t", "Light/dark", "Switch between light and dark",
        "app.switch_theme",
    ),
    Command(
        "redraw", "ctrl+l", "Ctrl+l", "Redraw", "Draw the whole screen anew", "app.redraw",
    ),
    Command(
        "restart", "R", "R", "Restart engine", "Start the engine process anew",
        "app.restart",
    ),
    Command(
        "log", "L", "L", "Log", "The engine's last log lines; what it lost can be run again",
        "app.log",
    ),
    Command(
        "palette", "colon,ctrl+p", ": Ctrl+p", "Cmd", "Every command by name",
        "app.palette", palette=False,
    ),
    Command("help", "question_mark,f1", "? F1", "Help", "The keys of this pane", "app.help"),
    Command(
        "back", "escape,backspace", "Esc Bksp", "Back", "Leave the zoom; stop loading a model", "app.unzoom",
        palette=False,
    ),
    Command("quit", "q", "q Ctrl+q", "Quit", "Leave InterpBoard", "app.quit"),
    _move("left", "left,h", "h ←", "Left"),
    _move("down", "down,j", "j ↓", "Down"),
    _move("up", "up,k", "k ↑", "Up"),
    _move("right", "right,l", "l →", "Right"),
    _move("top", "g", "g", "To the first row"),
    _move("bottom", "G", "G", "To the last row"),
    _move("home", "0,home", "0", "To the start of the row"),
    _move("end", "dollar_sign,end", "$", "To the end of the row"),
    _move("page_up", "ctrl+u,pageup", "Ctrl+u", "Half a page up"),
    _move("page_down", "ctrl+d,pagedown", "Ctrl+d", "Half a page down"),
    Command(
        "submit", "enter", "Enter", "Run", "Run every analysis on the text", "submit",
        ("prompt",), palette=False,
    ),
    Command(
        "leave", "escape,tab", "Tab Esc", "Panes", "Back to the panes",
        "app.leave_prompt", ("prompt",), palette=False,
    ),
    Command(
        "newline", "ctrl+o", "Ctrl+o", "Newline", "A newline at the cursor, shown as ⏎", "newline",
        ("prompt",), palette=False,
    ),
    Command(
        "older_prompt", "up", "↑", "Before", "The prompt that was run before this one",
        "app.older_prompt", ("prompt",), palette=False,
    ),
    Command(
        "newer_prompt", "down", "↓", "After", "The one after it; behind the newest: to the panes",
        "app.newer_prompt", ("prompt",), palette=False,
    ),
    Command(
        "search_prompts", "ctrl+r", "Ctrl+r", "Search", "Search the prompts of before, by words",
        "app.prompts", ("prompt",), palette=False,
    ),
    _on("pick", "pick_take", "enter", "Enter", "takes", "Take the chosen row", "submit"),
    _on("pick", "pick_down", "down,tab,ctrl+n", "↓ Tab Ctrl+n", "next", "The next row", "step(1)"),
    _on("pick", "pick_up", "up,shift+tab,ctrl+p", "↑ Ctrl+p", "before", "The row before", "step(-1)"),
    _on("pick", "pick_page_down", "pagedown", "PgDn", "", "Ten rows down", "step(10)"),
    _on("pick", "pick_page_up", "pageup", "PgUp", "", "Ten rows up", "step(-10)"),
    _on("pick", "pick_leave", "escape,ctrl+g", "Esc Ctrl+g", "leaves", "Leave without an answer",
        "leave"),
    _on("prompts", "forget_prompt", "f8", "F8", "forgets", "Take the chosen prompt off the list",
        "forget"),
    _on("runs", "runs_open", "enter", "Enter", "Reopen", "Put it back into the panes", "reopen"),
    _on("runs", "runs_pin", "space", "Space", "Pin", "Pin it, to compare two", "pin"),
    _on("runs", "runs_difference", "d", "d", "A − B", "Side by side, or the difference A − B",
        "difference"),
    _on("runs", "runs_search", "slash", "/", "Search", "Search by words", "search"),
    _on("runs", "runs_whole", "z", "z", "Whole", "The result on the whole screen, and back", "whole"),
    _on("runs", "runs_yank_row", "y", "y", "", "Copy the row", "yank"),
    _on("runs", "runs_yank", "Y", "Y", "Yank", "Copy what is shown as markdown", "yank_view"),
    _on("runs", "runs_code", "c", "c", "", "Copy the lines that make the run under the cursor again",
        "code"),
    _on("runs", "runs_export", "e", "e", "Export", "Write the run under the cursor to a file",
        "export"),
    _on("runs", "runs_scroll_down", "J,ctrl+e", "J", "", "Scroll the result down", "scroll_view(3)"),
    _on("runs", "runs_scroll_up", "K,ctrl+y", "K", "", "Scroll the result up", "scroll_view(-3)"),
    _on("runs", "runs_help", "question_mark,f1", "? F1", "", "These keys", "help"),
    _on("runs", "runs_leave", "q,escape,backspace,8", "q Esc Bksp", "Back", "Back to the panes",
        "leave"),
    _on("circuit", "circuit_find", "enter", "Enter", "Find", "Find the behaviour's circuit", "find"),
    _on("circuit", "circuit_fewer", "left_square_bracket", "[", "Fewer", "Fewer edges, a higher threshold",
        "step_size(-1)"),
    _on("circuit", "circuit_more", "right_square_bracket", "]", "More", "More edges, a lower threshold",
        "step_size(1)"),
    _on("circuit", "circuit_parameters", "P", "P", "", "Set the parameters of the search", "parameters"),
    _on("circuit", "circuit_corrupted", "d", "d", "Pair", "Write the corrupted prompt", "corrupted"),
    _on("circuit", "circuit_dataset", "f", "f", "File", "Choose a file of prompts, and find their circuit",
        "dataset"),
    _on("circuit", "circuit_whole", "z", "z", "Whole", "The diagram on the whole screen, and back",
        "whole"),
    _on("circuit", "circuit_scroll_down", "J,ctrl+e", "J", "", "Scroll the diagram down",
        "scroll_view(3)"),
    _on("circuit", "circuit_scroll_up", "K,ctrl+y", "K", "", "Scroll the diagram up", "scroll_view(-3)"),
    _on("circuit", "circuit_cancel", "x", "x", "Cancel", "Cancel what is running", "cancel"),
    _on("circuit", "circuit_yank", "y", "y", "", "Copy the readout", "yank"),
    _on("circuit", "circuit_yank_all", "Y", "Y", "", "Copy the circuit as markdown", "yank_view"),
    _on("circuit", "circuit_code", "c", "c", "", "Copy the lines that find it again", "code"),
    _on("circuit", "circuit_export", "e", "e", "Export", "Write the circuit to a file", "export"),
    _on("circuit", "circuit_help", "question_mark,f1", "? F1", "Help", "These keys", "help"),
    _on("circuit", "circuit_leave", "q,escape,backspace,C", "q Esc Bksp", "Back", "Back to the panes",
        "leave"),
    _on("methods", "methods_choose", "enter", "Enter", "Use", "Paint Tokens with this method", "choose"),
    _on("methods", "methods_cancel", "x", "x", "Cancel", "Cancel what is running", "cancel"),
    _on("methods", "methods_yank", "y", "y", "", "Copy the readout", "yank"),
    _on("methods", "methods_yank_all", "Y", "Y", "Yank", "Copy the rows as markdown", "yank_view"),
    _on("methods", "methods_code", "c", "c", "", "Copy the lines that make them again", "code"),
    _on("methods", "methods_export", "e", "e", "Export", "Write the rows to a file", "export"),
    _on("methods", "methods_help", "question_mark,f1", "? F1", "Help", "These keys", "help"),
    _on("methods", "methods_leave", "q,escape,backspace,V", "q Esc Bksp", "Back", "Back to the panes",
        "leave"),
    _on("continuation", "continuation_method", "m", "m", "Method", "The next method", "method"),
    _on("continuation", "continuation_parameters", "P", "P", "Parameters",
        "How many tokens, and how each is explained", "parameters"),
    _on("continuation", "continuation_cancel", "x", "x", "Cancel", "Cancel what is running", "cancel"),
    _on("continuation", "continuation_yank", "y", "y", "", "Copy the readout", "yank"),
    _on("continuation", "continuation_yank_all", "Y", "Y", "Yank", "Copy the rows as markdown",
        "yank_view"),
    _on("continuation", "continuation_code", "c", "c", "", "Copy the lines that make them again", "code"),
    _on("continuation", "continuation_export", "e", "e", "Export", "Write the rows to a file", "export"),
    _on("continuation", "continuation_help", "question_mark,f1", "? F1", "Help", "These keys", "help"),
    _on("continuation", "continuation_leave", "q,escape,backspace,W", "q Esc Bksp", "Back",
        "Back to the panes", "leave"),
    _on("steering", "steering_direction", "enter,d", "Enter", "Vector",
        "Say what the vector points to, or which file has it", "direction"),
    _on("steering", "steering_hold", "space", "Space", "Hold",
        "Hold the vector at this scale as a what-if, or let it go", "hold"),
    _on("steering", "steering_layer_before", "left_square_bracket", "[", "Layer −",
        "Read and add it one layer before", "step_layer(-1)"),
    _on("steering", "steering_layer_after", "right_square_bracket", "]", "Layer +",
        "Read and add it one layer after", "step_layer(1)"),
    _on("steering", "steering_scroll_down", "J,ctrl+e", "J", "", "Scroll the texts down",
        "scroll_view(3)"),
    _on("steering", "steering_scroll_up", "K,ctrl+y", "K", "", "Scroll the texts up", "scroll_view(-3)"),
    _on("steering", "steering_cancel", "x", "x", "Cancel", "Cancel what is running", "cancel"),
    _on("steering", "steering_yank", "y", "y", "", "Copy the readout", "yank"),
    _on("steering", "steering_yank_all", "Y", "Y", "", "Copy scales and texts as markdown", "yank_view"),
    _on("steering", "steering_code", "c", "c", "", "Copy the lines that make them again", "code"),
    _on("steering", "steering_export", "e", "e", "Export", "Write scales and texts to a file", "export"),
    _on("steering", "steering_help", "question_mark,f1", "? F1", "Help", "These keys", "help"),
    _on("steering", "steering_leave", "q,escape,backspace,A", "q Esc Bksp", "Back", "Back to the panes",
        "leave"),
)  # fmt: skip

# Footer: at most eight, by what has the focus. ``*`` stands for every pane.
_FOOTER = {
    "prompt": ("submit", "leave", "newline", "older_prompt", "newer_prompt", "search_prompts"),
    "tokens": ("help", "palette", "run", "prompt", "target", "explain_here", "subject", "method"),
    "lens": ("help", "palette", "run", "prompt", "explain_here", "method", "view", "site"),
    "*": ("help", "palette", "run", "prompt", "target", "{own}", "interventions", "zoom"),
}
_in_use: tuple[Command, ...] = COMMANDS  # with the keys of this process's configuration


def rebound(chosen: Mapping[str, str]) -> tuple[Command, ...]:
    """The whole table with ``chosen`` keys by id. Raises ``BadConfig``."""
    return keymap.rebound(COMMANDS, chosen)


def use(chosen: Mapping[str, str]) -> dict[str, str]:
    """Show ``chosen`` keys from now on; what Textual's key map needs to obey them."""
    global _in_use
    _in_use = rebound(chosen)
    return {command.id: command.keys for command in _in_use if command.id in chosen}


def command(id: str) -> Command:
    """The command called ``id``, with its keys in use."""
    return next(command for command in _in_use if command.id == id)


def commands(*where: str) -> tuple[Command, ...]:
    """The commands that live in any of ``where``."""
    return tuple(command for command in _in_use if set(command.where) & set(where))


def bindings(*where: str) -> list[BindingType]:
    """Textual bindings of the commands that live in ``where``; ``use`` rebinds them by their ids.

    A pane's own command goes before the cursor's of the same key.
    """
    from textual.binding import Binding

    moves = {key for c in COMMANDS if "move" in c.where for key in c.keys.split(",")}
    return [
        Binding(
            command.keys,
            command.action,
            command.label,
            id=command.id,
            show=False,
            priority="move" not in command.where and not moves.isdisjoint(command.keys.split(",")),
        )
        for command in COMMANDS
        if set(command.where) & set(where) and command.action != "submit"  # the input's own
    ]


def footer(focus: str, busy: bool) -> list[Command]:
    """At most eight live commands for the footer. While a job runs, Cancel takes Run's place."""
    chosen: list[Command] = []
    for id in _FOOTER.get(focus, _FOOTER["*"]):
        if id == "{own}":
            chosen += commands(focus)
        elif id == "run" and busy:
            chosen.append(command("cancel"))
        else:
            chosen.append(command(id))
    return chosen[:8]
