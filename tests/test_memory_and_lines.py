"""Memory that runs out is named whatever analysis it was; an error's line is short whatever it quotes."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from interpboard.analyze import analyze
from interpboard.errors import BadTarget, InterpBoardError, OutOfMemory, bounded
from interpboard.models import allocator
from interpboard.models.language_model import open_model
from interpboard.registry import ANALYSES
from interpboard.registry.spec import Analysis
from interpboard.results import MetricRequest
from tests.classifiers import choosing
from tests.lm import tiny_lm

REQUIRED = {
    "corrupted": "The city is on",
    "subject": " city",
    "interventions": "0.3=zero",
    "choices": "a\nb",
}
SAID: list[BaseException] = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("MPS backend out of memory"),
    RuntimeError("could not create a primitive"),
    MemoryError("Unable to allocate 1.00 TiB for an array"),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
]


@pytest.mark.parametrize("error", SAID, ids=lambda error: str(error)[:20])
@pytest.mark.parametrize("name", ["logit_lens", "attention_flow", "head_ablation"])
def test_memory_that_runs_out_is_named_with_what_to_do(
    name: str, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fails_with(monkeypatch, error)
    with pytest.raises(OutOfMemory, match=f"The analysis {name} does not fit in memory. Shorten"):
        analyze(tiny_lm(), "The city is of", (name,))


@pytest.mark.parametrize("name", ANALYSES)
def test_it_is_known_of_every_analysis(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _fails_with(monkeypatch, SAID[1])
    params = {name: {key: REQUIRED[key] for key in ANALYSES[name].required}}
    lm = choosing() if ANALYSES[name].own_target else tiny_lm()
    with pytest.raises(OutOfMemory, match="does not fit in memory"):
        analyze(lm, "The city is of", (name,), params=params)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("shapes differ"),
        OSError(errno.EACCES, "no"),
        RuntimeError("could not create a primitive descriptor for a matmul primitive"),
    ],
)
def test_another_error_stays_what_it_is(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    _fails_with(monkeypatch, error)
    with pytest.raises(type(error), match=re.escape(str(error))):
        analyze(tiny_lm(), "The city is of", ("logit_lens",))


def _fails_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def function(*_args: Any, **_options: Any) -> None:
        raise error

    monkeypatch.setattr(Analysis, "load", lambda _self: function)


@pytest.mark.parametrize(
    "message",
    [
        f"The target '{'a' * 100_000}' is no token.",
        "The target " + "'a' " * 50_000 + "is 50000 tokens.",
        f'There is no model "{"x/" * 5000}".',
        "é" * 10_000,
    ],
)
def test_a_line_is_short_and_the_whole_is_kept_beside_it(message: str) -> None:
    error = InterpBoardError(message, "Name one, e.g. ' Paris'.")
    assert len(str(error)) < 1600
    assert "…" in str(error)
    assert str(error).endswith("Name one, e.g. ' Paris'.")
    assert error.message == message


def test_a_quoted_text_is_cut_behind_80_characters_and_what_stands_around_it_stays() -> None:
    line = bounded(f"The target '{'a' * 100}' is 3 tokens, not {'b' * 90}.")
    assert line == f"The target '{'a' * 80}…' is 3 tokens, not {'b' * 90}."
    assert bounded("It's fine. It isn't.") == "It's fine. It isn't."


def test_a_target_of_100_000_characters_is_refused_in_a_short_line() -> None:
    with pytest.raises(BadTarget) as refused:
        analyze(tiny_lm(), "The city", ("predictions",), MetricRequest(target="ab " * 33_000))
    assert len(str(refused.value)) < 1600


def test_kernels_of_few_shapes_are_kept_unless_somebody_set_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("LRU_CACHE_CAPACITY", raising=False)
    monkeypatch.setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "7")
    allocator.keep_few_kernels()
    assert os.environ["LRU_CACHE_CAPACITY"] == str(allocator.KERNELS_KEPT)
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "7"


def test_a_model_is_opened_with_huge_pages_asked_for_unless_somebody_said_otherwise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("THP_MEM_ALLOC_ENABLE", raising=False)
    with pytest.raises(InterpBoardError):
        open_model(tmp_path / "nothing")  # before any weights are there
    assert os.environ["THP_MEM_ALLOC_ENABLE"] == "1"
    monkeypatch.setenv("THP_MEM_ALLOC_ENABLE", "0")
    allocator.ask_for_huge_pages()
    assert os.environ["THP_MEM_ALLOC_ENABLE"] == "0"


_LARGE_TENSOR = """
from interpboard.models.allocator import ask_for_huge_pages
import torch
ask_for_huge_pages()
tensor, at = torch.ones(4 << 20), None
for line in open("/proc/self/smaps"):
    words = line.split()
    if "-" in words[0] and not words[0].endswith(":"):
        begin, end = (int(part, 16) for part in words[0].split("-"))
        at = begin <= tensor.data_ptr() < end
    if at and words[0] == "VmFlags:":
        print("hg" in words)
"""


@pytest.mark.skipif(
    not Path("/sys/kernel/mm/transparent_hugepage").exists(), reason="no huge pages here"
)
def test_torch_takes_large_tensors_from_huge_pages_when_it_is_asked_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the kernel's flags of the mapping that it lies in: only who asks for huge pages has this one."""
    monkeypatch.delenv("THP_MEM_ALLOC_ENABLE", raising=False)
    code = [sys.executable, "-c", _LARGE_TENSOR]
    done = subprocess.run(code, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"]
