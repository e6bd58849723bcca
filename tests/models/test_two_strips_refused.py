"""What an encoder–decoder is not asked: each refusal says what is wrong; nothing goes on without a word."""

from __future__ import annotations

import inspect
from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers as tf

from interpboard.analyze import analyze
from interpboard.circuits.heads.ablation import head_ablation
from interpboard.errors import BadParameter, BadPosition, BadPrompt, InterpBoardError, Unsupported
from interpboard.interventions.what_if import what_if
from interpboard.models.language_model import LanguageModel
from interpboard.models.unembedding import run_body
from interpboard.patching.activation import activation_patching
from interpboard.registry import ANALYSES
from interpboard.results import MetricRequest
from interpboard.runs.edits import Edit
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import input_ids, make_prompt
from interpboard.runs.record import record
from interpboard.runs.replay import evaluate
from interpboard.runs.strip_analyses import IN_STRIPS
from tests.lm import tiny_lm
from tests.strips import TEXT, strips_lm, strips_model
from tests.tiny import tiny_tokenizer


def test_source_and_prefix_are_given_apart_or_as_one_text() -> None:
    lm = strips_lm("t5")
    prompt = make_prompt(lm, "The Eiffel Tower is in", decoder_text="the city of")
    assert prompt == make_prompt(lm, TEXT)
    assert prompt.border == 5
    begin, end = prompt.spans[-1]
    assert prompt.text[begin:end] == " of"
    # What begins a target stands in front of its words, and has none.
    assert prompt.token_ids[5] == lm.model.config.decoder_start_token_id
    assert prompt.spans[5] == (27, 27)


def test_without_a_prefix_the_model_begins_its_answer() -> None:
    lm = strips_lm("bart")
    prompt = make_prompt(lm, "The Eiffel Tower")
    assert prompt.token_ids[prompt.border :] == (lm.model.config.decoder_start_token_id,)
    assert resolve_metric(lm, prompt, MetricRequest()).info.position == prompt.border


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a ||| b ||| c", "more than once"),
        ("a |||| b", "more than once"),
        (" ||| b", "source is empty"),
        ("a" * 80 + " ||| b", "The source has"),
        ("b ||| " + "a" * 80, "The prefix has"),
    ],
)
def test_a_prompt_that_is_not_one_of_each_is_refused(text: str, words: str) -> None:
    with pytest.raises(BadPrompt, match=words):
        make_prompt(strips_lm("bart"), text)


def test_bars_in_a_text_that_is_given_with_a_decoder_text_are_refused() -> None:
    with pytest.raises(BadPrompt, match="may hold"):
        make_prompt(strips_lm("t5"), "a ||| b", decoder_text="c")


def test_a_decoder_text_for_a_model_of_one_text_is_refused() -> None:
    with pytest.raises(BadPrompt, match="reads one text"):
        make_prompt(tiny_lm("gpt2"), "The Eiffel", decoder_text="Tower")


def test_a_position_of_the_source_predicts_nothing() -> None:
    lm = strips_lm("t5")
    with pytest.raises(BadPosition, match="in the source"):
        resolve_metric(lm, make_prompt(lm, TEXT), MetricRequest(position=2))


def test_prompts_whose_border_lies_elsewhere_are_not_laid_over_each_other() -> None:
    """As many tokens in all, and yet each position another's."""
    lm = strips_lm("t5")
    prompt = make_prompt(lm, "The Eiffel Tower is ||| the city of")
    other = "The Eiffel Tower is in ||| the city"
    assert len(make_prompt(lm, other).token_ids) == len(prompt.token_ids)
    metric = resolve_metric(lm, prompt, MetricRequest())
    with pytest.raises(BadPrompt, match="tokens of source and"):
        activation_patching(lm, prompt, metric, corrupted=other)
    with pytest.raises(BadPrompt, match="tokens of source and"):
        what_if(lm, prompt, metric, interventions="E0.0=patch", source=other)


def test_a_corrupted_source_alone_has_the_prompts_own_prefix() -> None:
    lm = strips_lm("t5")
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest())
    alone, both = (
        activation_patching(lm, prompt, metric, corrupted=text).values
        for text in ("The house Tower is in", "The house Tower is in ||| the city of")
    )
    np.testing.assert_allclose(alone, both, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("1.0", "of which stack"),
        ("E7.0", "no layer E7"),
        ("D0.mlp", "self-attention alone"),
        ("X0.resid@1", "no position 1"),
        ("E0.resid@7", "no position 7"),
        ("X0.9", "heads 0 to 1"),
    ],
)
def test_an_intervention_that_would_go_nowhere_is_refused(place: str, words: str) -> None:
    lm = strips_lm("t5")
    prompt = make_prompt(lm, TEXT)
    with pytest.raises(BadParameter, match=words):
        what_if(
            lm, prompt, resolve_metric(lm, prompt, MetricRequest()), interventions=f"{place}=zero"
        )


def test_a_stack_is_not_named_in_a_model_of_one() -> None:
    lm = tiny_lm("gpt2")
    prompt = make_prompt(lm, "The Eiffel Tower")
    with pytest.raises(BadParameter, match="one stack"):
        what_if(lm, prompt, resolve_metric(lm, prompt, MetricRequest()), interventions="E1.0=zero")


