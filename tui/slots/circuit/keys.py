"""Keys of the screen of circuit."""

from __future__ import annotations

from tui.commands.command import Command
from tui.commands.reasons import no_result, nothing_runs

KEYS = (
    Command("circuit_find", "enter", "Enter", "Find",
            "Find the behaviour's circuit", "find"),
    Command("circuit_fewer", "left_square_bracket", "[", "Fewer",
            "Fewer edges, a higher threshold", "step_size(-1)",
            why_not=no_result),
    Command("circuit_more", "right_square_bracket", "]", "More",
            "More edges, a lower threshold", "step_size(1)",
            why_not=no_result),
    Command("circuit_parameters", "P", "P", "",
            "Set the parameters of the search", "parameters"),
    Command("circuit_corrupted", "d", "d", "Pair",
            "Write the corrupted prompt", "corrupted"),
    Command("circuit_dataset", "f", "f", "File",
            "Choose a file of prompts, and find their circuit", "dataset"),
    Command("circuit_whole", "z", "z", "Whole",
            "The diagram on the whole screen, and back", "whole"),
    Command("circuit_scroll_down", "J,ctrl+e", "J", "",
            "Scroll the diagram down", "scroll_view(3)"),
    Command("circuit_scroll_up", "K,ctrl+y", "K", "",
            "Scroll the diagram up", "scroll_view(-3)"),
    Command("circuit_plot", "Z", "Z", "Plot",
            "Draw faithfulness against size on the whole screen", "plot",
            why_not=no_result),
    Command("circuit_cancel", "x", "x", "Cancel",
            "Cancel what is running", "cancel",
            why_not=nothing_runs),
    Command("circuit_yank", "y", "y", "",
            "Copy the readout", "yank",
            why_not=no_result),
    Command("circuit_yank_all", "Y", "Y", "",
            "Copy the circuit as markdown", "yank_view",
            why_not=no_result),
    Command("circuit_code", "c", "c", "",
            "Copy the lines that find it again", "code",
            why_not=no_result),
    Command("circuit_export", "e", "e", "Export",
            "Write the circuit to a file", "export",
            why_not=no_result),
    Command("circuit_help", "question_mark,f1", "? F1", "Help",
            "These keys", "help"),
    Command("circuit_leave", "q,escape,backspace,C", "q Esc Bksp", "Back",
            "Back to the panes", "leave", palette=False),
)  # fmt: skip
OPENER = (
    Command("circuit", "C", "C", "Circuit",
            "Circuits: of a behaviour, or of the two prompts", lambda c: c.screens.open("circuit"))
)  # fmt: skip
