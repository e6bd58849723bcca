"""Commands of places that are no slot's: cursors, the prompt, lists to choose from, the saved runs."""

from __future__ import annotations

from tui.commands.command import Command
from tui.commands.reasons import (
    no_control,
    no_interventions,
    no_lines,
    no_pinned_runs,
    no_prompt_file,
    nothing_lost,
    nothing_saved,
)

MOVES = (
    Command("left", "left,h", "h ←", "",
            "Left", "move('left')", palette=False),
    Command("down", "down,j", "j ↓", "",
            "Down", "move('down')", palette=False),
    Command("up", "up,k", "k ↑", "",
            "Up", "move('up')", palette=False),
    Command("right", "right,l", "l →", "",
            "Right", "move('right')", palette=False),
    Command("top", "g", "g", "",
            "To the first row", "move('top')", palette=False),
    Command("bottom", "G", "G", "",
            "To the last row", "move('bottom')", palette=False),
    Command("home", "0,home", "0", "",
            "To the start of the row", "move('home')", palette=False),
    Command("end", "dollar_sign,end", "$", "",
            "To the end of the row", "move('end')", palette=False),
    Command("page_up", "ctrl+u,pageup", "Ctrl+u", "",
            "Half a page up", "move('page_up')", palette=False),
    Command("page_down", "ctrl+d,pagedown", "Ctrl+d", "",
            "Half a page down", "move('page_down')", palette=False),
)  # fmt: skip
UP_DOWN = tuple(each for each in MOVES if each.id in {"up", "down"})  # all that a list of rows has
PROMPT = (
    Command("submit", "enter", "Enter", "Run",
            "Run every analysis on the text", "submit"),
    Command("leave", "escape,tab", "Tab Esc", "Panes",
            "Back to the panes", lambda app: app.panes.focus()),
    Command("newline", "ctrl+o", "Ctrl+o", "Newline",
            "A newline at the cursor, shown as ⏎", "newline"),
    Command("older_prompt", "up", "↑", "Before",
            "The prompt that was run before this one", lambda app: app.prompts.older()),
    Command("newer_prompt", "down", "↓", "After",
            "The one after it; behind the newest: to the panes", lambda app: app.prompts.newer()),
    Command("search_prompts", "ctrl+r", "Ctrl+r", "Search",
            "Search earlier prompts, by words", lambda app: app.prompts.search()),
)  # fmt: skip
NEWLINE_KEY = tuple(
    each for each in PROMPT if each.id == "newline"
)  # any field of several lines has it
LIST = (
    Command("pick_take", "enter", "Enter", "takes",
            "Take the chosen row", "submit"),
    Command("pick_down", "down,tab,ctrl+n", "↓ Tab Ctrl+n", "next",
            "The next row", "step(1)"),
    Command("pick_up", "up,shift+tab,ctrl+p", "↑ Ctrl+p", "before",
            "The row before", "step(-1)"),
    Command("pick_page_down", "pagedown", "PgDn", "",
            "Ten rows down", "step(10)"),
    Command("pick_page_up", "pageup", "PgUp", "",
            "Ten rows up", "step(-10)"),
    Command("pick_leave", "escape,ctrl+g", "Esc Ctrl+g", "leaves",
            "Leave without an answer", "leave"),
)  # fmt: skip
PROMPT_LIST = (
    Command("forget_prompt", "f8", "F8", "forgets",
            "Take the chosen prompt off the list", "forget"),
)  # fmt: skip
RUNS = (
    Command("runs_open", "enter", "Enter", "Reopen",
            "Put it back into the panes", "reopen",
            why_not=nothing_saved),
    Command("runs_pin", "space", "Space", "Pin",
            "Pin it, to compare two", "pin",
            why_not=nothing_saved),
    Command("runs_difference", "d", "d", "B − A",
            "Side by side, or the difference B − A", "difference",
            why_not=no_pinned_runs),
    Command("runs_compare", "equals_sign", "=", "",
            "Compare the panes with it: B − A, A, B", "compare",
            why_not=nothing_saved),
    Command("runs_search", "f", "f", "Filter",
            "List only the runs that have these words", "search"),
    Command("runs_whole", "z", "z", "Whole",
            "The result on the whole screen, and back", "whole"),
    Command("runs_yank_row", "y", "y", "",
            "Copy the row", "yank",
            why_not=nothing_saved),
    Command("runs_yank", "Y", "Y", "Yank",
            "Copy what is shown as markdown", "yank_view",
            why_not=nothing_saved),
    Command("runs_code", "c", "c", "",
            "Copy the lines that make the run under the cursor again", "code",
            why_not=nothing_saved),
    Command("runs_export", "e", "e", "Export",
            "Write the run under the cursor to a file", "export",
            why_not=nothing_saved),
    Command("runs_scroll_down", "J,ctrl+e", "J", "",
            "Scroll the result down", "scroll_view(3)"),
    Command("runs_scroll_up", "K,ctrl+y", "K", "",
            "Scroll the result up", "scroll_view(-3)"),
    Command("runs_help", "question_mark,f1", "? F1", "Help",
            "These keys", "help"),
    Command("runs_leave", "q,escape,backspace,8", "q Esc Bksp", "Back",
            "Back to the panes", "leave", palette=False),
)  # fmt: skip
PLOT = (
    Command("plot_export", "e", "e", "Figure",
            "Write the plot as a figure: pdf, svg, png or html", "export",
            why_not=no_lines),
    Command("plot_help", "question_mark,f1", "? F1", "Help",
            "These keys", "help",
            why_not=no_lines),
    Command("plot_leave", "q,escape,backspace,D", "q Esc Bksp", "Back",
            "Back to where it was opened", "leave", palette=False),
)  # fmt: skip
PROMPT_TABLE = (
    Command("table_open", "enter", "Enter", "Open",
            "Run the prompt under the cursor in the panes, with its target", "take",
            why_not=no_prompt_file),
    Command("table_sort", "s", "s", "Sort",
            "Sort by the column under the cursor; again: the other way, then as in the file", "sort",
            why_not=no_prompt_file),
    Command("table_cancel", "x", "x", "Stop",
            "Stop computing rows", "cancel",
            why_not=no_prompt_file),
    Command("table_resume", "r", "r", "Go on",
            "Compute what is missing", "resume",
            why_not=no_prompt_file),
    Command("table_yank", "y", "y", "",
            "Copy the row in words", "yank",
            why_not=no_prompt_file),
    Command("table_export", "e", "e", "Export",
            "Write the table to a file: csv, json, md or html", "export",
            why_not=no_prompt_file),
    Command("table_help", "question_mark,f1", "? F1", "Help",
            "These keys", "help",
            why_not=no_prompt_file),
    Command("table_leave", "q,escape,backspace", "q Esc Bksp", "Back",
            "Back to the panes", "leave", palette=False),
)  # fmt: skip
INTERVENTIONS = (
    Command("what_if_switch", "space,enter", "Space", "Off/on",
            "Switch the intervention under the cursor off, or on again", "switch",
            why_not=no_interventions),
    Command("what_if_add", "a", "a", "Add",
            "Write one more intervention", "add"),
    Command("what_if_drop", "d,delete", "d Del", "Remove",
            "Take the intervention under the cursor away", "drop",
            why_not=no_interventions),
    Command("what_if_undo", "u", "u", "Undo",
            "Undo the last change to the interventions", "undo", palette=False),
    Command("what_if_redo", "ctrl+r", "Ctrl+r", "Redo",
            "Do it again", "redo", palette=False),
    Command("what_if_hold", "h", "h", "Hold a set",
            "Hold a set of heads, beside a random one", "hold", palette=False),
    Command("what_if_exchange", "s", "s", "Set or random",
            "The set off and the random one beside it on, or back", "exchange",
            why_not=no_control),
    Command("what_if_another", "n", "n", "Another random",
            "Draw another random set beside the one under the cursor", "another",
            why_not=no_control),
    Command("what_if_leave", "q,backspace,i", "q Bksp", "Back",
            "Back to the panes", "leave", palette=False),
)  # fmt: skip
LOG = (
    Command("log_again", "r", "r", "Run again",
            "Run what the engine took along when it ended", "again",
            why_not=nothing_lost),
    Command("log_leave", "q,backspace,enter,L", "q Bksp", "Back",
            "Back to the panes", "leave", palette=False),
)  # fmt: skip
HELP = (
    Command("help_leave", "q,backspace,enter,question_mark,f1", "q Bksp", "Back",
            "Back to where it was opened", "leave", palette=False),
)  # fmt: skip
COMMANDS_OF_PLACES = {
    "move": MOVES,
    "prompt": PROMPT,
    "pick": LIST,
    "prompts": PROMPT_LIST,
    "runs": RUNS,
    "plot": PLOT,
    "prompt_table": PROMPT_TABLE,
    "interventions": INTERVENTIONS,
    "log": LOG,
    "help": HELP,
}
# Screens over the panes that are no slot's: the app's own commands do not reach there.
OVER = frozenset({"runs", "plot", "prompt_table", "interventions", "log", "help"})
# Those of them in which there is something to search.
SEARCHED = ("runs", "log", "help")
# The command that opens the screen of a place that is no slot's.
OPENERS = {
    "runs": "pane_8", "plot": "plot", "prompt_table": "prompt_table",
    "interventions": "interventions", "log": "log",
}  # fmt: skip
# Where letters are text, and where that is.
TEXT_PLACES = {
    "prompt": "in the prompt",
    "pick": "in the field of a list",
    "prompts": "in the field of a list",
}
