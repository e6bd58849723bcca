"""A job that was stopped goes on where it was: every analysis whose cells are kept, on a tiny model."""

from __future__ import annotations

import dataclasses
import json
import tracemalloc
import zlib
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import torch
from msgspec.structs import astuple, replace

from interpboard.analyze import BegunAnalysis, begin
from interpboard.errors import Cancelled
from interpboard.registry import ANALYSES
from interpboard.reproduce import command_line, python_lines
from interpboard.results import (
    Cells,
    Document,
    LabelledArray,
    MetricRequest,
    Result,
    pack,
    unpack,
)
from interpboard.runs import kept
from interpboard.runs.kept import KeptCells, checksum
from interpboard.runs.watch import Watch
from tests.alive import Alive
from tests.classifiers import choosing
from tests.lm import TEXT, tiny_lm
from tests.mixtures import mixture
from tests.schema import validator

CORRUPTED = TEXT.replace("Eiffel", "Paris")
NEEDED: dict[str, dict[str, Any]] = {
    "activation_patching": {"corrupted": CORRUPTED, "preview": True},
    "attention_knockout": {"unit": "word", "queries": "later"},
    "choice_ablation": {"choices": ["in Rome.", "by the sea is a house", "red"]},
    "causal_trace": {"subject": [1, 2], "samples": 3},
    "context_cite": {"unit": "word", "samples": 12},
    "critical_components": {"budget": 6},
    "head_ablation": {"preview": True},
    "head_pairs": {"top_k": 3},
    "patching_confidence": {
        "corrupted": CORRUPTED,
        "pairs": f"{CORRUPTED} => {TEXT}",
        "resamples": 20,
    },
    "knockout_grid": {"unit": "word"},
    "path_patching": {"corrupted": CORRUPTED},
    "shapley": {"samples": 2},
    "unit_attribution": {"unit": "word"},
    "what_if": {"interventions": "0.0=zero; 0.1=zero; 1.mlp=mean; 2.3=mean"},
}
# The same product may round another way where its operands lie at other addresses.
ROUNDING = {"rtol": 1e-5, "atol": 1e-6}
KEPT = [name for name, analysis in ANALYSES.items() if analysis.cells]


def begun(name: str, **request: Any) -> BegunAnalysis:
    own = {"text": TEXT, "params": NEEDED.get(name, {}), **request}
    models = {"expert_ablation": partial(mixture, "mixtral"), "choice_ablation": choosing}
    lm = models.get(name, tiny_lm)()
    return begin(lm, own["text"], name, MetricRequest(), own["params"])


class Stopper:
    """Stops once so many cells are computed; counts them, and keeps what was shown last."""

    def __init__(
        self, job: BegunAnalysis, cells: Cells | None = None, most: float = np.inf
    ) -> None:
        self.kept = KeptCells(job.fingerprint, cells)
        self.before, self.most = len(self.kept), most
        self.shown: LabelledArray | None = None
        self.watch = Watch(self._see, self._enough, kept=self.kept)

    def _see(self, _done: int, _total: int, shown: LabelledArray | None) -> None:
        self.shown = shown if shown is not None else self.shown

    def _enough(self) -> bool:
        return len(self.kept) - self.before >= self.most

    @property
    def computed(self) -> int:
        return len(self.kept) - self.before


@dataclasses.dataclass
class Stopped:
    """A job that was run to its end, and once more until it had three cells."""

    job: BegunAnalysis
    whole: Stopper
    expected: Result
    first: Stopper


@cache
def stopped(name: str) -> Stopped:
    job = begun(name)
    whole = Stopper(job)
    expected = job.run(whole.watch)
    first = Stopper(job, most=3)
    with pytest.raises(Cancelled):
        job.run(first.watch)
    return Stopped(job, whole, expected, first)


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """One prompt a step, so that there is something to stop between."""
    monkeypatch.setattr("interpboard.runs.steps.TOKENS_A_STEP", {"cpu": (1, 12)})


def same(one: Result, other: Result) -> None:
    np.testing.assert_allclose(one.values, other.values, **ROUNDING)
    assert one.extra.keys() == other.extra.keys()
    for name, array in one.extra.items():
        if array.values.dtype != object:
            np.testing.assert_allclose(array.values, other.extra[name].values, **ROUNDING)
    assert one.partial is None
    assert other.partial is None


@pytest.mark.parametrize("name", KEPT)
def test_stopped_and_gone_on_with_it_gives_the_same_and_computes_each_cell_once(
    name: str, small_steps: None
) -> None:
    begun_once = stopped(name)
    job, first, whole = begun_once.job, begun_once.first, begun_once.whole
    assert 3 <= first.computed < whole.computed
    again = Stopper(begun(name), first.kept.cells)
    same(job.run(again.watch), begun_once.expected)
    assert first.computed + again.computed == whole.computed


