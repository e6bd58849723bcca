"""Looking for garbage among all that lives keeps no key waiting."""

from __future__ import annotations

import asyncio
import gc

import pytest

from tui.terminal.garbage import QuietCollector


async def test_all_that_lives_is_looked_through_only_once_nobody_types(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[str] = []
    monkeypatch.setattr(gc, "collect", lambda: looked.append("all"))
    monkeypatch.setattr(gc, "get_count", lambda: (0, 0, 10))
    monkeypatch.setattr("tui.terminal.garbage.QUIET_S", 3600.0)
    collector = QuietCollector()
    collector.pressed()
    await asyncio.sleep(0)
    assert looked == []
    monkeypatch.setattr("tui.terminal.garbage.QUIET_S", 0.0)
    quiet = QuietCollector()
    quiet.pressed()
    async with asyncio.timeout(5):
        while not looked:
            await asyncio.sleep(0)
    monkeypatch.setattr(gc, "get_count", lambda: (0, 0, 9))
    quiet.pressed()
    await asyncio.sleep(0)
    assert looked == ["all"], "too little has come since"
