"""Every analysis of the registry, run once on the demo model, leaves in every format that there is."""

from __future__ import annotations

import csv
import json
import re
from functools import lru_cache
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interpboard import LanguageModel, open_model
from interpboard.analyze import analyze
from interpboard.circuits.lens.translators import Translators
from interpboard.cli.options import Format
from interpboard.cli.output import document_as
from interpboard.config import Settings
from interpboard.errors import BadParameter
from interpboard.registry import ANALYSES
from interpboard.results import Document, MetricRequest, Result
from interpboard.visualization.circuit_page import DIAGRAMS
from interpboard.visualization.curves import curves_of
from tests.classifiers import choosing
from tests.html.test_page import words
from tests.mixtures import mixture
from tests.models.test_sentence_encoders import folder as sentence_encoder
from tests.schema import validator

TEXT, CORRUPTED = "The capital of France is", "The capital of Italy is"
# What an analysis cannot do without, and what makes it small.
REQUIRED = {
    "corrupted": CORRUPTED, "subject": "France", "interventions": "0.3=zero",
    "choices": " Paris\n a river",
}  # fmt: skip
NEEDED: dict[str, dict[str, Any]] = {
    "compare_attributions": {"methods": "grad_x_input,saliency"},
    "causal_trace": {"samples": 2},
    "circuit": {"corrupted": CORRUPTED, "sizes": "200"},
    "context_cite": {"unit": "word", "samples": 8},
    "attention_knockout": {"unit": "word"},
    "knockout_grid": {"unit": "word"},
    "continuation_attribution": {"new_tokens": 2},
    "edited_continuation": {"interventions": "1.mlp=zero", "new_tokens": 3},
    "critical_components": {"budget": 4},
    "head_scores": {"samples": 2},
    "integrated_gradients": {"n_steps": 4},
    "max_activating": {"corpus": "corpus.txt", "out": "seen.safetensors", "neuron": "1.7", "layers": "1"},
    "neurons": {"neuron": "1.7", "layers": "1"},
    "noise_tunnel": {"samples": 2, "n_steps": 2},
    "patching_confidence": {
        "pairs": f"{CORRUPTED} => {TEXT}", "resamples": 20,
    },
    "linear_probe": {"data": "rows.csv", "folds": 2, "shuffles": 2},
    "probe_transfer": {"data": "rows.csv\nmore.csv", "folds": 2},
    "stream_cosine": {"data": "rows.csv"},
    "stream_pca": {"data": "rows.csv", "components": 2},
    "steering": {"positive": "Paris is", "negative": "Rome is", "new_tokens": 2},
    "tune_lens": {"corpus": "corpus.txt", "out": "trained", "steps": 1, "batch": 1, "length": 8},
    "tuned_lens": {"translators": "translators"},
}  # fmt: skip


OF_MIXTURES = ("expert_routing", "expert_ablation", "expert_neurons")
OF_TWO_TEXTS = ("similarity_pairs",)
LABELLED = (("France", 1), ("Italy", 1), ("water", 0), ("time", 0))


