"""What has no room is refused in a line before it is begun, with a length that has; how much an analysis may
take is the user's to say."""

from __future__ import annotations

import mmap
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from interpboard.analyze import analyze
from interpboard.errors import Unaffordable
from interpboard.models import memory
from interpboard.patching import senders
from interpboard.patching.paths import path_patching
from interpboard.planning import counted_passes
from interpboard.runs.prompt import make_prompt
from interpboard.runs.record import record
from interpboard.runs.steps import bytes_of_a_layer
from tests.forks import program
from tests.lm import case, tiny_lm
from tests.patching.test_activation import CLEAN, CORRUPTED

CPU = torch.device("cpu")
WORDS = ["The", " city", " is", " on", " the", " river", " and", " of"] * 2
CASES: dict[str, dict[str, Any]] = {
    "attention": {"layers": [0], "heads": [0]},
    "attention_rollout": {},
    "value_weighted_rollout": {},
    "attention_flow": {},
    "head_ablation": {},
    "causal_trace": {"subject": " city"},
    "activation_patching": {"site": "pattern"},
    "neurons": {},
    "logit_lens": {},
    "token_losses": {},
    "integrated_gradients": {"n_steps": 2},
    "saliency": {},
    "smoothgrad": {"samples": 2},
    "noise_tunnel": {"samples": 2, "n_steps": 2},
    "lrp": {},
    "compare_attributions": {"methods": ["saliency", "lrp"]},
    "continuation_attribution": {"new_tokens": 1},
    "attribution_patching": {},
    "circuit": {"sizes": [4]},
    "knockout_grid": {"unit": "sentence"},
    "path_patching": {"receiver": "0.1.q,1.mlp"},
    "what_if": {"interventions": "0.1=zero; 1.mlp=mean"},
}
PATCHED = ("activation_patching", "attribution_patching", "circuit", "path_patching")


def _asked(name: str, text: str) -> Any:
    params = dict(CASES[name])
    if name in PATCHED:
        params["corrupted"] = text.replace("The city", "The of", 1)
    return analyze(tiny_lm(), text, (name,), params={name: params})


def _cut(length: int) -> str:
    """The words of so many tokens, or the most that are not more."""
    text = "".join(WORDS)
    while len(make_prompt(tiny_lm(), text).token_ids) > length:
        text = text[:-1]
    return text


