"""Models whose head gives labels: opened as what they are, and their numbers are the model's own."""

from __future__ import annotations

import csv
import io
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from captum.attr import FeatureAblation, LayerGradientXActivation

from interpboard import open_model
from interpboard.analyze import analyze
from interpboard.attribution.grad_x_input import grad_x_input
from interpboard.attribution.occlusion import occlusion
from interpboard.circuits.heads.ablation import head_ablation
from interpboard.circuits.lens.logit import logit_lens
from interpboard.cli.main import main
from interpboard.errors import (
    BadPosition,
    BadPrompt,
    InterpBoardError,
    NotALanguageModel,
    Unsupported,
)
from interpboard.models.language_model import LanguageModel
from interpboard.patching.activation import activation_patching
from interpboard.results import MetricRequest, PromptInfo
from interpboard.runs.metrics import Metric, resolve_metric
from interpboard.runs.prompt import input_ids, make_prompt
from interpboard.visualization.export import csv_text
from interpboard.visualization.terminal import PageStyle
from interpboard.visualization.terminal import explained as metric_words
from tests.classifiers import DECODERS, SEQUENCE, TOKENS, classifier, labelled
from tests.lm import fingerprint
from tests.model_types.small import small_model
from tests.tiny import tiny_tokenizer

TEXT = "The Eiffel Tower is in the city of Paris"
EACH = pytest.mark.parametrize("family", SEQUENCE)
# In float64 nothing hides behind rounding; in float32 faster kernels compute.
FORMATS = pytest.mark.parametrize(
    ("family", "dtype"),
    [
        *((each, torch.float64) for each in SEQUENCE),
        *((each, torch.float32) for each in ("bert", "gpt2", "llama")),
    ],
    ids=str,
)
NEAR = {"rtol": 1e-4, "atol": 1e-5}


def case(
    family: str, dtype: torch.dtype = torch.float64, **request: Any
) -> tuple[LanguageModel, PromptInfo, Metric]:
    lm = classifier(family, dtype)
    prompt = make_prompt(lm, TEXT)
    return lm, prompt, resolve_metric(lm, prompt, MetricRequest(**request))


def of(model: Any) -> LanguageModel:
    return LanguageModel.of(model, tiny_tokenizer(), "tiny")


def explained(lm: LanguageModel, text: str = TEXT, **request: Any) -> Metric:
    return resolve_metric(lm, make_prompt(lm, text), MetricRequest(**request))


@FORMATS
def test_attribution_to_a_label_is_captums(family: str, dtype: torch.dtype) -> None:
    lm, prompt, metric = case(family, dtype, target="POSITIVE")
    ids = input_ids(lm, prompt)

    def forward(given: torch.Tensor) -> torch.Tensor:
        return torch.cat([lm.model(input_ids=row[None].long()).logits for row in given])

    assert metric.baseline == pytest.approx(float(forward(ids)[0, 1]), rel=1e-5)
    product = LayerGradientXActivation(forward, lm.anatomy.embedding).attribute(ids, target=1)
    found = grad_x_input(lm, prompt, metric).values
    np.testing.assert_allclose(found, product[0].sum(-1).detach().numpy(), **NEAR)
    with torch.no_grad():
        stand_in = int(ids[0, 3])
        without = FeatureAblation(forward).attribute(ids, baselines=stand_in, target=1)
    text = prompt.tokens[3]
    found = occlusion(lm, prompt, metric, baseline="text", baseline_text=text).values
    np.testing.assert_allclose(found, without[0].numpy(), **NEAR)


