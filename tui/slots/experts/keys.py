"""Keys of the screen of experts."""

from __future__ import annotations

from tui.commands.command import Command
from tui.commands.reasons import no_model, no_result, nothing_runs

KEYS = (
    Command("experts_toggle", "space", "Space", "Off/on",
            "Switch the expert under the cursor off, or on again", "toggle_expert",
            why_not=no_result),
    Command("experts_token_before", "left_square_bracket", "[", "Token −",
            "The weights of the token before", "step_token(-1)",
            why_not=no_result),
    Command("experts_token_after", "right_square_bracket", "]", "Token +",
            "The weights of the next token", "step_token(1)",
            why_not=no_result),
    Command("experts_cancel", "x", "x", "Cancel",
            "Cancel what is running", "cancel",
            why_not=nothing_runs),
    Command("experts_yank", "y", "y", "",
            "Copy the readout", "yank",
            why_not=no_result),
    Command("experts_yank_all", "Y", "Y", "",
            "Copy the weights as markdown", "yank_view",
            why_not=no_result),
    Command("experts_code", "c", "c", "",
            "Copy the lines that make them again", "code",
            why_not=no_result),
    Command("experts_export", "e", "e", "Export",
            "Write the weights to a file", "export",
            why_not=no_result),
    Command("experts_help", "question_mark,f1", "? F1", "Help",
            "These keys", "help"),
    Command("experts_leave", "q,escape,backspace", "q Esc Bksp", "Back",
            "Back to the panes", "leave", palette=False),
)  # fmt: skip
OPENER = (
    Command("experts", "", "", "Experts",
            "Which experts of a mixture each token goes to; switch one off",
            lambda c: c.screens.open("experts"),
            why_not=no_model)
)  # fmt: skip
