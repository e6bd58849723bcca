"""Training a tuned lens takes what it is said to take; without room for a step it is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from interpboard.analyze import analyze
from interpboard.circuits.lens import training
from interpboard.circuits.lens.training import TrainingSettings, tune_lens
from interpboard.errors import Unaffordable
from interpboard.models import memory
from interpboard.planning import counted_passes, plan
from tests.alive import Alive
from tests.lm import TEXT, case, tiny_lm


def _text(folder: Path) -> Path:
    path = folder / "text.txt"
    path.write_text(f"{TEXT} Paris.\n" * 40, encoding="utf-8")
    return path


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("few", [False, True], ids=["the window", "a position"])
def test_a_step_takes_what_it_is_said_to(
    family: str, few: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = tiny_lm(family)
    if few:  # beside which two more tensors as large as the translators, Adam's, would be above all
        monkeypatch.setitem(training._LOGITS_A_STEP, "cpu", lm.anatomy.n_logits)
    with Alive() as alive:
        tune_lens(
            lm, _text(tmp_path), tmp_path / "lens", TrainingSettings(steps=2, batch=1, length=4)
        )
    said = training.bytes_of_a_training_step(lm, 4)
    assert alive.most <= said <= 2 * alive.most


def test_without_room_for_a_step_nothing_is_run_or_written_and_what_is_advised_has_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm, prompt, _ = case("gpt2")
    out = tmp_path / "lens"
    params = {"corpus": str(_text(tmp_path)), "out": str(out), "steps": 2, "batch": 3, "length": 12}
    free = [training.bytes_of_a_training_step(lm, 36) - 1]
    monkeypatch.setattr(memory, "_free", lambda _device: free[0])
    with counted_passes(lm, prompt) as seen:
        for ask in (analyze, plan):
            with pytest.raises(Unaffordable, match=r"step on 36 tokens is .* are free") as refused:
                ask(lm, prompt.text, ("tune_lens",), params={"tune_lens": params})  # type: ignore[operator]
        with pytest.raises(Unaffordable, match="step on 36 tokens"):
            tune_lens(lm, _text(tmp_path), out, TrainingSettings(steps=2, batch=3, length=12))
    assert seen[0] == 0
    assert not out.exists()
    found = re.search(r"Shorten a step \(batch × length\) to (\d+) tokens, or", str(refused.value))
    assert found
    assert 12 <= int(found[1]) < 36
    tune_lens(lm, _text(tmp_path), out, TrainingSettings(steps=1, batch=1, length=int(found[1])))
    free[0] = training.bytes_of_a_training_step(lm, 1) - 1
    with pytest.raises(Unaffordable, match=r"are free\. Use a device with more memory\.$"):
        tune_lens(lm, _text(tmp_path), tmp_path / "other", TrainingSettings(batch=2))
