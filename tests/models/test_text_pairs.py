"""Two texts as one prompt: the model is given what it was trained on, segments and all."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from captum.attr import LayerGradientXActivation
from tokenizers import processors

from interpboard.analyze import analyze
from interpboard.attribution.grad_x_input import grad_x_input
from interpboard.circuits.heads.ablation import head_ablation
from interpboard.cli.main import main
from interpboard.errors import BadPrompt
from interpboard.models.language_model import LanguageModel
from interpboard.results import MetricRequest
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import make_prompt
from tests.classifiers import DECODERS, ENCODERS, labelled
from tests.tiny import save_tiny, tiny_tokenizer

FIRST, SECOND = "The Eiffel Tower is in Paris", "The city of John is old"
PAIR = f"{FIRST} ||| {SECOND}"


@cache
def tokenizer() -> Any:
    """The tiny one, with what BERT's puts around one text and two."""
    made = tiny_tokenizer().backend_tokenizer
    made.post_processor = processors.TemplateProcessing(
        single="! $A #", pair="! $A # $B:1 #:1",
        special_tokens=[("!", made.token_to_id("!")), ("#", made.token_to_id("#"))],
    )  # fmt: skip
    names = ["input_ids", "token_type_ids", "attention_mask"]
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=made, cls_token="!", sep_token="#", model_input_names=names
    )


@cache
def opened(family: str, dtype: torch.dtype = torch.float64) -> LanguageModel:
    return LanguageModel.of(labelled(ENCODERS[family], dtype), tokenizer(), family)


@pytest.mark.parametrize("family", ["bert", "electra", "roberta", "distilbert"])
def test_a_pair_gives_the_logits_of_the_tokenizers_own_pair(family: str) -> None:
    lm = opened(family)
    given = tokenizer()(FIRST, SECOND, return_tensors="pt")
    if family == "distilbert":  # it has no segments
        del given["token_type_ids"]
    logits = lm.model(**given).logits[0]
    prompt = make_prompt(lm, PAIR)
    assert list(prompt.token_ids) == given["input_ids"][0].tolist()
    metric = resolve_metric(lm, prompt, MetricRequest(target="POSITIVE"))
    assert metric.baseline == pytest.approx(float(logits[1]), rel=1e-9)
    texts = [PAIR[begin:end] for begin, end in prompt.spans]
    assert "".join(texts) == FIRST + SECOND


def test_the_second_segment_is_there_in_attribution_and_ablation() -> None:
    lm = opened("bert")
    prompt = make_prompt(lm, PAIR)
    metric = resolve_metric(lm, prompt, MetricRequest(target="POSITIVE"))
    given = tokenizer()(FIRST, SECOND, return_tensors="pt")

    def forward(ids: torch.Tensor) -> torch.Tensor:
        return lm.model(input_ids=ids, token_type_ids=given["token_type_ids"]).logits

    expected = LayerGradientXActivation(forward, lm.anatomy.embedding).attribute(
        given["input_ids"], target=1
    )
    found = grad_x_input(lm, prompt, metric).values
    np.testing.assert_allclose(found, expected[0].sum(-1).detach().numpy(), rtol=1e-4, atol=1e-6)

    def silenced(_module: Any, args: Any) -> Any:
        z = args[0].clone()
        z[..., : lm.anatomy.d_head[1]] = 0
        return (z,)

    handle = lm.anatomy.out_proj[1].register_forward_pre_hook(silenced)
    without = float(forward(given["input_ids"])[0, 1])
    handle.remove()
    effect = head_ablation(lm, prompt, metric).values[1, 0]
    assert effect == pytest.approx(without - metric.baseline, rel=1e-6)


def test_a_text_that_looks_like_a_pair_to_the_model_is_refused() -> None:
    with pytest.raises(BadPrompt, match="tells this model where a second text begins"):
        make_prompt(opened("bert"), f"{FIRST} # {SECOND}")


@pytest.mark.parametrize("text", ["a ||| b ||| c", "a ||| ", " ||| b", "a |||| b"])
def test_what_is_no_pair_is_refused_in_a_line(text: str) -> None:
    with pytest.raises(BadPrompt) as refused:
        make_prompt(opened("bert"), text)
    assert "\n" not in str(refused.value)


def test_a_pair_without_what_stands_around_it_is_refused() -> None:
    with pytest.raises(BadPrompt, match="around and between"):
        make_prompt(opened("bert"), PAIR, special_tokens=False)


def test_decoders_read_pairs_as_their_tokenizer_puts_them() -> None:
    lm = LanguageModel.of(labelled(DECODERS["llama"]), tokenizer(), "llama")
    ids = tokenizer()(FIRST, SECOND, return_tensors="pt").input_ids
    result = analyze(lm, PAIR, ["predictions"]).results[0]
    own = lm.model(input_ids=ids).logits[0].softmax(-1).max()
    assert result.values[0] == pytest.approx(float(own), rel=1e-9)


def test_a_language_model_is_given_no_pair(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_tiny(tmp_path)
    words = [
        "analyze",
        "-m",
        str(tmp_path),
        "-t",
        FIRST,
        "--text-pair",
        SECOND,
        "-a",
        "predictions",
    ]
    assert main(words) == 2
    assert "reads one text, and no pair" in capsys.readouterr().err


def test_the_command_line_takes_a_pair(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    opened("bert", torch.float32).model.save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    words = ["analyze", "-m", str(tmp_path), "-t", FIRST, "--text-pair", SECOND, "-a", "occlusion"]
    assert main(words) == 0
    assert "Tower" in capsys.readouterr().out
    assert main([*words, "--text-pair", ""]) == 2
    assert "second text of the pair is empty" in capsys.readouterr().err
