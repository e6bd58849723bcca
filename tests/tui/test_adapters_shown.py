"""That a model has adapters is seen at every width, and that one can be switched off where that is asked."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from interpboard.engine import protocol
from interpboard.results import ModelInfo
from interpboard.results.info import AdapterInfo, LoadOptions
from interpboard.results.opened import opened_as
from tests.tui.conftest import Board
from tests.tui.fake import FakeEngine
from tui.app import InterpBoardApp
from tui.testing.wait_until_idle import wait_until_idle

FOLDERS = ("/far/away/in/a/long/path/polite", "/far/away/in/a/long/path/brief")


class WithAdapters(FakeEngine):
    state = "on"

    def event_of(self, request: Any) -> Any:
        event = super().event_of(request)
        if isinstance(event, protocol.Ready):
            options = LoadOptions(adapters=FOLDERS, adapter_state=self.state)
            own = tuple(map(AdapterInfo, FOLDERS))
            return replace(event, model=replace(event.model, adapters=own, options=options))
        return event


class Merged(WithAdapters):
    state = "merged"


@pytest.mark.parametrize(
    ("width", "words"),
    [
        (60, "demo +adapters │"),
        (80, "demo · adapter polite (on), adapter brief (on) │ logit"),
        (120, "demo · adapter polite (on), adapter brief (on) · cpu"),
    ],
)
async def test_the_first_line_says_that_there_are_adapters(width: int, words: str) -> None:
    app = InterpBoardApp(text="Why is it", engine_factory=WithAdapters)
    async with app.run_test(size=(width, 24)) as pilot:
        await wait_until_idle(app)
        assert words in Board(app, pilot).lines()[0]


@pytest.mark.parametrize(
    ("engine", "offered"), [(WithAdapters, True), (Merged, False), (FakeEngine, False)]
)
async def test_switching_it_off_is_an_example_where_one_is_at_work(
    engine: type[FakeEngine], offered: bool
) -> None:
    app = InterpBoardApp(text="Why is it", engine_factory=engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until_idle(app)
        b = Board(app, pilot)
        for keys in ("i", "a"):  # the list, and the line that is asked for
            await b.press(keys)
            assert ("adapter=off" in b.screen) == offered
            assert "2.5=zero" in b.screen
            assert "{places}" not in b.screen


def test_two_adapters_of_one_folder_name_are_told_apart() -> None:
    info = ModelInfo("m", None, "gpt2", 2, 2, "float32", "cpu")
    for names, said in (
        (("/a/last", "/b/last"), ("adapter /a/last (on)", "adapter /b/last (on)")),
        (("/a/one", "owner/two"), ("adapter one (on)", "adapter owner/two (on)")),
    ):
        own = replace(info, adapters=tuple(map(AdapterInfo, names)))
        assert opened_as(own) == said
