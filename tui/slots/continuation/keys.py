"""Keys of the screen of continuation."""

from __future__ import annotations

from tui.commands.command import Command
from tui.commands.reasons import no_result, nothing_runs

KEYS = (
    Command("continuation_method", "m", "m", "Method",
            "The next method", "method"),
    Command("continuation_parameters", "P", "P", "Parameters",
            "How many tokens, and how each is explained", "parameters"),
    Command("continuation_take", "enter", "Enter", "Write",
            "Put what is written up to the cursor's row behind the prompt, and run that", "take",
            why_not=no_result),
    Command("continuation_what_if", "i", "i", "What if",
            "List the interventions; add, switch and remove", "interventions"),
    Command("continuation_cancel", "x", "x", "Cancel",
            "Cancel what is running", "cancel",
            why_not=nothing_runs),
    Command("continuation_yank", "y", "y", "",
            "Copy the readout", "yank",
            why_not=no_result),
    Command("continuation_yank_all", "Y", "Y", "Yank",
            "Copy the rows as markdown", "yank_view",
            why_not=no_result),
    Command("continuation_code", "c", "c", "",
            "Copy the lines that make them again", "code",
            why_not=no_result),
    Command("continuation_export", "e", "e", "Export",
            "Write the rows to a file", "export",
            why_not=no_result),
    Command("continuation_help", "question_mark,f1", "? F1", "Help",
            "These keys", "help"),
    Command("continuation_leave", "q,escape,backspace,W", "q Esc Bksp", "Back",
            "Back to the panes", "leave", palette=False),
)  # fmt: skip
OPENER = (
    Command("continuation", "W", "W", "Writes",
            "What the model writes next, and why each token of it",
            lambda c: c.screens.open("continuation"))
)  # fmt: skip
