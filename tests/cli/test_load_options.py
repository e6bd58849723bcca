"""How a model is opened: asked on the command line, kept in the result, and asked again by its lines."""

from __future__ import annotations

import shlex
from dataclasses import fields
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import typer

from interpboard.analyze import analyze
from interpboard.cli import commands as cli_commands
from interpboard.cli import main as cli
from interpboard.cli import what_if_command
from interpboard.cli.option_groups import OpenedModelFlags
from interpboard.engine import protocol
from interpboard.models.language_model import open_model
from interpboard.registry.loading import (
    OPTIONS,
    LoadOptions,
    given,
    option_words,
    read_option_words,
)
from interpboard.reproduce import command_line, python_lines
from interpboard.results import Document, MetricRequest, ModelInfo, opened_as
from interpboard.visualization.export import markdown
from interpboard.visualization.terminal import render
from tests import sample
from tests.models.folders import saved
from tests.models.test_adapters import lora
from tests.models.test_quantised import needs, wide

EVERY = LoadOptions(
    "v2",
    "inner",
    "a.gguf",
    ("one", "two"),
    "off",
    "4bit",
    "parts.toml",
    "auto",
    "cpu=1GiB",
    "out",
    "cls",
)
FLAGS = [
    "--revision", "v2", "--subfolder", "inner", "--gguf-file", "a.gguf", "--adapter", "one",
    "--adapter", "two", "--adapter-state", "off", "--quantize", "4bit", "--parts", "parts.toml",
    "--device-map", "auto", "--max-memory", "cpu=1GiB", "--offload-folder", "out",
    "--pooling", "cls",
]  # fmt: skip


@pytest.mark.parametrize("command", ["analyze", "app"])
def test_every_option_arrives_where_models_are_opened(command: str, engine: dict[str, Any]) -> None:
    words = ["analyze", "--text", "t", "-a", "head_ablation"] if command == "analyze" else ["t"]
    assert cli.main([*words, *FLAGS]) == 0
    _, options = engine["model"]
    assert {name: options[name] for name in given(EVERY)} == given(EVERY)
    assert {option.name for option in OPTIONS} == set(given(EVERY))


@pytest.mark.parametrize("name", ["what-if", "sweep", "tune-lens", "max-activating"])
def test_a_command_that_opens_a_model_has_the_options_of_analyze(name: str) -> None:
    commands = typer.main.get_command(cli_commands.app).commands  # type: ignore[attr-defined]
    others = {
        option.name: (option.opts, getattr(option, "help", None))
        for option in commands[name].params
    }
    group = [f.name for f in fields(OpenedModelFlags) if f.name != "load"]
    group += [option.name for option in OPTIONS]
    for option in commands["analyze"].params:
        if option.name in group:
            assert others[option.name] == (option.opts, getattr(option, "help", None))
            group.remove(option.name)
    assert not group


def test_what_if_opens_its_model_with_every_option(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def compute(choice: Any, *_asked: Any, **_how: Any) -> tuple[Document, list[str]]:
        seen.append(choice)
        return sample.full(), []

    monkeypatch.setattr(what_if_command, "compute_what_if", compute)
    flags = [*FLAGS, "--allow-pickle", "--no-check-weights", "--ignore-unused-weights"]
    assert cli.main(["what-if", "--text", "t", "--interventions", "0.0=zero", *flags]) == 0
    (choice,) = seen
    assert choice.load == EVERY
    assert (choice.allow_pickle, choice.check_weights) == (True, False)
    assert (choice.ignore_unused_weights, choice.trust_remote_code) == (True, False)


@pytest.mark.parametrize("options", [EVERY, LoadOptions(), LoadOptions(subfolder="a b'c")])
def test_options_in_words_are_read_back_as_they_were(options: LoadOptions) -> None:
    line = shlex.join(["bfloat16", *option_words(options)])
    assert read_option_words(line) == (["bfloat16"], options)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--quantize", "3bit"], "--quantize takes no '3bit'. It is 4bit, 8bit, int8."),
        (["--adapter-state", "half"], "--adapter-state takes no 'half'. It is on, off, merged."),
    ],
)
def test_a_word_that_is_none_is_refused_before_anything_is_opened(
    flags: list[str], words: str, engine: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["analyze", "--text", "t", *flags]) == 2
    assert words in capsys.readouterr().err
    assert "model" not in engine


def test_the_engine_is_told_in_one_frame() -> None:
    asked = protocol.Load(1, "m", options=EVERY)
    packed = msgspec.msgpack.encode(asked)
    assert msgspec.msgpack.decode(packed, type=protocol.Load).options == EVERY


@pytest.mark.parametrize(
    "options",
    [{"adapters": True}, {"adapters": True, "adapter_state": "off"}, {"quantize": "int8"}],
)
def test_the_lines_of_a_result_open_the_same_model(
    options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    needs("torchao", "peft", "accelerate")
    asked: dict[str, Any] = {**options}
    if "adapters" in asked:
        asked["adapters"] = lora()
    lm = open_model(wide() if "quantize" in asked else saved("llama"), "cpu", **asked)
    request = MetricRequest()
    made = analyze(lm, "Tom is", ["head_ablation"], request)
    made = Document.from_json(made.to_json())
    assert made.model == lm.info
    found: dict[str, Any] = {}
    exec(compile(python_lines(made, request), "lines", "exec"), found)
    capsys.readouterr()
    assert found["document"].model == made.model
    assert cli.main(shlex.split(command_line(made, request))[1:]) == 0
    again = Document.from_json(capsys.readouterr().out)
    for other in (found["document"], again):
        assert other.model == made.model
        np.testing.assert_allclose(other.results[0].values, made.results[0].values, atol=1e-5)


def test_parts_given_as_a_mapping_are_in_the_python_lines_and_no_command_line() -> None:
    info = msgspec.structs.replace(sample.full().model, parts={"layers": "core.stack"})
    document = msgspec.structs.replace(sample.full(), model=info)
    assert "parts={'layers': 'core.stack'}" in python_lines(document, MetricRequest())
    assert command_line(document, MetricRequest()).startswith("# no command line can say parts")
    named = msgspec.structs.replace(info, options=LoadOptions(parts="p.toml"))
    line = command_line(msgspec.structs.replace(document, model=named), MetricRequest())
    assert "--parts p.toml" in line


def test_the_line_of_the_model_says_how_it_was_opened_in_every_view() -> None:
    info = msgspec.structs.replace(
        sample.full().model, options=EVERY, quantization="4-bit nf4 (bitsandbytes)"
    )
    document = msgspec.structs.replace(sample.full(), model=info)
    words = opened_as(info)
    assert words[:4] == ("4-bit nf4 (bitsandbytes)", "a.gguf", "in inner", "revision v2")
    for view in (markdown(document), render(document, 400)):
        assert all(word in view for word in words)


def test_a_result_that_was_saved_before_says_nothing_of_it() -> None:
    old = msgspec.json.encode(
        {"name": "m", "revision": None, "family": "f", "layers": 1, "heads": 1, "dtype": "float32",
         "device": "cpu"}
    )  # fmt: skip
    info = msgspec.json.decode(old, type=ModelInfo)
    assert opened_as(info) == ()
    assert info.options == LoadOptions()
    assert Path(info.options.subfolder) == Path()
