"""Values of analyses on compiled programs, worked out by hand from the programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from interpboard.analyze import analyze
from interpboard.runs.prompt import input_ids, make_prompt
from tests.compiled.cases import found, opened, request
from tests.compiled.programs import TRUTHS, Truth
from tests.lm import fingerprint

EXACT = {"rtol": 0, "atol": 1e-12}
TRUE = pytest.mark.parametrize("truth", TRUTHS.values(), ids=TRUTHS)
CHANCE = 1 / 17  # of the 17 tokens when every logit is 0
SURE = np.exp(8) / (np.exp(8) + 16)


def grid(truth: Truth, of_heads: dict[str, float]) -> np.ndarray:
    """[layer, head] with 0 where nothing is stated."""
    values = np.zeros((truth.program.n_layers, truth.program.n_heads))
    for name, value in of_heads.items():
        layer, head = map(int, name.split("."))
        values[layer, head] = value
    return values


@TRUE
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_zeroing_a_head_costs_what_the_program_loses(truth: Truth, dtype: str) -> None:
    result = found(truth.program.name, "head_ablation", dtype=dtype)
    assert result.baseline == 8
    tolerance = EXACT if dtype == "float64" else {"rtol": 1e-6, "atol": 0}
    np.testing.assert_allclose(result.values, grid(truth, truth.ablated), **tolerance)


@TRUE
def test_patching_recovers_what_the_part_carries(truth: Truth) -> None:
    name, given = truth.program.name, {"corrupted": truth.changed}
    heads = found(name, "activation_patching", site="z", along="head", **given)
    np.testing.assert_allclose(heads.values, grid(truth, truth.restored), **EXACT)
    stream = found(name, "activation_patching", site="resid_pre", **given)
    expected = np.zeros(stream.values.shape)
    for cell, value in truth.way.items():
        expected[cell] = value
    np.testing.assert_allclose(stream.values, expected, **EXACT)


@TRUE
def test_patching_inside_a_head_recovers_what_that_input_carries(truth: Truth) -> None:
    for site in ("q", "k", "v", "pattern"):
        given = {"corrupted": truth.changed, "site": site, "along": "head"}
        values = found(truth.program.name, "activation_patching", **given).values
        suffix = f".{site}"
        stated = {k.removesuffix(suffix): v for k, v in truth.inside.items() if k.endswith(suffix)}
        np.testing.assert_allclose(values, grid(truth, stated), **EXACT)


@pytest.mark.parametrize(("program", "layer"), [("tally", 1), ("repeat", 0)])
def test_half_a_ramp_is_no_step(program: str, layer: int) -> None:
    """The first neuron alone overshoots by half of the step, the second alone takes that half away."""
    given = {"corrupted": TRUTHS[program].changed, "site": "neuron", "along": "neuron"}
    values = found(program, "activation_patching", **given).values
    np.testing.assert_allclose(values[layer, :2], (1.5, -0.5), **EXACT)
    assert np.count_nonzero(values) == 2


@TRUE
def test_every_path_of_the_program_carries_the_answer_and_no_other_path_anything(
    truth: Truth,
) -> None:
    for edge in truth.edges:
        sender, receiver = edge.split(">")
        result = found(
            truth.program.name, "path_patching", corrupted=truth.other, receiver=receiver
        )
        layer, column = (0, "embed") if sender == "embed" else sender.split(".")
        label = {"embed": "embed", "mlp": "MLP"}.get(column, f"H{column}")
        value = result.values[int(layer), result.axes[1].labels.index(label)]
        assert value <= -8  # the whole answer, or more


@TRUE
def test_the_lens_is_at_chance_before_the_answer_is_written_and_sure_behind(truth: Truth) -> None:
    values = found(truth.program.name, "logit_lens").values[:, -1]  # the embedding first
    expected = np.where(np.arange(-1, truth.program.n_layers) >= truth.shown, SURE, CHANCE)
    np.testing.assert_allclose(values, expected, **EXACT)


@TRUE
def test_only_what_writes_the_answer_writes_it_directly(truth: Truth) -> None:
    result = found(truth.program.name, "direct_logit_attribution")
    values = dict(zip(result.axes[0].labels, result.values.tolist(), strict=True))
    assert {name: value for name, value in values.items() if value} == pytest.approx(truth.direct)
    assert float(result.extra["unexplained"].values) == 0


@TRUE
def test_taking_a_token_away_costs_the_answer_where_the_program_reads_it(truth: Truth) -> None:
    values = found(truth.program.name, "occlusion").values
    np.testing.assert_allclose(values, truth.read, **EXACT)


@TRUE
def test_two_heads_of_one_path_interact_as_two_of_which_each_loses_all(truth: Truth) -> None:
    result = found(truth.program.name, "head_pairs")
    names = [label[1:].replace(" H", ".") for label in result.axes[0].labels]
    for i, a in enumerate(names):
        for j, b in enumerate(names[:i]):
            alone = [truth.ablated.get(name, 0) for name in (a, b)]
            # Without the head that writes the answer there is none; without others what they leave.
            last = truth.heads[-1]
            joint = truth.ablated[last] if last in (a, b) else min(alone)
            expected = joint - sum(alone) if all(alone) else 0
            assert result.values[i, j] == pytest.approx(expected, abs=1e-12)


# Of tokens that are all needed each has an equal share. In ``mover`` the marginal values of all
# subsets are 8 for a alone beside ``:``, −8 for b alone, 0 for two letters and 8 for all.
SHAPLEY = {
    "induction": (0, 8 / 3, 8 / 3, 0, 0, 8 / 3),
    "chain": (0, 8 / 3, 0, 8 / 3, 0, 8 / 3),
    "mover": (0, 4, 4 / 3, 4 / 3, 4 / 3),
    "tally": (0, 16 / 6, 16 / 6, 16 / 6, 0, 16 / 6, 16 / 6, 16 / 6),
    "repeat": (0, 8, 0, 0, 0, 8),
}


@pytest.mark.parametrize("program", TRUTHS)
def test_shapley_values_share_the_answer_among_the_tokens_that_are_read(program: str) -> None:
    result = found(program, "shapley", samples=256)
    error = result.extra["standard_error"].values
    assert (np.abs(result.values - SHAPLEY[program]) <= 4 * error).all()
    np.testing.assert_allclose(result.values.sum(), sum(SHAPLEY[program]), **EXACT)


@pytest.mark.parametrize("program", ["induction", "chain", "mover"])
def test_gradients_and_relevance_follow_the_value_that_is_moved(program: str) -> None:
    moved = TRUTHS[program].moved
    expected = np.zeros(len(TRUTHS[program].prompt) + 1)
    expected[moved] = 8
    np.testing.assert_allclose(found(program, "grad_x_input").values, expected, **EXACT)
    frozen = found(program, "lrp", attention="frozen")
    np.testing.assert_allclose(frozen.values, expected, **EXACT)
    assert float(frozen.extra["delta"].values) == pytest.approx(0, abs=1e-12)
    # Pattern and value have half each, and a saturated softmax passes nothing on.
    softmax = found(program, "lrp")
    np.testing.assert_allclose(softmax.values, expected / 2, **EXACT)
    assert float(softmax.extra["delta"].values) == pytest.approx(-4, abs=1e-12)


@pytest.mark.parametrize("program", ["induction", "chain", "mover"])
def test_integrated_gradients_give_the_answer_to_the_token_that_is_moved(program: str) -> None:
    truth = TRUTHS[program]
    at = truth.moved
    assert at is not None
    other = truth.prompt[: at - 1] + "l" + truth.prompt[at:]
    result = found(program, "integrated_gradients", baseline="text", baseline_text=other)
    expected = np.zeros(len(truth.prompt) + 1)
    expected[at] = 8
    np.testing.assert_allclose(result.values, expected, **EXACT)
    assert float(result.extra["delta"].values) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("program", ["induction", "chain", "mover"])
def test_a_little_noise_is_carried_as_a_value_is_and_a_clean_state_takes_it_back(
    program: str,
) -> None:
    truth = TRUTHS[program]
    result = found(program, "causal_trace", subject=str(truth.moved), noise=1.0, samples=3)
    values, last = result.values, truth.program.n_layers - 1
    lost = values[last, -1]
    assert lost == pytest.approx(float(result.extra["total_effect"].values), abs=1e-12) != 0
    # Behind every layer the noise stands at the token, until the last head has moved it.
    assert values[:last, truth.moved] == pytest.approx(np.full(last, lost), abs=1e-12)
    assert np.count_nonzero(values) == last + 1


@pytest.mark.parametrize(
    ("program", "layer", "units"),
    # tally: a share of 3/8 is 3/2 widths of 1/16 past the ramp's foot, 1/2 past its top; times 16.
    # repeat: 1 is 3/2 widths of 1/2 past the foot at 1/4, 1/2 past the top at 3/4.
    [("tally", 1, (24, -8)), ("repeat", 0, (24, -8))],
)
def test_the_neurons_that_count_write_what_the_ramp_says(
    program: str, layer: int, units: tuple[float, float]
) -> None:
    values = found(program, "neurons").values
    np.testing.assert_allclose(values[layer, :2], units, **EXACT)
    assert np.count_nonzero(values) == 2


def test_the_mlp_counts_to_three() -> None:
    lm = opened("tally")
    plus, minus = (lm.tokenizer.convert_tokens_to_ids(token) for token in "+-")
    for text, says_more in (
        ("abcdabc", True),
        ("abcdabe", False),
        ("abcdefg", False),
        ("aaaaaaa", True),
    ):
        logits = lm.model(input_ids(lm, make_prompt(lm, text))).logits[0, -1]
        assert logits[[plus, minus]].tolist() == ([8, 0] if says_more else [0, 8])


@pytest.mark.parametrize(
    ("program", "layer", "head", "looks_at"),
    [
        ("induction", 0, 1, (0, 0, 1, 2, 3, 4)),  # the token before
        ("induction", 1, 2, (0, 0, 0, 0, 0, 2)),  # rests, but for the last: behind the a
        ("chain", 2, 3, (0, 0, 0, 0, 0, 3)),
        ("mover", 0, 2, (0, 0, 0, 2, 0)),  # the second b at the first
        ("mover", 1, 0, (0, 0, 0, 0, 3)),  # ``:`` at the repeated b
        ("mover", 2, 3, (0, 0, 0, 0, 1)),  # ``:`` at the a
        ("tally", 0, 2, (0, 0, 0, 0, 0, 1, 2, 3)),
    ],
)
def test_a_head_looks_where_it_is_told_to(
    program: str, layer: int, head: int, looks_at: tuple[int, ...]
) -> None:
    pattern = found(program, "attention").values[layer, head]
    assert (pattern == np.eye(len(looks_at))[list(looks_at)]).all()


def test_a_uniform_head_looks_everywhere_alike() -> None:
    pattern = found("tally", "attention").values[1, 1]
    expected = np.tril(np.ones((8, 8))) / np.arange(1, 9)[:, None]
    np.testing.assert_allclose(pattern, expected, **EXACT)


@pytest.mark.parametrize("score", ["previous_token", "duplicate_token", "induction"])
def test_a_uniform_head_scores_one_in_as_many_as_it_sees(score: str) -> None:
    result = found("tally", "head_scores", samples=2, length=15)
    found_scores = result.values[result.axes[0].labels.index(score)]
    # Behind <s> twice 15 tokens: queries 2 to 30, or those of the second time, see one more than their place.
    queries = np.arange(2, 31) if score == "previous_token" else np.arange(16, 31)
    assert found_scores[1, 1] == pytest.approx(np.mean(1 / (queries + 1)), abs=1e-12)


def test_steering_from_one_answer_to_another_moves_their_logits_alone() -> None:
    # Behind the last layer the two prompts differ at the last token in b and c as the answer.
    given = {
        "positive": "abcda",
        "negative": "acbda",
        "layer": 1,
        "scales": [-1, 0.5, 2],
        "new_tokens": 0,
    }
    result = found("induction", "steering", **given)
    scales = [float(label) for label in result.axes[0].labels]
    assert scales == [-1, 0, 0.5, 2]
    np.testing.assert_allclose(result.values, [8 * scale for scale in scales], **EXACT)


def test_a_vector_that_is_held_is_the_one_that_was_saved_in_float64(tmp_path: Path) -> None:
    """Rotated, nothing of it is a number that float32 has."""
    file = tmp_path / "vector.safetensors"
    about = {"positive": "abcda", "negative": "acbda", "layer": 1, "scales": [1], "new_tokens": 0}
    lm = opened("induction", "hard_rotated")
    given = {"steering": about | {"save": str(file)}}
    steered = analyze(lm, "abcda", ["steering"], request("induction"), given).results[0]
    held = {"what_if": {"interventions": f'1.resid=steer "{file}"'}}
    edited = analyze(lm, "abcda", ["what_if"], request("induction"), held).results[0]
    assert steered.values[-1] == pytest.approx(8, abs=1e-12)
    assert edited.values[-1] == pytest.approx(16, abs=1e-12)
    # Mirrored: two coordinates of 1, b and c, twice.
    assert float(steered.extra["norm"].values) == pytest.approx(2, abs=1e-12)


def test_what_if_finds_that_the_second_head_of_a_path_has_nothing_more_to_lose() -> None:
    result = found("induction", "what_if", interventions="0.1=zero; 1.2=zero")
    assert result.values.tolist() == [8, 0]
    assert result.extra["alone"].values.tolist() == [-8, -8]


@pytest.mark.parametrize("way", ["hard", "soft", "rotated"])
@pytest.mark.parametrize("program", TRUTHS)
def test_the_layer_norm_is_the_identity_to_rounding(program: str, way: str) -> None:
    lm = opened(program, way)
    stream = torch.randn(5, lm.anatomy.d_model // 2, dtype=torch.float64)
    mirrored = torch.cat([stream, -stream], dim=-1)
    normed = lm.anatomy.final_norm(mirrored)
    torch.testing.assert_close(normed, mirrored, rtol=1e-15, atol=1e-15)


def test_no_analysis_left_a_hook_or_changed_a_parameter() -> None:
    lm = opened("induction")
    before = fingerprint(lm)
    runs: list[Callable[[], object]] = [
        lambda: found("induction", "lrp", attention="frozen"),
        lambda: found("induction", "circuit", corrupted="efghi", search="greedy", keep=0.9),
        lambda: found("induction", "path_patching", corrupted="efghi", receiver="1.2"),
    ]
    for run in runs:
        run()
    assert fingerprint(lm) == before
