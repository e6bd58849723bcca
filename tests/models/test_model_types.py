"""Types of models as transformers names them, built small by rules, against plain hooked forwards.

Some are named here, for what is special about them; further ones take turns by the number of commits. All of
them: ``make models``. One again: ``python -m tests.model_types causal --only NAME``.
"""

from __future__ import annotations

import subprocess
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from docs.hooks import models
from interpboard.attribution.occlusion import occlusion
from interpboard.circuits.discovery.edge_runs import proved_wiring
from interpboard.circuits.discovery.wiring import find_wiring
from interpboard.circuits.heads.ablation import head_ablation
from interpboard.errors import NotALanguageModel, Unsupported
from interpboard.models.checkpoint.computed_tables import check_computed
from interpboard.models.language_model import LanguageModel
from interpboard.patching.activation import activation_patching
from interpboard.results import MetricRequest
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import make_prompt
from tests.model_types.analyses import had
from tests.model_types.measure import CHECKED, agrees, row_of, types
from tests.model_types.small import small_model
from tests.model_types.truth import OTHER, TEXT
from tests.tiny import tiny_tokenizer

NAMED = {
    "bert": "post-norm, and nothing between the last layer and the head",
    "mamba": "no attention, and no MLP",
    "nemotron_h": "layers of one block: attention, state space, or MLP",
    "openai-gpt": "layers give lists",
    "zamba": "layers read the embedding again",
    "gemma3": "a text model within one of images",
    "emu3": "a class that is in no list of transformers, named by the configuration",
}
MASKED_NAMED = {
    "esmc": "what is added is scaled",
    "modernvbert": "a text model within one of images",
    "xmod": "adapters of languages, and a norm within attention",
    "fnet": "no attention",
}
TURNS = 1  # of the others, at each commit


def _turn(task: str, named: Collection[str]) -> list[str]:
    """Types whose turn it is: those that the table says agree, so many further at each commit."""
    table = models.read_types()["tasks"].get(task, {})
    having = [name for name in types(task) if agrees(table.get(name, {})) and name not in named]
    count = subprocess.run(
        ["git", "rev-list", "--count", "HEAD"],
        cwd=Path(__file__).parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    first = TURNS * int(count.stdout) if count.returncode == 0 else 0
    return [having[(first + i) % len(having)] for i in range(TURNS)] if having else []


@pytest.mark.parametrize("name", [*NAMED, *_turn("causal", NAMED)])
def test_a_type_of_model_gives_what_plain_forwards_give(name: str) -> None:
    row = row_of("causal", name)
    assert agrees(row), row


@pytest.mark.parametrize("name", [*MASKED_NAMED, *_turn("masked", MASKED_NAMED)[:1]])
def test_a_masked_type_of_model_gives_what_plain_forwards_give(name: str) -> None:
    row = row_of("masked", name)
    assert agrees(row), row


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("flaubert", "in lists of their own"),
        ("squeezebert", "no hook on them fires"),
        ("funnel", "keeps its layers in blocks"),
        ("perceiver", "does not say how many layers"),
        ("mra", "no other token matters"),
        ("neomme", "reads its tokens elsewhere"),
    ],
)
def test_a_masked_type_that_cannot_be_looked_into_is_refused_by_its_own_reason(
    name: str, reason: str
) -> None:
    assert reason in row_of("masked", name)["refused"]


@pytest.mark.parametrize("name", ["marian"])
def test_a_saved_encoder_decoder_opens_whatever_its_class_is_called(name: str) -> None:
    row = row_of("seq2seq", name)
    assert row.get("path"), row


def test_a_model_of_sound_is_refused_as_one() -> None:
    assert "reads sound" in row_of("seq2seq", "glmasr")["refused"]


def test_what_a_layer_makes_of_everything_in_one_sum_is_not_called_attention() -> None:
    row = row_of("masked", "mobilebert")
    assert agrees(row), row
    assert "z" in row["notes"][0]
    assert "cannot be told apart" in row["checks"]["ablation"]


def _opened(name: str) -> LanguageModel:
    from transformers import AutoConfig, AutoModelForCausalLM

    known = AutoModelForCausalLM._model_mapping[type(AutoConfig.for_model(name))]
    return LanguageModel.of(small_model(known, decoder=True), tiny_tokenizer(), name)


def test_layers_without_heads_are_nan_in_grids_of_heads_and_named() -> None:
    lm = _opened("jamba")
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest(name="logit"))
    for ablation in ("zero", "mean", "random"):
        grid = head_ablation(lm, prompt, metric, ablation=ablation)
        assert np.isnan(grid.values[[0, 2]]).all()
        assert (grid.values[[1, 3]] != 0).all()
        assert any("layers 0 and 2" in warning for warning in grid.warnings)
    for site in ("z", "pattern", "neuron"):
        patched = activation_patching(lm, prompt, metric, corrupted=OTHER, site=site)
        lacking = list(lm.verified.layers_without(site))
        assert np.isnan(patched.values[lacking]).all()
        others = [layer for layer in range(4) if layer not in lacking]
        assert np.isfinite(patched.values[others]).all()
        assert any(f"No {site} in layers" in warning for warning in patched.warnings)


