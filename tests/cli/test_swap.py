"""--swap makes the corrupted prompt; a circuit of a dataset needs no prompt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from interpboard.cli.main import main
from interpboard.cli.options import swap_of
from interpboard.errors import BadParameter
from interpboard.reproduce import command_line
from interpboard.results import Document, MetricRequest
from tests.tiny import tiny_model
from tests.tokenizers import tokenizer_of

TEXT = "The capital of France is"


def test_an_exchange_is_read_at_its_first_equals_sign() -> None:
    assert swap_of(" France = Italy ") == ("France", "Italy")
    assert swap_of("is=was, in x=y") == ("is", "was, in x=y")
    for wrong in ("France", "=Italy", "France="):
        with pytest.raises(BadParameter, match="--swap"):
            swap_of(wrong)


def test_swapping_is_the_same_as_writing_the_corrupted_prompt(
    capsys: pytest.CaptureFixture[str],
) -> None:
    usual = ["analyze", "--text", TEXT, "-a", "activation_patching", "-f", "json"]
    assert main([*usual, "--swap", "France=Italy"]) == 0
    by_swap = json.loads(capsys.readouterr().out)
    assert main([*usual, "--corrupted", "The capital of Italy is"]) == 0
    written = json.loads(capsys.readouterr().out)
    assert by_swap["results"][0]["values"] == written["results"][0]["values"]
    assert by_swap["results"][0]["params"]["corrupted"] == "The capital of Italy is"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--text", TEXT, "--swap", "France=Italy", "--corrupted", "x"], "Use one"),
        (["--swap", "France=Italy"], "--swap needs a prompt"),
        (["-a", "head_ablation"], "There is no prompt"),
        (["-a", "circuit"], "There is no prompt"),
        (["-a", "circuit", "-a", "logit_lens", "-p", "behavior=ioi"], "There is no prompt"),
        (["--text", TEXT, "--swap", "France=the Kingdom of Italy", "-a", "activation_patching"],
         "tokens"),
        (["--text", TEXT, "--swap", "Spain=Italy", "-a", "activation_patching"], "not in the text"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_one_line(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["analyze", *words]) == 2
    assert said in capsys.readouterr().err


def test_tokens_are_named_by_id_and_an_id_that_is_a_text_has_a_backslash(
    capsys: pytest.CaptureFixture[str],
) -> None:
    usual = ["analyze", "--text", TEXT, "-f", "json"]
    assert main([*usual, "-a", "predictions", "--target", " Rome", "--foil", " Paris"]) == 0
    metric = json.loads(capsys.readouterr().out)["results"][0]["metric"]
    rome, paris = metric["target"]["id"], metric["foil"]["id"]
    assert main([*usual, "-a", "predictions", "--target", f"#{rome}", "--foil", f"#{paris}"]) == 0
    assert json.loads(capsys.readouterr().out)["results"][0]["metric"] == metric
    assert main([*usual, "-a", "predictions", "--target", f"\\#{rome}"]) == 2
    assert "tokens" in capsys.readouterr().err
    assert main([*usual, "-a", "causal_trace", "-p", "samples=1", "--subject", "France"]) == 0
    document = json.loads(capsys.readouterr().out)
    (at,) = document["results"][0]["params"]["subject"]
    named = f"#{document['prompt']['token_ids'][at]}"
    assert main([*usual, "-a", "causal_trace", "-p", "samples=1", "--subject", named]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["results"][0]["values"] == document["results"][0]["values"]


def test_special_tokens_are_left_out_where_that_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_model("llama").save_pretrained(tmp_path)
    tokenizer_of("llama").save_pretrained(tmp_path)
    usual = ["analyze", "--text", "Tom is", "-a", "predictions", "-f", "json", "-m", str(tmp_path)]
    assert main(usual) == 0
    whole = json.loads(capsys.readouterr().out)
    assert main([*usual, "--no-special-tokens"]) == 0
    bare = json.loads(capsys.readouterr().out)
    assert whole["prompt"]["tokens"] == ["<s>", *bare["prompt"]["tokens"]]
    assert (whole["model"]["special_tokens"], bare["model"]["special_tokens"]) == (True, False)
    again = command_line(Document.from_json(json.dumps(bare)), MetricRequest())
    assert "--no-special-tokens" in again


def test_a_circuit_of_a_behaviour_or_dataset_brings_its_own_prompt(
    capsys: pytest.CaptureFixture[str],
) -> None:
    dataset = f"{TEXT} => The capital of Italy is | Paris | Rome"
    for given, first in (
        (["-p", f"dataset={dataset}"], TEXT),
        (["-p", "behavior=agreement", "-p", "sizes=20"], "The"),
    ):
        assert main(["analyze", "-a", "circuit", "-f", "json", *given]) == 0
        document = json.loads(capsys.readouterr().out)
        assert document["prompt"]["text"].startswith(first)
        assert document["results"][0]["analysis"] == "circuit"
