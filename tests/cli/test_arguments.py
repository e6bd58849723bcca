"""Words of a command line find their place, and bad ones are refused before anything is computed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpboard.cli import commands as cli_commands
from interpboard.cli import compute as cli_compute
from interpboard.cli import main as cli
from interpboard.cli import options as cli_options
from interpboard.errors import BadParameter
from interpboard.registry import analyses_for
from interpboard.results import MetricRequest


@pytest.mark.parametrize(
    ("given_args", "routed"),
    [
        ([], []),
        (["some text"], ["--text=some text"]),
        (["-"], ["--text=-"]),
        (["some text", "--model", "m"], ["--model", "m", "--text=some text"]),
        (["--model", "m", "some text"], ["--model", "m", "--text=some text"]),
        (["--model=analyze", "x"], ["--model=analyze", "--text=x"]),
        (["--model", "analyze", "x"], ["--model", "analyze", "--text=x"]),
        (["--", "analyze"], ["--text=analyze"]),
        (["--", "--model"], ["--text=--model"]),
        (["list"], ["list"]),
        (["--debug", "analyze", "--text", "list"], ["analyze", "--debug", "--text", "list"]),
        (["analyze", "--text", "--", "x"], ["analyze", "--text", "--", "x"]),
        (["--model"], ["--model"]),
    ],
)
def test_words_find_their_place(given_args: list[str], routed: list[str]) -> None:
    assert cli.route(given_args).args == routed


@given(st.text(st.characters(codec="utf-8"), max_size=20))
def test_any_text_after_the_dashes_arrives_as_the_text(text: str) -> None:
    assert cli.route(["--", text]).args == [f"--text={text}"]


@pytest.mark.parametrize("named", [["--text", "another"], ["--text=another"], ["-t", "another"]])
def test_a_text_beside_a_named_one_is_refused(named: list[str]) -> None:
    for words in (["some", *named], [*named, "some"], [*named, "--", "some"]):
        with pytest.raises(BadParameter, match="More than one TEXT"):
            cli.route(words)
    assert cli.route(["--model", "--text", "some"]).args == ["--model", "--text", "--text=some"]


def test_a_second_text_is_refused_and_so_is_a_mistyped_command() -> None:
    with pytest.raises(BadParameter, match="quotes"):
        cli.route(["some", "text"])
    with pytest.raises(BadParameter, match="Did you mean analyze"):
        cli.route(["analyse", "--text", "x"])


def test_the_router_knows_every_option_that_takes_a_value() -> None:
    import typer

    command = typer.main.get_command(cli_commands.app)
    own = {"--install-completion", "--show-completion", "--help", "-h"}
    taking = {
        name
        for option in command.params
        if not getattr(option, "is_flag", False)
        for name in option.opts
        if name not in own
    }
    assert taking == cli.WITH_VALUE
    assert set(command.commands) == set(cli.SUBCOMMANDS)  # type: ignore[attr-defined]


def test_everything_asked_for_arrives(asked: dict[str, Any]) -> None:
    words = "analyze --model m --text t --analysis head_ablation -a logit_lens -a head_ablation"
    words += " --position -2 --param ablation=mean --param logit_lens.top_k=3 --device cpu"
    words += " --dtype float32 --trust-remote-code --allow-pickle --debug"
    words += " --ignore-unused-weights --no-check-weights"
    code = cli.main([*words.split(), "--target", " a", "--foil", " b"])
    assert code == 0
    choice, text, analyses, metric, params = asked["args"]
    assert choice == cli_compute.ModelChoice("m", "cpu", "float32", True, True, True, False)
    assert (text, analyses) == ("t", ("head_ablation", "logit_lens"))
    assert metric == MetricRequest("logit_diff", " a", " b", -2)
    assert params == {"head_ablation": {"ablation": "mean"}, "logit_lens": {"top_k": 3}}
    assert asked["debug"] is True


def test_a_second_prompt_and_a_subject_bring_the_analyses_that_need_them(
    asked: dict[str, Any],
) -> None:
    words = ["analyze", "--text", "t", "--corrupted", "x = 1, y", "--subject", "a, b"]
    assert cli.main(words) == 0
    _, _, analyses, _, params = asked["args"]
    assert analyses == analyses_for(("corrupted", "subject"))
    assert {"activation_patching", "causal_trace"} <= set(analyses)
    assert params["activation_patching"] == {"corrupted": "x = 1, y"}
    assert params["causal_trace"] == {"subject": "a, b"}
    assert cli.main(["analyze", "--text", "t", "-a", "causal_trace"]) == 2


def test_by_default_all_analyses_run_and_nothing_unsafe_is_allowed(asked: dict[str, Any]) -> None:
    assert cli.main(["analyze", "--text", "t"]) == 0
    choice, _, analyses, metric, params = asked["args"]
    assert choice == cli_compute.ModelChoice("demo", "auto", "auto", False, False)
    assert analyses == analyses_for(())
    assert "activation_patching" not in analyses  # there is nothing to patch from
    assert metric == MetricRequest("logit", None, None, -1)
    assert params == {}
    assert asked["debug"] is False


def test_a_parameter_without_a_prefix_goes_to_every_analysis_that_has_it() -> None:
    chosen = cli_options.choose_params(["top_k=4", "logit_lens.top_k=5"], analyses_for(()))
    assert chosen == {"predictions": {"top_k": 4}, "logit_lens": {"top_k": 5}}


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (["--analysis", "head_ablatoin"], "Did you mean head_ablation?"),
        (["--metric", "logits"], "Did you mean logit?"),
        (["--param", "ablatoin=zero"], "Did you mean ablation?"),
        (["--param", "ablation"], "takes key=value"),
        (["--param", "ablation=one"], "one of zero, mean"),
        (["--param", "head_ablation.top_k=1"], "has no parameter 'top_k'"),
        (["-a", "logit_lens", "--param", "head_ablation.layers=1"], "not among the chosen"),
        (["-a", "logit_lens", "--param", "layers=1"], "No chosen analysis has a parameter"),
        (["--format", "xml"], "xml"),
        (["--output", "no/such/folder/a.json"], "There is no folder"),
        (["--output", "."], "is a folder"),
        (["--position", "x"], "--position"),
        (["--no-such-option"], "--no-such-option"),
        (["--text", ""], "empty"),
        (["--text", "\udcff"], "UTF-8"),
        (["--target", "\udcff"], "UTF-8"),
    ],
)
def test_bad_input_is_one_line_on_stderr_and_exit_code_2_before_anything_is_computed(
    args: list[str], complaint: str, asked: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["analyze", "--text", "t", *args]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert complaint in err
    assert "args" not in asked


def test_a_prompt_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["analyze"]) == 2
    assert "--text" in capsys.readouterr().err