def test_heads_of_a_model_without_attention_are_refused_with_the_reason() -> None:
    lm = _opened("mamba")
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest(name="logit"))
    with pytest.raises(Unsupported, match="no attention heads: MambaMixer"):
        head_ablation(lm, prompt, metric)
    with pytest.raises(Unsupported, match="no attention heads: MambaMixer"):
        activation_patching(lm, prompt, metric, corrupted=OTHER, site="z")


def test_layers_that_read_the_embedding_again_are_not_replayed() -> None:
    lm = _opened("zamba")
    assert lm.verified.path == "hooks"
    assert {"resid_pre", "resid_post"} <= lm.verified.sites


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("hrm_text", "times in one forward pass"),
        ("reformer", "fills prompts up"),
        ("longcat_flash", "attends several times over"),
        ("xlm", "in lists of their own"),
    ],
)
def test_a_model_that_cannot_be_looked_into_is_refused_by_its_own_reason(
    name: str, reason: str
) -> None:
    assert reason in row_of("causal", name)["refused"]


def test_the_page_names_the_transformers_that_was_measured_and_counts() -> None:
    told = models.table_of_types()
    measured = models.read_types()
    assert f"transformers {measured['transformers']}" in told
    for task, rows in measured["tasks"].items():
        built = sum("not built" not in row for row in rows.values())
        found = agrees if task in CHECKED else (lambda row: "path" in row)
        assert f"{sum(map(found, rows.values()))} of {built} types" in told
        assert all(f"`{name}`" in told for name in rows), task


def test_a_limit_of_infinity_is_no_damage() -> None:
    model = small_model(transformers.GPT2LMHeadModel, decoder=True)
    model.register_buffer("most", torch.tensor(torch.inf))
    LanguageModel.of(model, tiny_tokenizer(), "limited")


def test_a_table_that_no_file_holds_must_be_what_its_formula_gives() -> None:
    model = small_model(transformers.MarianMTModel, decoder=False)
    stacks = (model.model.encoder, model.model.decoder)
    with torch.no_grad():  # the small model's weights are enlarged, these too
        for stack in stacks:
            stack.embed_positions.weight.copy_(stack.embed_positions.create_weight())
    check_computed(model, (), "it")
    table = model.model.encoder.embed_positions
    with torch.no_grad():
        table.weight[3, 1] += 0.5
    with pytest.raises(NotALanguageModel, match="did not compute it"):
        check_computed(model, (), "it")
    check_computed(model, ("model.encoder.embed_positions.weight",), "it")


def test_a_masked_type_tells_which_analyses_it_has_and_why_not_the_others() -> None:
    model = small_model(types_class("masked", "convbert"), decoder=False)
    found = had(LanguageModel.of(model, tiny_tokenizer(), "small convbert"))
    lacking = {name for name, words in found.items() if words}
    assert lacking == {
        "patching q", "patching k", "patching v", "head scores", "circuits", "relevance",
    }  # fmt: skip
    assert "2 attention patterns, but gives 4 heads" in found["patching q"]


def test_post_norm_decoders_and_parallel_blocks_have_no_circuits_for_their_own_reasons() -> None:
    for name, reason in (("gptj", "parallel blocks"), ("openai-gpt", "post-norm")):
        model = small_model(types_class("causal", name), decoder=True)
        lm = LanguageModel.of(model, tiny_tokenizer(), f"small {name}")
        with pytest.raises(Unsupported, match=reason):
            find_wiring(lm)


@pytest.mark.parametrize("name", ["apertus", "ctrl", "mpt"])
def test_circuits_know_norms_and_maps_by_these_names(name: str) -> None:
    model = small_model(types_class("causal", name), decoder=True)
    wiring = proved_wiring(LanguageModel.of(model, tiny_tokenizer(), f"small {name}"))
    assert wiring.graph.edges.any()


def types_class(task: str, name: str) -> Any:
    return getattr(transformers, types(task)[name])


def test_an_embedding_under_two_names_is_the_one_that_is_run() -> None:
    model = small_model(transformers.T5ForTokenClassification, decoder=False)
    lm = LanguageModel.of(model, tiny_tokenizer(), "small t5")
    assert lm.anatomy.embedding is model.transformer.encoder.embed_tokens
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest("logit", target="#0"))
    result = occlusion(lm, prompt, metric)
    ids = torch.tensor([prompt.token_ids])
    embedded = model.transformer.shared(ids).detach()
    embedded[0, 2] = 0
    with torch.no_grad():
        logits = model(inputs_embeds=embedded).logits[0, metric.info.position]
    assert float(result.values[2]) == pytest.approx(metric.baseline - float(logits[0]), rel=1e-4)
