"""The lines that the project promises run as they stand, with a folder called ``gpt2`` for a model.

The folder holds a random model of GPT-2's shape, 12 layers of 12 heads, or the demo, which has fewer:
then lines that name what it lacks fail in one line that says what it has.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

from interpboard import LanguageModel, open_model
from interpboard.cli.main import main
from interpboard.dashboards import AblationDashboard, AttributionDashboard, create_unified_dashboard
from interpboard.errors import BadParameter
from interpboard.models import demo

DASHBOARDS = """
from interpboard.dashboards import create_unified_dashboard
attribution_dashboard, ablation_dashboard = create_unified_dashboard("gpt2")
text = "The Eiffel Tower is located in Paris, France."
"""
ATTRIBUTION = """
attribution_result = attribution_dashboard.analyze(text, methods=["integrated_gradients", "attention_rollout"], visualize=True, save_html=True)
"""  # noqa: E501
ABLATION = """
ablation_result = ablation_dashboard.analyze(text, analyses=["patching", "logit_lens", "head_ablation"], visualize=True)
"""  # noqa: E501
LOAD = """
from interpboard import load_model_and_tokenizer
model, tokenizer = load_model_and_tokenizer("gpt2")
"""
GRADIENTS = """
from interpboard.attribution import GradientAttributor, AttributionVisualizer
attributor = GradientAttributor(model, tokenizer)
result = attributor.integrated_gradients("The capital of France is Paris.")
visualizer = AttributionVisualizer()
visualizer.plot_token_heatmap(result, title="Token Attribution")
"""
PARTS = """
from interpboard.circuits import AttentionHeadAblator, CircuitAnalyzer
"""
CIRCUITS = """
analyzer = CircuitAnalyzer(model, tokenizer)
circuits = analyzer.discover_circuits(dataset=["The capital of France is", "The president of USA is"], target_behavior="country_capital")
"""  # noqa: E501
TRACE = """
from interpboard.patching import CausalTracer
with CausalTracer(model, tokenizer) as tracer:
    result = tracer.trace_causal_effect(text="The Eiffel Tower is located in", subject_tokens=["Eiffel", "Tower"], target_token_position=-1)
    print(f"Restoration effect: {result.restoration_effect}")
"""  # noqa: E501
HEADS = """
with AttentionHeadAblator(model, tokenizer) as ablator:
    results = ablator.systematic_head_ablation("The cat sat on the mat.", layers=[8, 9, 10, 11], heads=list(range(12)))
    critical_heads = ablator.find_critical_heads(results)
"""  # noqa: E501
COMPARE = """
ablation.compare_ablations(prompt="The Eiffel Tower is located in", strategies=["zero", "mean", "random"], components=[(8, 4), (9, 2), (10, 1)])
"""  # noqa: E501

Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def random_gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds ``gpt2``: 12 layers, 12 heads, random."""
    folder = tmp_path_factory.mktemp("wide")
    tokenizer = AutoTokenizer.from_pretrained(demo.DEMO_FOLDER)
    torch.manual_seed(0)
    sizes = {"n_embd": 48, "n_layer": 12, "n_head": 12, "n_positions": 64}
    model = GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), **sizes))
    model.save_pretrained(folder / "gpt2")
    tokenizer.save_pretrained(folder / "gpt2")
    return folder


