"""What crosses between host and device: fetched from page-locked memory, and read once it has arrived."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from interpboard.models import crossing
from interpboard.models.crossing import MOST_PINNED, at_indices, back, to_device

CARD = torch.device("cuda:0")


class Told:
    """Stands for a tensor, and writes down what is done with it."""

    shape, dtype = (2,), torch.float32

    def __init__(self, name: str, device: torch.device, calls: list[str], nbytes: int = 8) -> None:
        self.name, self.device, self.calls, self.nbytes = name, device, calls, nbytes

    def pin_memory(self) -> Told:
        self.calls.append(f"lock {self.name}")
        return Told(f"locked {self.name}", self.device, self.calls, self.nbytes)

    def to(self, device: torch.device, non_blocking: bool = False) -> Told:
        self.calls.append(f"{'fetch' if non_blocking else 'wait for'} {self.name}")
        return Told(self.name, device, self.calls, self.nbytes)

    def copy_(self, value: Told, non_blocking: bool = False) -> Told:
        self.calls.append(f"{'ask for' if non_blocking else 'wait for'} {value.name}")
        self.name = value.name
        return self

    def clone(self) -> Told:
        self.calls.append(f"read {self.name}")
        return self


def test_the_device_fetches_from_page_locked_memory_and_the_host_goes_on() -> None:
    calls: list[str] = []
    to_device(Told("ids", crossing.HOST_DEVICE, calls), CARD)  # type: ignore[arg-type]
    assert calls == ["lock ids", "fetch locked ids"]


def test_what_is_large_or_comes_from_a_device_is_not_locked() -> None:
    calls: list[str] = []
    to_device(Told("much", crossing.HOST_DEVICE, calls, MOST_PINNED + 1), CARD)  # type: ignore[arg-type]
    to_device(Told("there", torch.device("cuda:1"), calls), CARD)  # type: ignore[arg-type]
    assert calls == ["wait for much", "wait for there"]


def test_all_is_asked_for_and_nothing_is_read_before_it_has_arrived(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[str] = []

    def home(_shape: Any, dtype: torch.dtype, pin_memory: bool) -> Told:
        assert pin_memory
        return Told("home", crossing.HOST_DEVICE, calls)

    def stream(device: torch.device) -> SimpleNamespace:
        return SimpleNamespace(synchronize=lambda: calls.append(f"wait for all of {device}"))

    cuda = SimpleNamespace(current_stream=stream)
    monkeypatch.setattr(crossing, "torch", SimpleNamespace(empty=home, cuda=cuda))
    back(Told("values", CARD, calls), Told("flags", CARD, calls))  # type: ignore[arg-type]
    assert calls == [
        "ask for values", "ask for flags", "wait for all of cuda:0", "read values", "read flags",
    ]  # fmt: skip


def test_on_a_cpu_nothing_is_copied() -> None:
    value = torch.arange(3.0)
    assert to_device(value, crossing.HOST_DEVICE) is value
    assert back(value, value) == (value, value)


@pytest.mark.parametrize("indices", [(), (0,), (2, 3), (0, 1, 2, 3), (3, 1), (0, 2), (-1,), (1, 1)])
def test_what_is_taken_is_what_the_index_names(indices: tuple[int, ...]) -> None:
    value = torch.arange(8.0).reshape(4, 2)
    expected = value[torch.tensor(indices, dtype=torch.long)]
    torch.testing.assert_close(at_indices(value, indices), expected, rtol=0, atol=0)


def test_an_index_beyond_the_end_is_refused_and_not_cut_off() -> None:
    with pytest.raises(IndexError):
        at_indices(torch.arange(4.0), (3, 4))