@lru_cache(maxsize=1)
def demo() -> LanguageModel:
    return open_model("demo", device="cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus, and translators, for the analyses that read files."""
    made = tmp_path_factory.mktemp("files")
    (made / "corpus.txt").write_text("The capital of Italy is Rome. The sky is blue.\n" * 3)
    for name, behind in (("rows.csv", ""), ("more.csv", " of")):
        rows = (f"The capital of {at}{behind},{label}" for at, label in LABELLED)
        (made / name).write_text("\n".join(["text,label", *rows]))
    Translators.identity(demo()).save(made / "translators")
    return made


@pytest.fixture(scope="module")
def documents(folder: Path) -> dict[str, Document]:
    """Filled as the tests ask, so that each analysis runs once."""
    return {}


@pytest.fixture
def document(
    name: str, documents: dict[str, Document], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Document:
    monkeypatch.chdir(folder)
    if name not in documents:
        required = {key: REQUIRED[key] for key in ANALYSES[name].required}
        params = required | NEEDED.get(name, {})
        lm = mixture("mixtral") if name in OF_MIXTURES else demo()
        lm = choosing() if ANALYSES[name].own_target else lm
        asked = MetricRequest()
        if name in OF_TWO_TEXTS:
            place = folder / "encoder"
            lm = open_model(str(sentence_encoder(place)), device="cpu")
            asked = MetricRequest(target=CORRUPTED)
        documents[name] = analyze(lm, TEXT, (name,), asked, params={name: params})
    return documents[name]


@pytest.mark.parametrize("name", ANALYSES)
def test_what_is_read_back_is_what_was_computed(name: str, document: Document) -> None:
    result, again = document.results[0], Document.from_json(document.to_json())
    assert result.analysis == name
    known = [parameter.name for parameter in ANALYSES[name].parameters]
    assert [key for key in known if key in result.params] == list(result.params)
    assert again.to_json() == document.to_json()
    assert (again.model, again.prompt) == (document.model, document.prompt)
    _same(again.results[0], result)
    _same(Result.from_json(result.to_json()), result)


def _same(again: Result, result: Result) -> None:
    assert again.axes == result.axes
    assert (again.metric, again.made_by) == (result.metric, result.made_by)
    assert json.dumps(again.params) == json.dumps(result.params)
    arrays = [(again.values, result.values)]
    arrays += [(again.extra[key].values, array.values) for key, array in result.extra.items()]
    assert set(again.extra) == set(result.extra)
    for one, other in arrays:
        assert one.shape == other.shape
        if other.dtype == object:
            assert one.tolist() == other.tolist()
        else:
            finite = np.where(np.isfinite(other), other, np.nan)
            np.testing.assert_allclose(one.astype(np.float64), finite.astype(np.float64), rtol=1e-6)


def _has_lines(result: Result) -> bool:
    try:
        return bool(curves_of(result))
    except BadParameter:
        return False


@pytest.mark.parametrize("name", ANALYSES)
def test_every_form_of_the_command_line_holds_it_or_is_refused_by_name(
    name: str, document: Document
) -> None:
    shown = {}
    for form in Format:
        if form.value in DIAGRAMS and name != "circuit":
            with pytest.raises(BadParameter, match=f"drawn as {form.value}"):
                document_as(document, form, Settings(), to_file=True)
        elif form is Format.plot and not _has_lines(document.results[0]):
            with pytest.raises(BadParameter, match=rf"draw in: {re.escape(ANALYSES[name].title)}"):
                document_as(document, form, Settings(), to_file=True)
        else:
            shown[form] = document_as(document, form, Settings(), to_file=True)
    title, result = ANALYSES[name].title, document.results[0]
    assert title in shown[Format.text]
    assert f"## {title}" in shown[Format.md]
    assert title in words(shown[Format.html])
    saved = json.loads(shown[Format.json])
    assert saved == json.loads(document.to_json())
    validator().validate(saved)
    rows = [r for r in csv.DictReader(StringIO(shown[Format.csv])) if r["array"] == "values"]
    wanted = np.where(np.isfinite(result.values), result.values, np.nan).reshape(-1)
    np.testing.assert_allclose([float(row["value"] or "nan") for row in rows], wanted, rtol=1e-6)
    meaning = " ".join(result.meaning.split())
    for form in (Format.text, Format.html):
        said = words(shown[form]) if form is Format.html else " ".join(shown[form].split())
        assert meaning in said, form


@pytest.mark.parametrize("name", ANALYSES)
@pytest.mark.filterwarnings("error")
def test_it_is_drawn_and_shown_in_a_notebook(name: str, document: Document) -> None:
    result = document.results[0]
    figure = result.plot()
    figure.draw_without_rendering()
    ink, page = figure.get_tightbbox(), figure.get_size_inches()
    assert min(ink.xmin, ink.ymin) > -0.02
    assert max(ink.xmax - page[0], ink.ymax - page[1]) < 0.02
    assert result.plot_interactive().data
    assert repr(result).startswith(f"<{name} [")
    assert ANALYSES[name].title in result._repr_html_()
    assert len(result.top(3)) <= 3