@pytest.mark.parametrize("name", CASES)
def test_the_length_that_is_advised_has_room(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = "".join(WORDS)
    length = len(make_prompt(tiny_lm(), whole).token_ids)
    room = [1 << 10]  # from below: to be refused costs little
    monkeypatch.setattr(memory, "_free", lambda _device: room[0])
    refused = ""
    while True:
        try:
            _asked(name, whole)
        except Unaffordable as error:
            refused = str(error)
            room[0] *= 2
        else:
            break
    assert "\n" not in refused
    room[0] //= 2
    found = re.search(r"are free\. Shorten the prompts? to (\d+) tokens?\b", refused)
    assert found, refused
    assert 1 < int(found[1]) < length
    _asked(name, _cut(int(found[1])))


def test_what_is_too_large_for_a_pass_is_refused_before_any(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lm = tiny_lm()
    monkeypatch.setattr(memory, "_free", lambda _device: 1000)
    with counted_passes(lm, make_prompt(lm, "The city is")) as seen:
        for name in CASES:
            with pytest.raises(Unaffordable, match="are free"):
                analyze(lm, "The city is", (name,), params={name: CASES[name] | _needed(name)})
    assert seen[0] == 0


def test_a_comparison_asks_for_the_room_of_each_methods_own_defaults(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    room = [1 << 10]
    monkeypatch.setattr(memory, "_free", lambda _device: room[0])
    text = "The city is on the river"

    def refused(name: str, **params: Any) -> str | None:
        try:
            analyze(tiny_lm(), text, (name,), params={name: params})
        except Unaffordable as error:
            return error.message
        return None

    while refused("smoothgrad"):  # from below: to be refused costs little
        room[0] = room[0] * 10 // 9
    room[0] = room[0] * 9 // 10
    alone = refused("smoothgrad")
    assert not refused("smoothgrad", samples=1)
    assert refused("compare_attributions", methods=["smoothgrad"]) == f"smoothgrad: {alone}"


def _needed(name: str) -> dict[str, str]:
    return {"corrupted": "The river is"} if name in PATCHED else {}


def test_runs_that_share_a_pass_have_room_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    lm = tiny_lm()
    prompt = make_prompt(lm, "The city is on the river")
    length, rows = len(prompt.token_ids), 3
    a_pass = bytes_of_a_layer(lm, length)
    assert bytes_of_a_layer(lm, length, rows=rows) == rows * a_pass
    monkeypatch.setattr(memory, "_free", lambda _device: rows * a_pass)
    record(lm, prompt)
    with pytest.raises(Unaffordable, match=f"What is kept of {rows} runs"):
        record(lm, prompt, edits=((),) * rows)


def test_a_portion_is_no_more_than_its_part_of_what_is_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "_free", lambda _device: 800)
    assert memory.at_most_of_free(1000, CPU, 8) == 100
    assert memory.at_most_of_free(50, CPU, 8) == 50
    assert memory.most_numbers(1000, CPU, 8) == 25


def test_where_little_memory_is_free_fewer_senders_are_looked_at_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lm, prompt, metric = case("llama", torch.float64, text=CLEAN)
    options = {"corrupted": CORRUPTED, "receiver": "1.mlp,2.3.q"}
    sizes: list[int] = []
    portion = senders._portion

    def heard(*args: Any) -> Any:
        made = portion(*args)
        sizes.append(made.changes.nbytes)
        return made

    monkeypatch.setattr(senders, "_portion", heard)
    expected = path_patching(lm, prompt, metric, **options)
    whole, room = sum(sizes), 6 * max(sizes)
    sizes.clear()
    monkeypatch.setattr(memory, "_free", lambda _device: room)
    found = path_patching(lm, prompt, metric, **options)
    np.testing.assert_allclose(found.values, expected.values, atol=1e-9)
    assert max(sizes) <= room // 12
    assert sum(sizes) == whole


def test_an_analysis_takes_no_more_than_the_user_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_free", lambda _device: 1 << 40)
    assert memory.left_of_allowance(CPU) is None
    assert memory.free_memory(CPU) == 1 << 40
    held = [50 << 20]
    monkeypatch.setattr(memory, "_held", lambda _device: held[0])
    monkeypatch.setenv("INTERPBOARD_MEMORY_MIB", "256")
    memory.begin_allowance(CPU)
    assert memory.free_memory(CPU) == 256 << 20
    held[0] += 128 << 20
    assert memory.free_memory(CPU) == 128 << 20
    with pytest.raises(
        Unaffordable, match=r"200 MiB, and 128 MiB may be taken \(memory_mib\). Do less"
    ):
        memory.require_room(CPU, 200 << 20, "It", "Do less.")
    with pytest.raises(Unaffordable, match=r"\(memory_mib\). Raise memory_mib\.$"):
        memory.require_room_for_tokens(CPU, lambda n: n << 30, 2, "It")
    with pytest.raises(Unaffordable, match=r"Shorten the prompt to \d+ tokens, or raise m"):
        memory.require_room_for_tokens(CPU, lambda n: n << 20, 200, "It")
    memory.begin_allowance(CPU)  # of the next analysis: what is held by then is not its own
    assert memory.free_memory(CPU) == 256 << 20
    held[0] -= 100 << 20
    assert memory.free_memory(CPU) == 256 << 20


def test_what_a_process_takes_is_counted_against_what_it_may_take() -> None:
    ended = subprocess.run(
        program("tests.little_memory", "allowed", "256"),
        capture_output=True, text=True, timeout=200, check=True,
    )  # fmt: skip
    before, behind = map(int, ended.stdout.split())
    assert before - behind == pytest.approx(128 << 20, rel=0.1)


def test_pages_of_files_that_are_read_for_the_first_time_are_not_what_an_analysis_takes() -> None:
    libraries = Path(torch.__file__).parent.glob("lib/*.so*")
    library = max(libraries, key=lambda file: file.stat().st_size)
    with library.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    with mapped, memory.peak_memory(CPU) as peak:
        held = torch.ones(32 << 18)
        assert {mapped[page] for page in range(0, 96 << 20, mmap.PAGESIZE)}
        del held
    if peak.above is not None:
        assert peak.above == pytest.approx(32 << 20, rel=0.2)


def test_what_torch_keeps_of_a_gpu_and_does_not_use_is_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (100, 1000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _device: 700)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _device: 300)
    assert memory.free_memory(torch.device("cuda:0")) == 500
