"""What-if runs against prompts and models that are changed by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from interpboard.circuits.heads.ablation import head_ablation
from interpboard.circuits.lens.logit import logit_lens
from interpboard.errors import BadParameter, BadPrompt, BadTarget, InterpBoardError
from interpboard.interventions import what_if as module
from interpboard.interventions.grammar import parse_interventions
from interpboard.interventions.resolve import edits_of
from interpboard.interventions.what_if import what_if
from interpboard.models.unembedding import forward_logits
from interpboard.patching.activation import activation_patching
from interpboard.results import MetricRequest
from interpboard.runs import steps
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import input_ids, make_prompt
from interpboard.runs.record import Run, record
from interpboard.runs.watch import Watch
from tests.alive import Alive
from tests.lm import TOLERANCE, case, fingerprint

FAMILIES = ("gpt2", "llama", "gemma3")
DTYPES = (torch.float32, torch.float64)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_head_off_is_that_cell_of_the_ablation_grid(family: str, dtype: torch.dtype) -> None:
    lm, prompt, metric = case(family, dtype, name="logprob")
    before = fingerprint(lm)
    for ablation in ("zero", "mean"):
        grid = head_ablation(lm, prompt, metric, ablation=ablation)
        result = what_if(lm, prompt, metric, interventions=f"1.2={ablation}; 2.0={ablation}")
        assert result.values[0] == metric.baseline
        alone = result.extra["alone"].values
        np.testing.assert_allclose(alone, grid.values[[1, 2], [2, 0]], **TOLERANCE[dtype])
        one = what_if(lm, prompt, metric, interventions=f"1.2={ablation}")
        np.testing.assert_allclose(
            one.extra["effect"].values, grid.values[1, 2], **TOLERANCE[dtype]
        )
        assert "alone" not in one.extra
        assert abs(float(one.extra["effect"].values)) > 1e-3
    assert fingerprint(lm) == before


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_replaced_token_gives_the_prompt_with_that_token(family: str, dtype: torch.dtype) -> None:
    lm, prompt, _ = case(family, dtype)
    metric = resolve_metric(lm, prompt, MetricRequest("logprob", target=" the"))
    ids = list(prompt.token_ids)
    new = lm.tokenizer(" on", add_special_tokens=False)["input_ids"]
    assert len(new) == 1
    assert new[0] != ids[2]
    result = what_if(lm, prompt, metric, interventions='@2=" on"')
    ids[2] = new[0]
    with torch.no_grad():
        logits = forward_logits(lm.anatomy, torch.tensor([ids]), len(ids) - 1)
    expected = float(metric.of(logits)[0])
    np.testing.assert_allclose(result.values[1], expected, **TOLERANCE[dtype])
    np.testing.assert_allclose(
        result.extra["top_probs"].values[1], logits[0].softmax(-1).sort(descending=True)[0][:10],
        **TOLERANCE[dtype],
    )  # fmt: skip


@pytest.mark.usefixtures("changed_on_purpose")
@pytest.mark.parametrize("family", FAMILIES)
def test_an_mlp_off_is_a_model_whose_mlp_adds_nothing(family: str) -> None:
    lm, prompt, metric = case(family, torch.float64, name="logprob")
    module = lm.anatomy.mlp_out[1]
    handle = module.register_forward_hook(lambda _m, _a, out: torch.zeros_like(out))
    with torch.no_grad():
        logits = forward_logits(lm.anatomy, input_ids(lm, prompt), metric.info.position)
    handle.remove()
    result = what_if(lm, prompt, metric, interventions="1.mlp=zero")
    np.testing.assert_allclose(result.values[1], float(metric.of(logits)[0]), rtol=1e-9)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_patches_from_a_source_are_cells_of_activation_patching(dtype: torch.dtype) -> None:
    lm, prompt, metric = case("llama", dtype)
    length = len(prompt.token_ids)
    source = prompt.text.replace(" Eiffel", " cabinet")
    assert len(make_prompt(lm, source).token_ids) == length
    grid = activation_patching(
        lm, prompt, metric, corrupted=source, site="resid_post", direction="noising"
    )
    result = what_if(lm, prompt, metric, interventions="1.resid@1=patch", source=source)
    np.testing.assert_allclose(
        result.values[1], grid.extra["metric"].values[1, 1], **TOLERANCE[dtype]
    )
    whole = what_if(lm, prompt, metric, interventions="2.resid=patch", source=source)
    np.testing.assert_allclose(whole.values[1], grid.extra["corrupted"].values, **TOLERANCE[dtype])


@pytest.mark.usefixtures("changed_on_purpose")
@pytest.mark.parametrize("suffix", [".npy", ".safetensors"])
def test_steering_adds_the_files_vector_times_its_scale(tmp_path: Path, suffix: str) -> None:
    lm, prompt, metric = case("gpt2", torch.float64)
    vector = torch.linspace(-1, 1, 32)
    path = tmp_path / f"a; b = {suffix}"
    if suffix == ".npy":
        np.save(path, vector.numpy())
    else:
        from safetensors.torch import save_file

        save_file({"v": vector}, path)
    text = f'1.resid@3=steer "{path}" * -2.5'
    result = what_if(lm, prompt, metric, interventions=text)

    def add(_module, _args, output):
        hidden = output[0] if isinstance(output, tuple) else output
        hidden[:, 3] += -2.5 * vector.double()

    handle = lm.anatomy.layers[1].register_forward_hook(add)
    with torch.no_grad():
        logits = forward_logits(lm.anatomy, input_ids(lm, prompt), metric.info.position)
    handle.remove()
    assert result.values[1] == pytest.approx(float(metric.of(logits)[0]), rel=1e-6)
    assert abs(result.values[1] - result.values[0]) > 1e-3


@pytest.mark.parametrize("family", FAMILIES)
def test_the_lens_is_the_clean_models_beside_one_that_ends_in_the_edited_answer(
    family: str,
) -> None:
    lm, prompt, metric = case(family, torch.float64)
    result = what_if(lm, prompt, metric, interventions="1.0=zero; 1.1=zero; 0.mlp@2-4=mean")
    plain = logit_lens(lm, prompt, metric)
    lens = result.extra["lens"].values
    np.testing.assert_allclose(lens[0], plain.values, rtol=1e-9, atol=1e-12)
    for name in ("top_ids", "top_tokens", "rank"):
        np.testing.assert_array_equal(
            result.extra[f"lens_{name}"].values[0], plain.extra[name].values
        )
    np.testing.assert_allclose(
        result.extra["lens_top_probs"].values[1, -1, metric.info.position],
        result.extra["top_probs"].values[1],
        rtol=1e-9,
    )
    for site in ("attn_out", "resid_pre"):
        other = what_if(lm, prompt, metric, interventions="1.0=zero", lens_site=site)
        alone = logit_lens(lm, prompt, metric, site=site)
        np.testing.assert_allclose(other.extra["lens"].values[0], alone.values, rtol=1e-9)
        assert other.extra["lens"].axes[1] == alone.axes[0]
        assert np.abs(other.extra["lens"].values[1] - alone.values).max() > 1e-6
    # Row "embed" is before every edit, and positions before an edit of one position stay.
    np.testing.assert_allclose(lens[1, 0], plain.values[0], rtol=1e-9)
    assert np.abs(lens[1, 2:] - plain.values[2:]).max() > 1e-6
    np.testing.assert_allclose(
        result.extra["top_other"].values[0, 0],
        dict(
            zip(
                result.extra["top_ids"].values[1],
                result.extra["top_probs"].values[1],
                strict=True,
            )
        ).get(result.extra["top_ids"].values[0, 0], result.extra["top_other"].values[0, 0]),
        rtol=1e-9,
    )


def test_putting_back_what_was_there_changes_nothing() -> None:
    # One token repeated: z of layer 0 is the same everywhere, so its mean is what it was.
    lm, prompt, metric = case("llama", torch.float64, text="\n\n\n\n\n\n")
    result = what_if(lm, prompt, metric, interventions='0.1=mean; @3="\\n"')
    np.testing.assert_allclose(result.values[1], result.values[0], atol=1e-12)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no intervention"),
        (" ; ;", "no intervention"),
        ("2.5", "Cannot read the intervention '2.5'"),
        ("2.5=one", "'one' cannot be put there"),
        ("2.resid=zero x", "cannot be put there"),
        ("2.5@3-1=zero", "run backwards"),
        ("@1=Rome", "in quotes"),
        ("1.mlp=steer nofile", "cannot be put there"),
        ('2.5=steer "v.npy"', "cannot be put there"),
        ('@1="', "open quote"),
        ('1.resid=steer "v.npy" * e', "is no number"),
        ("=zero", "Cannot read"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_grammar(text: str, complaint: str) -> None:
    with pytest.raises(BadParameter, match=complaint) as caught:
        parse_interventions(text)
    assert "1.mlp=mean" in caught.value.remedy


def test_quotes_hold_separators_and_lines_separate_like_semicolons() -> None:
    found = parse_interventions('@1="; x=\\" \\n"\n2.5@1-3 = zero ;')
    assert [each.value for each in found] == ['; x=" \n', ""]
    assert (found[1].layer, found[1].head, found[1].positions) == (2, 5, (1, 2, 3))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("3.0=zero", BadParameter),
        ("0.4=zero", BadParameter),
        ("0.0@99=zero", InterpBoardError),
        ('@1="x y z"', BadTarget),
        ("0.mlp=patch", BadParameter),
        ('0.mlp=steer "/nowhere.npy"', BadParameter),
        ('0.mlp=steer "/dev/null"', BadParameter),
    ],
)
def test_places_that_are_not_there_are_refused(text: str, error: type[Exception]) -> None:
    lm, prompt, metric = case()
    with pytest.raises(error):
        what_if(lm, prompt, metric, interventions=text)


def test_a_source_of_another_length_and_a_vector_of_another_width_are_refused(
    tmp_path: Path,
) -> None:
    lm, prompt, metric = case()
    with pytest.raises(BadPrompt, match="The source has"):
        what_if(lm, prompt, metric, interventions="0.0=patch", source="Mary")
    np.save(tmp_path / "v.npy", np.zeros(31))
    with pytest.raises(BadParameter, match="one axis of 32"):
        what_if(lm, prompt, metric, interventions=f'0.resid=steer "{tmp_path / "v.npy"}"')


def test_a_cancelled_run_leaves_the_model_as_it_was() -> None:
    from interpboard.errors import Cancelled

    lm, prompt, metric = case()
    before, asked = fingerprint(lm), []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 1

    with pytest.raises(Cancelled):
        what_if(lm, prompt, metric, interventions="0.0=zero", watch=Watch(cancelled=cancelled))
    assert fingerprint(lm) == before


def test_what_the_demo_model_says_of_paris_needs_few_heads() -> None:
    from interpboard.circuits.heads.pairs import strongest_heads
    from interpboard.models.language_model import open_model

    lm = open_model("demo")
    prompt = make_prompt(lm, "The Eiffel Tower is located in the city of")
    metric = resolve_metric(lm, prompt, MetricRequest("prob"))
    grid = head_ablation(lm, prompt, metric)
    held = "; ".join(f"{layer}.{head}=zero" for layer, head in strongest_heads(grid.values, 8))
    result = what_if(lm, prompt, metric, interventions=held)
    assert result.values[0] > 0.9
    assert result.values[1] < 0.6
    assert result.extra["top_tokens"].values[0, 0] == " Paris"


HELD = '2.5=zero; 1.mlp=mean; 1.mlp@2-4=mean; 2.resid@4=patch; 1.resid=patch; 0.3=mean; @3=" on"'


@pytest.mark.parametrize("family", ["gpt2", "gemma3"])
@pytest.mark.parametrize("site", ["resid_post", "attn_out"])
def test_a_long_prompts_runs_are_made_one_after_the_other_and_say_the_same(
    family: str, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm, prompt, metric = case(family, torch.float64, name="logprob")
    options = {
        "interventions": HELD.replace("2.5", "2.1"),
        "source": prompt.text.replace(" Eiffel", " cabinet"),
        "controls": "1.0=zero",
        "lens_site": site,
    }
    whole = what_if(lm, prompt, metric, **options)
    rows: list[int] = []

    def heard(*args: Any, **kwargs: Any) -> Run:
        run = record(*args, **kwargs)
        rows.append(run.batch)
        return run

    monkeypatch.setattr(module, "record", heard)
    what_if(lm, prompt, metric, **options)
    assert rows == [2]
    monkeypatch.setattr(steps, "MEMORY_A_STEP", 1)
    found = what_if(lm, prompt, metric, **options)
    assert rows == [2, 1, 1]
    np.testing.assert_allclose(found.values, whole.values, rtol=1e-9)
    assert abs(found.values[1] - found.values[0]) > 1e-3
    for name, extra in whole.extra.items():
        if extra.values.dtype.kind == "f":
            np.testing.assert_allclose(found.extra[name].values, extra.values, rtol=1e-7, atol=1e-9)
        else:
            np.testing.assert_array_equal(found.extra[name].values, extra.values)


@pytest.mark.usefixtures("changed_on_purpose")
def test_of_the_runs_that_values_come_from_nothing_else_is_kept() -> None:
    lm, prompt, _ = case("gpt2")
    source = prompt.text.replace(" Eiffel", " cabinet")
    stack = parse_interventions("1.mlp=mean; 0.3=mean; 2.resid@4=patch; 1.resid@1-2=patch")
    seen: list[int] = []
    handle = lm.anatomy.layers[-1].register_forward_hook(lambda *_: seen.append(alive.now()))
    with Alive() as alive:
        edits = edits_of(lm, prompt, stack, source)
    handle.remove()
    stream = lm.anatomy.d_model * 4
    # Recorded, two runs with a site or two of all three layers were 18 streams of the prompt in the end.
    assert len(seen) == 2
    assert max(seen) < 8 * stream * len(prompt.token_ids)
    kept = {e.value.untyped_storage().nbytes() for e in edits if e.value is not None}
    assert kept == {stream, stream // lm.anatomy.n_heads, 2 * stream}
