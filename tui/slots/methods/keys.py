"""Keys of the screen of methods."""

from __future__ import annotations

from tui.commands.command import Command
from tui.commands.reasons import no_result, nothing_runs

KEYS = (
    Command("methods_choose", "enter", "Enter", "Use",
            "Paint Tokens with this method", "choose",
            why_not=no_result),
    Command("methods_cancel", "x", "x", "Cancel",
            "Cancel what is running", "cancel",
            why_not=nothing_runs),
    Command("methods_yank", "y", "y", "",
            "Copy the readout", "yank",
            why_not=no_result),
    Command("methods_yank_all", "Y", "Y", "Yank",
            "Copy the rows as markdown", "yank_view",
            why_not=no_result),
    Command("methods_code", "c", "c", "",
            "Copy the lines that make them again", "code",
            why_not=no_result),
    Command("methods_export", "e", "e", "Export",
            "Write the rows to a file", "export",
            why_not=no_result),
    Command("methods_help", "question_mark,f1", "? F1", "Help",
            "These keys", "help"),
    Command("methods_leave", "q,escape,backspace,V", "q Esc Bksp", "Back",
            "Back to the panes", "leave", palette=False),
)  # fmt: skip
OPENER = (
    Command("methods", "V", "V", "Methods",
            "Every attribution of the prompt, row by row", lambda c: c.screens.open("methods"))
)  # fmt: skip