@pytest.mark.parametrize("name", KEPT)
def test_what_was_shown_when_it_stopped_is_exact_where_it_is_said_to_be(
    name: str, small_steps: None
) -> None:
    begun_once = stopped(name)
    job, expected, first = begun_once.job, begun_once.expected, begun_once.first
    total = 1000
    partial = job.nothing_yet.so_far(first.shown, first.kept.cells, total, ANALYSES[name].cells)
    assert partial.partial is not None
    assert (partial.metric, partial.baseline) == (expected.metric, expected.baseline)
    assert partial.warnings[0].startswith(f"partial: {partial.partial} are computed")
    if partial.axes != expected.axes:  # a list that grows, or nothing to show yet
        lists = {
            "context_cite",
            "critical_components",
            "shapley",
            "head_pairs",
            "what_if",
            "patching_confidence",
        }
        assert name in lists
        return
    known = ~np.isnan(partial.values)
    np.testing.assert_allclose(partial.values[known], expected.values[known], **ROUNDING)
    assert 0 < known.sum() < expected.values.size
    assert len(partial.top(1000)) == known.sum()


def test_nothing_is_taken_over_from_another_prompt_metric_parameter_or_model() -> None:
    job = begun("head_ablation")
    others = [
        begun("head_ablation", text=TEXT + " the"),
        begun("head_ablation", params={"preview": True, "ablation": "mean"}),
        begin(tiny_lm(), TEXT, "head_ablation", MetricRequest("prob"), {"preview": True}),
        begin(tiny_lm("llama"), TEXT, "head_ablation", MetricRequest(), {"preview": True}),
    ]
    known = Stopper(job)
    job.run(known.watch)
    for other in others:
        again = Stopper(other, known.kept.cells)
        other.run(again.watch)
        assert again.before == 0
        assert again.computed > 0


def test_where_the_decoders_strip_begins_is_part_of_what_was_asked() -> None:
    """A text may hold the tokens that end a source: the same tokens are then two prompts."""
    job = begun("head_ablation")
    other = dataclasses.replace(job, prompt=replace(job.prompt, border=3))
    assert other.prompt.token_ids == job.prompt.token_ids
    assert other.fingerprint != job.fingerprint


def test_a_file_that_a_parameter_names_is_part_of_what_was_asked(tmp_path: Any) -> None:
    file = tmp_path / "texts.txt"
    file.write_text("one")
    asked = {"references": str(file)}
    before = begun("head_ablation", params=asked).fingerprint
    assert begun("head_ablation", params=asked).fingerprint == before
    file.write_text("another")
    assert begun("head_ablation", params=asked).fingerprint != before


def test_a_value_that_is_no_number_is_kept_as_what_was_computed() -> None:
    cells = Cells("r", np.array([0, 2]), np.array([5, 6]), np.array([np.nan, 1.0]))
    kept = KeptCells("r", cells)
    assert len(kept) == 2
    assert np.isnan(kept.cells.values[0])


@pytest.mark.parametrize("name", KEPT)
def test_a_partial_result_says_that_it_is_one_in_every_form(name: str, small_steps: None) -> None:
    job, first = stopped(name).job, stopped(name).first
    result = job.nothing_yet.so_far(first.shown, first.kept.cells, 77, ANALYSES[name].cells)
    said = str(result.partial)
    document = Document(model=job.lm.info, prompt=job.prompt, results=(result,))
    for item in (result, document):
        for text in (repr(item), item.to_text(), item.to_markdown(), item.to_csv(), item.to_html()):
            assert said in text
    assert said in python_lines(document, MetricRequest())
    assert said in command_line(document, MetricRequest())
    if result.axes:
        assert said in result.plot().get_suptitle().replace("\n", " ")
        assert said in str(result.plot_interactive().layout.title.text).replace("<br>", " ")
    validator().validate(json.loads(document.to_json()))
    again = Document.from_json(document.to_json()).results[0].partial
    assert again is not None
    assert result.partial is not None
    assert str(again) == said
    for cells in (again.cells, unpack(pack(result), Result).partial.cells):  # type: ignore[union-attr]
        for own, saved in zip(astuple(first.kept.cells), astuple(cells), strict=True):
            np.testing.assert_array_equal(saved, own)  # gone on with in the tests above
        assert Stopper(begun(name), cells).before == first.computed


def test_a_checksum_is_of_all_values_and_holds_few_of_them_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = torch.randn(100, 1000, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(kept, "_LOOKED_AT", 999)
    for each in (values, values.T, values[:1].expand(100, 1000)):
        assert checksum(each) == zlib.crc32(each.double().contiguous().numpy().tobytes())
    tracemalloc.start()
    with Alive() as alive:
        checksum(values)
    bytes_held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert alive.most < 8 * 999 * 4
    assert bytes_held < values.nbytes