@FORMATS
def test_heads_and_patching_are_those_of_plain_hooked_forwards(
    family: str, dtype: torch.dtype
) -> None:
    lm, prompt, metric = case(family, dtype, name="logit_diff", target="#2", foil="NEGATIVE")
    other = make_prompt(lm, TEXT.replace("Tower", "Eiffel"))
    assert len(other.token_ids) == len(prompt.token_ids)

    @torch.no_grad()
    def difference(module: Any, act: Any) -> float:
        handle = module.register_forward_pre_hook(lambda _m, args: (act(args[0]), *args[1:]))
        try:
            logits = lm.model(input_ids=input_ids(lm, prompt), use_cache=False).logits[0].double()
        finally:
            handle.remove()
        return float(logits[2] - logits[0])

    width = lm.anatomy.d_head[0]
    grid = head_ablation(lm, prompt, metric).values
    expected = np.empty_like(grid)
    for layer, out_proj in enumerate(lm.anatomy.out_proj):
        for head in range(lm.anatomy.n_heads):
            part = slice(head * width, (head + 1) * width)

            def silenced(z: torch.Tensor, part: slice = part) -> torch.Tensor:
                z = z.clone()
                z[..., part] = 0
                return z

            expected[layer, head] = difference(out_proj, silenced) - metric.baseline
    np.testing.assert_allclose(grid, expected, **NEAR)

    found = activation_patching(lm, prompt, metric, corrupted=other.text, site="resid_pre")
    streams: list[torch.Tensor] = []
    handle = lm.anatomy.layers[1].register_forward_pre_hook(
        lambda _m, args, kwargs: streams.append(args[0] if args else kwargs["hidden_states"]),
        with_kwargs=True,
    )
    with torch.no_grad():
        lm.model(input_ids=input_ids(lm, prompt), use_cache=False)
        away = lm.model(input_ids=input_ids(lm, other), use_cache=False).logits[0].double()
    handle.remove()
    assert float(found.extra["corrupted"].values) == pytest.approx(
        float(away[2] - away[0]), rel=1e-4
    )

    def put(stream: torch.Tensor) -> torch.Tensor:
        stream = stream.clone()
        stream[0, 3] = streams[0][0, 3]
        return stream

    prompt = other
    expected_one = difference(lm.anatomy.layers[1], put)
    assert float(found.extra["metric"].values[1, 3]) == pytest.approx(expected_one, rel=1e-4)


@EACH
def test_what_a_classifier_is_stands_in_every_result(family: str) -> None:
    lm = classifier(family)
    document = analyze(lm, TEXT, ["predictions"])
    result = document.results[0]
    assert document.model.label_names == ("NEGATIVE", "POSITIVE", "mixed feelings")
    assert document.model.problem == "one"
    assert "predicts no tokens" in " ".join(document.model.notes)
    assert set(result.extra["tokens"].values) == set(document.model.label_names)
    own = lm.model(input_ids=input_ids(lm, document.prompt)).logits[0].softmax(-1)
    np.testing.assert_allclose(result.values, own.sort(descending=True).values.detach().numpy())


@EACH
def test_the_lens_is_the_head_on_earlier_streams_and_ends_with_the_models_answer(
    family: str,
) -> None:
    lm, prompt, metric = case(family, target="mixed feelings")
    if family == "modernbert_mean":
        with pytest.raises(Unsupported, match="mean over all tokens"):
            logit_lens(lm, prompt, metric)
        return
    found = logit_lens(lm, prompt, metric)
    own = lm.model(input_ids=input_ids(lm, prompt)).logits[0].softmax(-1)
    assert found.values[-1, metric.info.position] == pytest.approx(float(own[2]), rel=1e-9)


def test_of_a_head_that_reads_the_mean_no_token_is_said_to_be_explained() -> None:
    for family, said in (("modernbert_mean", False), ("bert", True)):
        document = analyze(classifier(family), TEXT, ["occlusion"])
        text = metric_words(document.results[0], document.prompt, PageStyle(100))
        assert ("at position" in text) is said
        assert ("read from all tokens at once" in text) is not said
        rows = list(csv.DictReader(io.StringIO(csv_text(document))))
        assert all(bool(row["position"]) is said for row in rows)


def test_the_token_read_is_the_last_that_is_no_padding() -> None:
    tokenizer = tiny_tokenizer()
    pad = tokenizer(" the", add_special_tokens=False).input_ids
    assert len(pad) == 1
    lm = of(labelled(DECODERS["gpt2"], pad_token_id=pad[0]))
    metric = explained(lm, "The city of the the")
    assert metric.info.position == len(make_prompt(lm, "The city of").token_ids) - 1
    other = {"corrupted": "The city of of of"}
    with pytest.raises(BadPrompt, match="ends in the padding token"):
        analyze(
            lm,
            "The city of the the",
            ["activation_patching"],
            params={"activation_patching": other},
        )
    logits = lm.model(input_ids=input_ids(lm, make_prompt(lm, "The city of the the"))).logits
    assert metric.baseline == pytest.approx(float(logits[0, metric.target_id]), rel=1e-9)


@pytest.mark.parametrize("family", ["gpt2", "bert"])
def test_a_position_that_the_head_does_not_read_is_refused(family: str) -> None:
    lm, _, metric = case(family)
    assert explained(lm, position=metric.info.position).baseline == metric.baseline
    with pytest.raises(BadPosition, match=f"its head reads position {metric.info.position}"):
        explained(lm, position=2)


