"""Running the app, as ``interpboard`` does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interpboard.config import Settings
from interpboard.registry.loading import NOTHING_ASKED, LoadOptions
from tui.app import InterpBoardApp
from tui.widgets.first_hint import first_start

if TYPE_CHECKING:
    from tui.files.prompt_file import PromptFile


def run(
    settings: Settings,
    text: str | None = None,
    dark: bool = True,
    resume: bool = False,
    prompts: PromptFile | None = None,
    session: str = "",
    load: LoadOptions = NOTHING_ASKED,
    chat: str = "",
    dataset: str = "",
) -> int:
    """Run the app; the exit code. ``session``: the one that is resumed; empty: the last results.

    ``chat``: the JSON of one, in place of a text. ``dataset``: rows, or the folder of a sweep.
    """
    hint = not resume and not session and first_start()
    app = InterpBoardApp(
        text,
        settings,
        dark,
        resume,
        prompts,
        session,
        load=load,
        hint=hint,
        chat=chat,
        dataset=dataset,
    )
    code = app.run(mouse=settings.mouse)
    return code if code is not None else app.return_code or 0
