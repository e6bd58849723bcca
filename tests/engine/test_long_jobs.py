"""Jobs that leave a file, over the real pipe: they tell how far they are, stop, and go on."""

from __future__ import annotations

import random
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interpboard.engine import protocol
from interpboard.engine.client import EngineClient
from interpboard.models.demo.corpus import training_texts
from interpboard.results.examples import ExamplesFile
from tests.engine.conftest import Recorder

on_one_loop = pytest.mark.asyncio(loop_scope="module")
# More than are done before a cancel is heard, half a second in.
STEPS, TEXTS = 4000, 80


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.txt"
    texts = [document.text for document in islice(training_texts(random.Random(1)), TEXTS)]
    path.write_text("\n".join(texts), encoding="utf-8")
    return path


async def stopped_midway(
    engine: EngineClient, recorder: Recorder, analysis: str, params: dict[str, Any]
) -> protocol.Progress:
    """Run until it tells how far it is, then cancel it."""
    engine.run("job", analysis, "a", params=params)
    await recorder.until("job", protocol.Progress, 5)
    engine.cancel("job")
    await recorder.until("job", protocol.Stopped)
    last: protocol.Progress = recorder.of("job", protocol.Progress)[-1]
    return last


@on_one_loop
async def test_a_lens_is_trained_stopped_gone_on_with_and_read(
    engine: EngineClient, recorder: Recorder, corpus: Path, tmp_path: Path
) -> None:
    out = tmp_path / "lens"
    params = {"corpus": str(corpus), "out": str(out), "steps": STEPS, "batch": 1, "length": 8}
    last = await stopped_midway(engine, recorder, "tune_lens", params)
    assert 0 < last.done < last.total == STEPS
    told = [e.partial for e in recorder.of("job", protocol.Progress) if e.partial is not None]
    assert told
    assert told[-1].axes[0].labels == ("embed", "0", "1")
    assert not (out / "params.safetensors").exists()
    engine.run("job", "tune_lens", "a", params=params)
    again = await recorder.until(
        "job", protocol.Progress, len(recorder.of("job", protocol.Progress)) + 1
    )
    assert again.done >= last.done  # not from the start
    engine.cancel("job")
    await recorder.until("job", protocol.Stopped, 2)
    short = {**params, "steps": 3, "out": str(tmp_path / "short")}
    engine.run("job", "tune_lens", "a", params=short)
    finished = await recorder.until("job", protocol.Finished)
    assert np.isfinite(finished.result.values).all()
    engine.run("lens", "tuned_lens", "a", params={"translators": str(tmp_path / "short")})
    read = await recorder.until("lens", protocol.Finished)
    assert read.result.analysis == "tuned_lens"


@on_one_loop
async def test_examples_are_collected_stopped_gone_on_with_and_read(
    engine: EngineClient, recorder: Recorder, corpus: Path, tmp_path: Path
) -> None:
    out = tmp_path / "seen.safetensors"
    params = {"corpus": str(corpus), "out": str(out), "top_k": 2, "length": 8, "batch": 1}
    last = await stopped_midway(engine, recorder, "max_activating", params)
    assert 0 < last.done < last.total == corpus.stat().st_size
    kept = ExamplesFile(out)
    assert not kept.finished
    assert kept.info.tokens > 0
    engine.run("job", "max_activating", "a", params=params)
    await recorder.until("job", protocol.Finished)
    resumed = recorder.of("job", protocol.Progress)
    assert min(event.done for event in resumed[resumed.index(last) + 1 :]) >= last.done
    whole = {**params, "out": str(tmp_path / "whole.safetensors")}
    engine.run("job", "max_activating", "a", params=whole)
    await recorder.until("job", protocol.Finished, 2)
    both = [event.result.values for event in recorder.of("job", protocol.Finished)]
    np.testing.assert_array_equal(*both)
    assert ExamplesFile(out).finished


@on_one_loop
@pytest.mark.parametrize("analysis", ["tune_lens", "max_activating"])
async def test_bad_paths_fail_in_one_line(
    engine: EngineClient, recorder: Recorder, corpus: Path, tmp_path: Path, analysis: str
) -> None:
    engine.run("job", analysis, "a", params={"corpus": "/nowhere", "out": str(tmp_path / "o")})
    engine_said = [await recorder.until("job", protocol.Failed)]
    bad = {"corpus": str(corpus), "out": str(corpus / "o"), "length": 8}
    engine.run("job", analysis, "a", params=bad)
    engine_said.append(await recorder.until("job", protocol.Failed, 2))
    for failed in engine_said:
        assert failed.kind == "bad_parameter"
        assert "\n" not in failed.message