@pytest.mark.parametrize("family", TOKENS)
def test_a_token_classifier_gives_each_token_its_label(family: str) -> None:
    lm = of(labelled(TOKENS[family]))
    logits = lm.model(input_ids=input_ids(lm, make_prompt(lm, TEXT))).logits[0]
    for position in (1, 4, -1):
        metric = explained(lm, position=position, target="POSITIVE", name="prob")
        assert metric.baseline == pytest.approx(float(logits[position].softmax(-1)[1]), rel=1e-9)


def test_a_reward_is_the_sum_of_what_layers_write_for_it() -> None:
    lm = of(labelled(DECODERS["llama"], num_labels=1))
    result = analyze(lm, TEXT, ["direct_logit_attribution"]).results[0]
    assert result.metric.name == "value"
    assert float(result.values.sum()) == pytest.approx(float(result.baseline or 0), rel=1e-6)


def test_a_head_that_reads_several_tokens_otherwise_is_refused() -> None:
    class OddForSequenceClassification(tf.GPT2ForSequenceClassification):
        def forward(self, input_ids: Any = None, **kwargs: Any) -> Any:
            out = super().forward(input_ids=input_ids, **kwargs)
            other = (
                super().forward(input_ids=input_ids[:, :-1], **kwargs)
                if len(input_ids[0]) > 1
                else out
            )
            out.logits = out.logits + other.logits
            return out

    model = labelled(lambda **_: OddForSequenceClassification(classifier("gpt2").model.config))
    with pytest.raises(NotALanguageModel, match="neither one token nor their mean"):
        of(model)


@pytest.mark.parametrize(
    ("analysis", "params"),
    [
        ("continuation_attribution", {}),
        ("token_losses", {}),
    ],
)
@pytest.mark.parametrize("family", ["gpt2", "bert"])
def test_what_needs_tokens_says_so_in_a_line(
    family: str, analysis: str, params: dict[str, Any]
) -> None:
    lm = classifier(family)
    before = fingerprint(lm)
    with pytest.raises(Unsupported, match="this one gives labels"):
        analyze(lm, TEXT, [analysis], params={analysis: params})
    assert fingerprint(lm) == before


def test_a_steered_classifier_writes_no_text() -> None:
    params = {"positive": "Paris\nThe city", "negative": "John\nMary"}
    result = analyze(classifier("gpt2"), TEXT, ["steering"], params={"steering": params}).results[0]
    assert set(result.extra["text"].values) == {""}
    assert np.abs(result.values).max() > 0


@pytest.mark.parametrize("family", ["llama", "bert"])
def test_a_saved_classifier_opens_and_is_explained_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], family: str
) -> None:
    classifier(family, torch.float32).model.save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    lm = open_model(str(tmp_path), device="cpu", dtype="float32")
    assert lm.info.label_names == ("NEGATIVE", "POSITIVE", "mixed feelings")
    words = [
        "analyze",
        "--model",
        str(tmp_path),
        "--text",
        TEXT,
        "-a",
        "occlusion",
        "-a",
        "predictions",
    ]
    assert main([*words, "--target", "POSITIVE", "--foil", "NEGATIVE"]) == 0
    shown = capsys.readouterr().out
    assert "POSITIVE against NEGATIVE" in shown
    assert "ext token" not in shown
    assert main([*words, "--target", " Paris"]) == 2
    assert "is no label of this model" in capsys.readouterr().err


def test_no_raw_error_leaves_any_analysis() -> None:
    from interpboard.registry import ANALYSES

    lm = classifier("bert", torch.float32)
    for name, known in ANALYSES.items():
        options = dict.fromkeys(known.required, "x")
        with suppress(InterpBoardError):
            analyze(lm, TEXT, [name], params={name: options})


def test_a_body_in_no_list_is_a_decoder_if_it_looks_at_nothing_later() -> None:
    """As mistral4, which transformers lists among models of images."""
    model = small_model(tf.Mistral4ForSequenceClassification, decoder=False)
    lm = LanguageModel.of(model, tiny_tokenizer(), "mistral4")
    assert lm.verified.causal
    assert {"resid_pre", "resid_post", "mlp_out"} <= lm.verified.sites


def test_a_body_that_cannot_be_tried_is_refused_by_its_proof() -> None:
    model = small_model(tf.CanineForSequenceClassification, decoder=False)
    with pytest.raises(NotALanguageModel, match="not built like a language model"):
        LanguageModel.of(model, tiny_tokenizer(), "canine")