def test_a_mean_is_over_the_positions_that_a_layer_has() -> None:
    """Over all of both strips it would be one with zeros."""
    lm = strips_lm("bart")
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest())
    grid = head_ablation(lm, prompt, metric, ablation="mean").values
    for row, place in ((0, "E0"), (2, "D0"), (5, "X1")):
        one = what_if(lm, prompt, metric, interventions=f"{place}.1=mean").values
        assert grid[row, 1] == pytest.approx(one[1] - one[0], abs=1e-5)


def test_every_analysis_runs_or_says_why_not() -> None:
    lm = strips_lm("t5")
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest())
    for name, known in ANALYSES.items():
        if name in IN_STRIPS:
            continue
        function = known.load()
        parameters = inspect.signature(function).parameters.values()
        needed = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
        with pytest.raises(Unsupported, match="not available for an encoder–decoder: ") as told:
            function(lm, prompt, metric, **dict.fromkeys(needed, "x"))
        assert "\n" not in str(told.value)


def test_ids_of_one_text_are_refused_by_the_model_itself() -> None:
    lm = strips_lm("t5")
    with pytest.raises(Unsupported, match="given one text"):
        run_body(lm.anatomy, torch.tensor([[3, 4, 5]]))
    ids = input_ids(lm, make_prompt(lm, TEXT))
    assert int((ids >= 0).sum()) == 5


@pytest.mark.usefixtures("changed_on_purpose")
def test_an_encoder_that_nobody_edits_runs_once_for_all_hooked_rows() -> None:
    lm = strips_lm("bart")
    prompt = make_prompt(lm, TEXT)
    rows: list[int] = []
    handle = (
        lm.model.get_encoder()
        .layers[0]
        .register_forward_pre_hook(lambda _module, args: rows.append(len(args[0])))
    )
    try:
        metric = resolve_metric(lm, prompt, MetricRequest())
        run = record(lm, prompt)
        rows.clear()
        run = replace(run, lm=replace(lm, verified=replace(lm.verified, path="hooks")))
        evaluate(run, [(Edit("z", layer, "zero", 0),) for layer in (2, 3, 4)], metric)
        assert rows == [1]
        rows.clear()
        evaluate(run, [(Edit("z", layer, "zero", 0),) for layer in (0, 2, 3)], metric)
        assert rows == [3]
    finally:
        handle.remove()


@pytest.mark.parametrize(
    ("config", "model", "options"),
    [
        ("WhisperConfig", "WhisperForConditionalGeneration", {"num_mel_bins": 4}),
        ("Speech2TextConfig", "Speech2TextForConditionalGeneration", {"conv_channels": 8}),
        ("PegasusXConfig", "PegasusXForConditionalGeneration", {}),
        ("LEDConfig", "LEDForConditionalGeneration", {}),
    ],
)
def test_encoders_of_another_kind_are_refused_by_name(
    config: str, model: str, options: dict[str, int]
) -> None:
    small = {
        "vocab_size": 60, "d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 16,
        "decoder_ffn_dim": 16, "encoder_attention_heads": 2, "decoder_attention_heads": 2, "pad_token_id": 1,
        "bos_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 2, **options,
    }  # fmt: skip
    built = getattr(tf, model)(getattr(tf, config)(**small)).eval()
    with pytest.raises(InterpBoardError) as told:
        LanguageModel.of(built, tiny_tokenizer())
    assert model in str(told.value) or "Whisper" in str(told.value) or "LED" in str(told.value)


def test_an_encoder_that_pads_its_source_is_refused_as_one() -> None:
    config = tf.LEDConfig(
        vocab_size=60, d_model=16, encoder_layers=1, decoder_layers=1, encoder_ffn_dim=16,
        decoder_ffn_dim=16, encoder_attention_heads=2, decoder_attention_heads=2, attention_window=4,
    )  # fmt: skip
    with pytest.raises(InterpBoardError, match="pads a source of 7 tokens to 8 inside"):
        LanguageModel.of(tf.LEDForConditionalGeneration(config).eval(), tiny_tokenizer())


def test_an_attention_that_short_prompts_switch_says_so() -> None:
    (note,) = strips_lm("bigbird_pegasus", torch.float64).verified.notes
    assert "attention is original_full for prompts of every length, not block_sparse" in note


def test_two_vocabularies_are_refused() -> None:
    model = strips_model("marian")
    model.model.decoder.embed_tokens = torch.nn.Embedding(420, 16)
    with pytest.raises(InterpBoardError, match="different matrices"):
        LanguageModel.of(model.eval(), tiny_tokenizer())


def test_a_head_that_does_more_than_the_models_forward_shows_is_found_out() -> None:
    """A decoder that scales what it is given only where ids are given would be another model."""
    model = strips_model("t5")
    own = model.decoder.forward

    def other(*args: object, **kwargs: object) -> object:
        out = own(*args, **kwargs)
        if kwargs.get("return_dict"):
            out.last_hidden_state = out.last_hidden_state * 1.01
        return out

    model.decoder.forward = other
    with pytest.raises(InterpBoardError, match="do not give its own logits"):
        LanguageModel.of(model, tiny_tokenizer())


def test_a_whole_document_is_made_and_names_its_layers() -> None:
    document = analyze(strips_lm("bart"), TEXT, ["predictions", "head_ablation"])
    assert document.prompt.border == 5
    assert document.results[1].axes[0].labels == ("E0", "E1", "D0", "X0", "D1", "X1")
