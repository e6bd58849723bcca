"""Work beside the keys: it is waited for, and a fault in it is told and written down."""

from __future__ import annotations

import asyncio

from interpboard.config import engine_log
from tui.controllers.background import BackgroundWork


async def test_what_begins_other_work_is_waited_for_with_it() -> None:
    said, done = list[tuple[str, str]](), list[int]()
    background = BackgroundWork(
        lambda message, severity="information": said.append((message, severity))
    )

    async def work(left: int) -> None:
        await asyncio.sleep(0)
        done.append(left)
        if left:
            background.begin(work(left - 1))

    background.begin(work(3))
    assert background
    await background.settled()
    assert done == [3, 2, 1, 0]
    assert not background
    assert not said


async def test_a_fault_is_one_line_and_a_traceback_in_the_log_and_the_other_work_goes_on() -> None:
    said, done = list[tuple[str, str]](), list[str]()
    background = BackgroundWork(
        lambda message, severity="information": said.append((message, severity))
    )

    async def breaks() -> None:
        raise ZeroDivisionError("of nobody's making")

    async def goes_on() -> None:
        await asyncio.sleep(0.01)
        done.append("the other")

    background.begin(breaks())
    background.begin(goes_on())
    await background.settled()
    await asyncio.sleep(0)
    ((message, severity),) = said
    assert message.startswith("ZeroDivisionError in the app: this is a fault of interpboard.")
    assert severity == "error"
    assert "\n" not in message
    assert "in breaks" in engine_log().read_text(encoding="utf-8")
    assert done == ["the other"]


async def test_what_is_cancelled_is_no_fault() -> None:
    said = list[str]()
    background = BackgroundWork(lambda message, severity="information": said.append(message))

    async def ends() -> None:
        raise asyncio.CancelledError

    background.begin(ends())
    await background.settled()
    await asyncio.sleep(0)
    assert not said
