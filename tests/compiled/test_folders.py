"""Compiled models are folders like any other: they open, prove themselves, and commands take them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from interpboard import Document, open_model
from interpboard.cli.main import main
from interpboard.models.sites import SITES
from interpboard.runs.prompt import make_prompt
from tests.compiled import make
from tests.compiled.cases import opened
from tests.compiled.compiler import HARD, SOFT, compiled
from tests.compiled.language import LETTERS, Head, Look, Program
from tests.compiled.programs import PROGRAMS


@pytest.mark.parametrize("way", ["soft", "rotated"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_compiled_model_proves_every_site_its_lens_and_replay(program: str, way: str) -> None:
    verified = opened(program, way).verified
    assert (verified.path, verified.reuse) == ("replay", True)
    assert verified.lens
    assert verified.sites == frozenset(SITES)


def test_the_command_writes_a_folder_that_opens_and_says_what_to_do_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "model"
    make.main(["mover", str(folder)])
    assert str(folder) in capsys.readouterr().out
    lm = open_model(folder, device="cpu")
    assert (lm.info.layers, lm.info.heads, lm.info.dtype) == (3, 4, "float32")
    assert lm.verified.path == "replay"
    assert lm.verified.lens
    written = load_file(folder / "model.safetensors")
    assert all(weight.dtype == np.float64 for weight in written.values())
    assert json.loads((folder / "config.json").read_text())["layer_norm_epsilon"] == 2.0**80


def test_the_command_line_explains_a_compiled_model(tmp_path: Path) -> None:
    folder, out = tmp_path / "model", tmp_path / "found.json"
    make.main(["induction", str(folder)])
    options = ["-m", str(folder), "--dtype", "float64", "--device", "cpu", "--text", "abcda"]
    assert main(["analyze", *options, "-a", "head_ablation", "--output", str(out)]) == 0
    document = Document.from_json(out.read_text())
    assert document.results[0].metric.target.token == "b"
    assert document.results[0].values.tolist() == [[0, -8, 0, 0], [0, 0, -8, 0]]


@pytest.mark.parametrize("program", PROGRAMS)
def test_weights_at_rest_are_exact_in_float32_too(program: str) -> None:
    for name, weight in compiled(PROGRAMS[program], HARD).items():
        assert (weight.astype(np.float32) == weight).all(), name


def test_what_was_left_over_is_dead_and_most_of_it_is_busy() -> None:
    """Controls that did nothing at all would prove little."""
    weights = compiled(PROGRAMS["chain"])
    width = weights["transformer.h.0.attn.c_proj.weight"].shape[0]
    values = weights["transformer.h.0.attn.c_attn.weight"][:, 2 * width :].reshape(width, 4, -1)
    out = weights["transformer.h.0.attn.c_proj.weight"].reshape(4, -1, width)
    takes = [bool(values[:, head].any()) for head in range(4)]
    writes = [bool(out[head].any()) for head in range(4)]
    assert takes == [True, True, True, False]  # program, busy, mute, blank
    assert writes == [True, True, False, False]


def test_a_text_is_a_token_a_character_behind_the_begin_and_comes_back() -> None:
    lm = opened("induction")
    prompt = make_prompt(lm, "ab:+")
    assert prompt.token_ids == (0, 1, 2, 13, 14)
    assert lm.tokenizer.decode(prompt.token_ids[1:]) == "ab:+"
    assert make_prompt(lm, "aZ").tokens[-1] == "?"


def test_what_does_not_fit_is_not_compiled() -> None:
    crowded = Program("crowded", 1, 2, {"room": 40}, {}, n_positions=12)
    with pytest.raises(ValueError, match="crowded needs 101 coordinates and has 64"):
        compiled(crowded)
    wide = Head(tuple(Look("token", "token") for _ in LETTERS[:5]), None)
    with pytest.raises(ValueError, match="the looks need 80 dimensions, a head has 64"):
        compiled(Program("wide", 1, 2, {}, {"0.0": wide}, n_positions=12))


def test_soft_and_hard_models_differ_in_scores_alone() -> None:
    hard, soft = compiled(PROGRAMS["induction"], HARD), compiled(PROGRAMS["induction"], SOFT)
    differing = [name for name in hard if not np.array_equal(hard[name], soft[name])]
    assert differing == [f"transformer.h.{layer}.attn.c_attn.weight" for layer in (0, 1)]


def test_the_compiler_imports_no_torch() -> None:
    lines = "import sys, tests.compiled.make; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", lines], cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == 0
