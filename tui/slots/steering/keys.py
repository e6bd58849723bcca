"""Keys of the screen of steering."""

from __future__ import annotations

from tui.commands.command import Command
from tui.commands.reasons import no_result, nothing_runs

KEYS = (
    Command("steering_direction", "enter,d", "Enter", "Vector",
            "Say what the vector points to, or which file has it", "direction"),
    Command("steering_add", "space", "Space", "Add",
            "Add the vector at this scale as an intervention, or remove it", "toggle_vector",
            why_not=no_result),
    Command("steering_layer_before", "left_square_bracket", "[", "Layer −",
            "Read and add it one layer before", "step_layer(-1)",
            why_not=no_result),
    Command("steering_layer_after", "right_square_bracket", "]", "Layer +",
            "Read and add it one layer after", "step_layer(1)",
            why_not=no_result),
    Command("steering_plot", "Z", "Z", "Plot",
            "Draw the effect against the scale on the whole screen", "plot",
            why_not=no_result),
    Command("steering_scroll_down", "J,ctrl+e", "J", "",
            "Scroll the texts down", "scroll_view(3)"),
    Command("steering_scroll_up", "K,ctrl+y", "K", "",
            "Scroll the texts up", "scroll_view(-3)"),
    Command("steering_cancel", "x", "x", "Cancel",
            "Cancel what is running", "cancel",
            why_not=nothing_runs),
    Command("steering_yank", "y", "y", "",
            "Copy the readout", "yank",
            why_not=no_result),
    Command("steering_yank_all", "Y", "Y", "",
            "Copy scales and texts as markdown", "yank_view",
            why_not=no_result),
    Command("steering_code", "c", "c", "",
            "Copy the lines that make them again", "code",
            why_not=no_result),
    Command("steering_export", "e", "e", "Export",
            "Write scales and texts to a file", "export",
            why_not=no_result),
    Command("steering_help", "question_mark,f1", "? F1", "Help",
            "These keys", "help"),
    Command("steering_leave", "q,escape,backspace,A", "q Esc Bksp", "Back",
            "Back to the panes", "leave", palette=False),
)  # fmt: skip
OPENER = (
    Command("steering", "A", "A", "Steering",
            "Add a vector to the stream: the metric and the text by scale",
            lambda c: c.screens.open("steering"))
)  # fmt: skip