@pytest.fixture
def run(random_gpt2: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs lines one after the other, where ``gpt2`` is the random model, or the demo."""

    def run_lines(*lines: str, model: str = "random", **names: Any) -> dict[str, Any]:
        (tmp_path / "gpt2").symlink_to(
            demo.DEMO_FOLDER if model == "demo" else random_gpt2 / "gpt2"
        )
        monkeypatch.chdir(tmp_path)
        for text in lines:
            exec(compile(text, "promised", "exec"), names)
        return names

    return run_lines


@pytest.mark.parametrize(("model", "shape"), [("random", (12, 12)), ("demo", (4, 8))])
def test_the_ablation_dashboard(
    run: Run, model: str, shape: tuple[int, int], capsys: pytest.CaptureFixture[str]
) -> None:
    names = run(DASHBOARDS, ABLATION, model=model)
    found = names["ablation_result"]
    assert [r.analysis for r in found.results] == ["causal_trace", "logit_lens", "head_ablation"]
    assert "every token was drowned in noise" in found.results[0].warnings[0]
    assert found.result("head_ablation").values.shape == shape
    assert "Head ablation" in capsys.readouterr().out


@pytest.mark.parametrize("model", ["random", "demo"])
def test_the_attribution_dashboard(
    run: Run, model: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    names = run(DASHBOARDS, ATTRIBUTION, model=model)
    found = names["attribution_result"]
    assert [r.analysis for r in found.results] == ["integrated_gradients", "attention_rollout"]
    assert "Attention rollout" in capsys.readouterr().out
    assert len(list(tmp_path.glob("*.html"))) == 1


@pytest.mark.parametrize("model", ["random", "demo"])
def test_gradients_and_their_figure(run: Run, model: str) -> None:
    names = run(LOAD, GRADIENTS, model=model)
    assert names["result"].analysis == "integrated_gradients"
    assert names["result"].values.shape == (len(names["result"].axes[0].labels),)


@pytest.mark.parametrize("model", ["random", "demo"])
def test_circuits(run: Run, model: str) -> None:
    names = run(LOAD, PARTS, CIRCUITS, model=model)
    assert names["circuits"].analysis == "circuit"
    assert len(names["circuits"].extra) > 0


@pytest.mark.parametrize(("model", "layers"), [("random", 12), ("demo", 4)])
def test_causal_tracing(
    run: Run, model: str, layers: int, capsys: pytest.CaptureFixture[str]
) -> None:
    names = run(LOAD, TRACE, model=model)
    effects = names["result"].restoration_effect
    assert effects.shape[0] == layers
    assert np.isfinite(effects).all()
    assert capsys.readouterr().out.startswith("Restoration effect: [[")


def test_head_ablation(run: Run) -> None:
    names = run(LOAD, PARTS, HEADS)
    assert names["results"].values.shape == (4, 12)
    assert [head.effect for head in names["critical_heads"]] == sorted(
        names["results"].values[names["results"].values < 0]
    )[:5]


@pytest.mark.parametrize("holder", ["dashboard", "ablator"])
def test_comparing_ablations(run: Run, holder: str) -> None:
    if holder == "dashboard":
        before = (DASHBOARDS, "ablation = ablation_dashboard")
    else:
        before = (LOAD, PARTS, "ablation = AttentionHeadAblator(model, tokenizer)")
    names = run(*before, f"found = {COMPARE.strip()}")
    assert names["found"].values.shape == (3, 3)
    assert names["found"].axes[0].labels == ("L8 H4", "L9 H2", "L10 H1")


@pytest.mark.parametrize(
    ("lines", "has"),
    [
        ((LOAD, PARTS, HEADS), "It has layers 0 to 3."),
        ((DASHBOARDS, "ablation = ablation_dashboard", COMPARE), "layers 0 to 3 of heads 0 to 7"),
    ],
)
def test_what_the_demo_lacks_is_one_line_that_says_what_it_has(
    run: Run, lines: tuple[str, ...], has: str
) -> None:
    with pytest.raises(BadParameter) as refused:
        run(*lines, model="demo")
    assert has in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_command_line(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run(model="demo")
    assert main(["analyze", "--model", "gpt2", "--text", "Your text here"]) == 0
    assert "Head ablation" in capsys.readouterr().out


@pytest.fixture(scope="module")
def lm() -> LanguageModel:
    return open_model("demo", device="cpu")


@pytest.fixture
def dashboards(lm: LanguageModel) -> tuple[AttributionDashboard, AblationDashboard]:
    return create_unified_dashboard(lm)


TEXT = "The capital of France is"
Both = tuple[AttributionDashboard, AblationDashboard]


def test_both_dashboards_hold_one_model(dashboards: Both) -> None:
    assert dashboards[0].lm is dashboards[1].lm


def test_a_report_goes_where_it_is_told_or_to_a_file_that_is_not_taken(
    dashboards: Both, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    attribution, _ = dashboards
    taken = tmp_path / "interpboard-demo-attribution.html"
    taken.write_text("mine")
    attribution.analyze(TEXT, save_html=True)
    assert taken.read_text() == "mine"
    assert attribution.html_path is not None
    assert attribution.html_path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    attribution.analyze(TEXT, save_html=tmp_path / "here.html")
    assert (tmp_path / "here.html").exists()


def test_the_export_folder_of_the_settings_is_used(
    dashboards: Both, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERPBOARD_EXPORT_FOLDER", str(tmp_path))
    dashboards[0].analyze(TEXT, save_html=True)
    assert (tmp_path / "interpboard-demo-attribution.html").exists()


def test_patching_is_activation_patching_with_a_corrupted_prompt(dashboards: Both) -> None:
    found = dashboards[1].analyze(TEXT, ["patching"], corrupted="The capital of Italy is")
    assert [result.analysis for result in found.results] == ["activation_patching"]
    assert found.results[0].params["corrupted"] == "The capital of Italy is"


def test_patching_is_a_causal_trace_with_a_subject(dashboards: Both) -> None:
    params = {"causal_trace": {"samples": 2}}
    found = dashboards[1].analyze(TEXT, ["patching"], subject="France", params=params)
    assert found.results[0].params["subject"] == [3]
    assert found.results[0].params["samples"] == 2
    assert found.results[0].warnings == ()


@pytest.mark.parametrize(
    ("ask", "complaint"),
    [
        ({"analyses": ["pathcing"]}, "Did you mean"),
        ({"analyses": ["causal_trace"]}, "needs subject"),
        ({"params": {"predictions": {"top_k": 1}}}, "predictions, which is not among"),
        ({"params": {"logit_lens": {"topk": 1}}}, "no parameter 'topk'"),
    ],
)
def test_a_wrong_ask_is_refused(dashboards: Both, ask: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadParameter, match=complaint):
        dashboards[1].analyze(TEXT, **ask)


def test_a_notebook_is_shown_the_document(
    dashboards: Both, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import sys
    import types

    shown: list[Any] = []
    kernel = types.SimpleNamespace(kernel=object())
    ipython = types.ModuleType("IPython")
    display = types.ModuleType("IPython.display")
    ipython.get_ipython = lambda: kernel  # type: ignore[attr-defined]
    display.display = shown.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    found = dashboards[0].analyze(TEXT, visualize=True)
    assert shown == [found]
    assert capsys.readouterr().out == ""
