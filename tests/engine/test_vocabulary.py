"""The vocabulary and the pieces of a text come over the pipe, before analyses that wait."""

from __future__ import annotations

import pytest

from interpboard.engine import protocol
from interpboard.engine.client import EngineClient
from tests.engine.conftest import Recorder

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_strings_and_pieces_come_before_the_analyses_that_wait(
    engine: EngineClient, recorder: Recorder
) -> None:
    engine.run("heads", "slow", "The city", params={"steps": 5})
    engine.run("lens", "slow", "The city", params={"steps": 5})
    engine.split("pieces", " Tower and more")
    engine.vocabulary("vocabulary")
    strings = (await recorder.until("vocabulary", protocol.TokenStrings)).strings
    prompt = (await recorder.until("pieces", protocol.Tokens)).prompt
    assert not recorder.of("lens", protocol.Finished)
    assert [strings[token] for token in prompt.token_ids] == list(prompt.tokens)
    assert "".join(prompt.tokens) == " Tower and more"
    await recorder.until("lens", protocol.Finished)
    assert engine.idle.is_set()
    assert len(recorder.of("lens", protocol.Finished)) == 1


async def test_only_the_newest_text_is_answered(engine: EngineClient, recorder: Recorder) -> None:
    for text in (" a", " b", " city"):
        engine.split("pieces", text)
    found = await recorder.until("pieces", protocol.Tokens)
    await engine.idle.wait()
    assert recorder.of("pieces", protocol.Tokens) == [found]
    assert found.prompt.text == " city"
