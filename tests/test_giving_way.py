"""What is slow can be put off for what is quick: gone on with, it gives the same and repeats no work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interpboard import open_model
from interpboard.analyze import begin
from interpboard.models.language_model import LanguageModel
from interpboard.registry import ANALYSES
from interpboard.results import MetricRequest, Result
from interpboard.runs.kept import KeptCells
from interpboard.runs.watch import Postponed, Watch
from tests.classifiers import choosing
from tests.lm import TEXT, tiny_lm
from tests.mixtures import mixture
from tests.models.test_sentence_encoders import folder

pytestmark = pytest.mark.usefixtures("changed_on_purpose")  # layers are counted by hooks

CORRUPTED = TEXT.replace("Eiffel", "Paris")
SLOW = [
    name
    for name, known in ANALYSES.items()
    if (known.cost != "passes" or known.cost_of) and not known.insists
]
MANY: dict[str, dict[str, Any]] = {  # enough steps that beginning anew each time would show
    "activation_patching": {"corrupted": CORRUPTED},
    "attribution_patching": {"corrupted": CORRUPTED, "method": "ig", "n_steps": 12},
    "causal_trace": {"subject": "Eiffel Tower", "samples": 2},
    "circuit": {"corrupted": CORRUPTED, "search": "greedy", "sizes": "20,200", "n_steps": 8},
    "compare_attributions": {"methods": "integrated_gradients,occlusion,shapley,smoothgrad"},
    "context_cite": {"unit": "word", "samples": 24},
    "continuation_attribution": {"new_tokens": 2, "method": "integrated_gradients"},
    "edited_continuation": {"interventions": "1.mlp=zero", "new_tokens": 12},
    "max_activating": {"corpus": "corpus.txt", "batch": 2, "length": 12},
    "noise_tunnel": {"samples": 24, "of": "grad_x_input"},
    "patching_confidence": {"corrupted": CORRUPTED, "pairs": f"{CORRUPTED} => {TEXT}"},
    "path_patching": {"corrupted": CORRUPTED},
    "linear_probe": {"data": "rows.csv", "shuffles": 3},
    "probe_transfer": {"data": "rows.csv\nmore.csv"},
    "stream_cosine": {"data": "rows.csv"},
    "stream_pca": {"data": "rows.csv"},
    "token_losses": {"window": 4, "stride": 1},
    "smoothgrad": {"samples": 32},
    "steering": {"positive": "Paris is", "negative": "Rome is", "new_tokens": 12},
    "tune_lens": {"corpus": "corpus.txt", "steps": 12, "batch": 2, "length": 12},
    "choice_ablation": {"choices": " Paris\n a river"},
    "what_if": {"interventions": "0.0=zero; 0.1=zero; 0.2=mean; 0.3=mean; 0.mlp=zero; 1.mlp=mean"},
    "unit_attribution": {"unit": "word", "method": "shapley", "samples": 4},
}


def test_each_slow_analysis_gives_way_or_says_why_it_cannot() -> None:
    for name, known in ANALYSES.items():
        gives_way = bool(known.cells or known.gives_way)
        assert not (gives_way and known.insists), name
        assert gives_way or known.insists or known.cost == "passes", name


@contextmanager
def passes_counted(lm: LanguageModel) -> Iterator[list[float]]:
    """Forward passes of the prompt through the first layer, rows counted."""
    counted = [0.0]

    def hook(_module: Any, args: Any, kwargs: Any, _output: Any) -> None:
        hidden = args[0] if args else kwargs["hidden_states"]
        counted[0] += hidden.shape[0] * hidden.shape[1] / 10

    handle = lm.anatomy.layers[0].register_forward_hook(hook, with_kwargs=True)
    try:
        yield counted
    finally:
        handle.remove()


def model_for(name: str, place: Path) -> tuple[LanguageModel, MetricRequest]:
    """A model that the analysis can be asked of, and what it is asked."""
    if name == "expert_ablation":
        return mixture("mixtral"), MetricRequest()
    if ANALYSES[name].own_target:
        return choosing(), MetricRequest()
    if name == "similarity_pairs":
        lm = open_model(str(folder(place / "encoder")), device="cpu")
        return lm, MetricRequest(target="The keys are on the table")
    return tiny_lm(), MetricRequest()


def in_sittings(
    lm: LanguageModel, name: str, request: MetricRequest, params: dict[str, Any]
) -> tuple[Result, int]:
    """The result where each sitting is allowed one step more than the one before; and their number."""
    begun = begin(lm, TEXT, name, request, params)
    kept = KeptCells(begun.fingerprint)
    for sitting in count(1):
        asked = count()
        kept.begin()
        watch = Watch(kept=kept, gives_way=lambda: next(asked) >= sitting)  # noqa: B023 - this sitting's
        try:
            return begun.run(watch), sitting
        except Postponed:
            assert sitting < 1000
    raise AssertionError


@pytest.mark.parametrize("name", SLOW)
def test_put_off_again_and_again_it_ends_with_the_same_and_repeats_no_work(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERPBOARD_BATCH_TOKENS", "30")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpus.txt").write_text("The capital of Italy is Rome. The sky is blue.\n" * 12)
    for name_of_file, words in (("rows.csv", "city"), ("more.csv", "river")):
        rows = (f"The {words} {at},{at % 2}" for at in range(140))
        (tmp_path / name_of_file).write_text("\n".join(["text,label", *rows]))
    lm, request = model_for(name, tmp_path)
    whole, parts = dict(MANY.get(name, {})), dict(MANY.get(name, {}))
    if any(own.name == "out" for own in ANALYSES[name].parameters):
        whole["out"], parts["out"] = "whole.safetensors", "parts.safetensors"
    with passes_counted(lm) as undisturbed:
        expected = begin(lm, TEXT, name, request, whole).run(Watch())
    with passes_counted(lm) as disturbed:
        found, sittings = in_sittings(lm, name, request, parts)
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-5, atol=1e-6)
    for key, array in expected.extra.items():
        if array.values.dtype.kind == "f":
            np.testing.assert_allclose(
                found.extra[key].values, array.values, rtol=1e-4, atol=1e-5, err_msg=key
            )
        else:
            assert found.extra[key].values.tolist() == array.values.tolist(), key
    assert found.warnings == expected.warnings
    assert sittings > 2
    a_beginning = 6  # the clean run, the other prompt's, what is read from them
    assert disturbed[0] <= undisturbed[0] + sittings * a_beginning
