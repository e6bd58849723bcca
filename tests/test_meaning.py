"""What a sign means follows the metric, and one place says it."""

from __future__ import annotations

import ast
import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interpboard.analyze import analyze
from interpboard.attribution.occlusion import occlusion
from interpboard.circuits.heads.ablation import head_ablation
from interpboard.circuits.heads.ablator import AttentionHeadAblator
from interpboard.interventions.steering import steering
from interpboard.patching.activation import activation_patching
from interpboard.patching.causal_tracing import causal_trace
from interpboard.patching.paths import path_patching
from interpboard.registry import ANALYSES
from interpboard.registry.metric_names import METRICS
from interpboard.results import Axis, MetricInfo, MetricRequest, Result, TokenRef
from interpboard.results.signs import legend_of, side_of, sides_of
from interpboard.visualization.colors import MIDDLE
from interpboard.visualization.reading import scale_of
from tests import sample
from tests.lm import TEXT, case, tiny_lm

ROOT = Path(__file__).parents[1]
CORRUPTED = TEXT.replace("located", "cabinet")
# Where sentences of a sign are made, and where the difference of two results is worded.
SOURCES = {
    "interpboard/registry/reading.py", "interpboard/comparison/difference.py",
    "interpboard/results/signs.py",
}  # fmt: skip
SENTENCE = re.compile(
    r"\b(?:positive|negative)(?::| means)|\bhelp(?:s|ed)\b|\bhurts?\b|carr(?:ies|ied) the answer"
    r"|\b(?:raises|raised|lowers|lowered) (?:it|the (?:metric|logit|behaviour))\b",
    re.IGNORECASE,
)


def test_no_other_module_says_what_a_sign_means() -> None:
    found = []
    for path in sorted([*ROOT.glob("interpboard/**/*.py"), *ROOT.glob("tui/**/*.py")]):
        name = path.relative_to(ROOT).as_posix()
        if name in SOURCES or name.startswith("interpboard/models/demo/"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            text = node.value if isinstance(node, ast.Constant) else None
            said = SENTENCE.search(" ".join(text.split())) if isinstance(text, str) else None
            found += [f"{name}:{node.lineno}: {said[0]}"] if said else []
    for path in ROOT.glob("interpboard/visualization/**/*.html"):
        found += [path.name] * bool(SENTENCE.search(path.read_text(encoding="utf-8")))
    assert not found, "\n".join(found)


def _requested(name: str) -> dict[str, Any]:
    return {"name": name, "target": "T", **({"foil": "!"} if name == "logit_diff" else {})}


@pytest.mark.parametrize("name", METRICS)
def test_the_sentence_about_an_ablated_head_is_true(name: str) -> None:
    lm, prompt, metric = case(
        "gpt2", target="T", **({"foil": "!"} if name == "logit_diff" else {}), name=name
    )
    result = head_ablation(lm, prompt, metric)
    logits = head_ablation(*case("gpt2", target="T", name="logprob"))
    below, above = sides_of(result.meaning)
    if name == "kl":
        assert (result.values >= -1e-6).all()
        assert not below
        assert "not to say that it helped" in above
        return
    helped = "helped" in above
    assert ("helped" in below) != helped
    # The head whose removal costs the target most by this metric is one that the sentence says helped.
    at = np.unravel_index(
        (result.values if helped else -result.values).argmax(), result.values.shape
    )
    assert "helped" in side_of(result.meaning, float(result.values[at]), result.neutral)
    if name in ("prob", "rank"):  # each is a function of how likely the target is
        sure = [a for a in np.ndindex(result.values.shape) if abs(result.values[a]) > 1e-6]
        for a in sure if name == "prob" else []:
            says = "helped" in side_of(result.meaning, float(result.values[a]), 0.0)
            assert says == (logits.values[a] < 0)


@pytest.mark.parametrize("name", ["logit", "prob", "logprob", "rank", "kl"])
def test_the_sentence_about_what_is_restored_or_taken_is_true(name: str) -> None:
    lm, prompt, metric = case("gpt2", name=name)
    restored = causal_trace(lm, prompt, metric, subject="Eiffel", samples=2)
    # All of the stream at the last position after the last layer is the clean run itself.
    last = float(restored.values[-1, -1])
    total = float(restored.extra["total_effect"].values)
    assert last == pytest.approx(total, abs=1e-4)
    if not restored.warnings:
        assert restored.extra["recovered"].values[-1, -1] == pytest.approx(1, abs=1e-3)
    better = total > 0 if name not in ("rank", "kl") else total < 0
    said = side_of(restored.meaning, last, restored.neutral)
    if total:
        assert (
            bool(re.search("carries the answer|brings the clean prediction back", said)) == better
        )


@pytest.mark.parametrize("name", METRICS)
def test_in_noising_one_is_no_effect_and_what_stands_out_is_far_from_it(name: str) -> None:
    extra = {"foil": "!", "target": "T"} if name == "logit_diff" else {}
    lm, prompt, metric = case("gpt2", name=name, **extra)
    result = activation_patching(
        lm, prompt, metric, corrupted=CORRUPTED, direction="noising", site="z"
    )
    assert result.neutral == 1.0
    assert result.meaning.count("below 1: ") == result.meaning.count("above 1: ") == 1
    if np.isnan(result.values).all():
        return
    best = result.top(1)[0].value
    assert abs(best - 1) == pytest.approx(np.nanmax(np.abs(result.values - 1)))
    assert scale_of(result).level(1.0) == MIDDLE


@pytest.mark.parametrize("name", ["logit", "rank", "kl"])
def test_the_sentences_of_paths_tokens_and_steering_follow_the_metric(name: str) -> None:
    lm, prompt, metric = case("gpt2", name=name)
    paths = path_patching(lm, prompt, metric, corrupted=CORRUPTED)
    below, above = sides_of(paths.meaning)
    carried = {"logit": below, "rank": above, "kl": above}[name]
    assert "carried" in carried
    tokens = occlusion(lm, prompt, metric)
    said = {"logit": "raised", "rank": "hurt", "kl": "further"}[name]
    assert said in sides_of(tokens.meaning)[1]
    steered = steering(
        lm, prompt, metric, positive="The city", negative="A store", new_tokens=0, scales=(1.0,)
    )
    assert (
        sides_of(steered.meaning)[1]
        == {
            "logit": "it raises it",
            "rank": "it hurts the target (its rank is worse)",
            "kl": "the vector changes the prediction at that scale (not in which direction)",
        }[name]
    )
    assert steered.values[0] == 0.0  # scale 0 is the model as it is
    assert not np.signbit(steered.values[0])


def test_critical_heads_are_those_that_helped_whatever_the_metric() -> None:
    values = np.array([[3.0, -2.0]])
    axes = (Axis("layer", ("0",)), Axis("head", ("0", "1")))
    ablator = AttentionHeadAblator(tiny_lm().model, tiny_lm().tokenizer)
    for name, head in (("logit", 1), ("rank", 0), ("kl", 0)):
        made = sample.result("head_ablation", axes, values)
        made = _with_metric(made, name)
        assert [one.head for one in ablator.find_critical_heads(made)] == [head]


def test_a_foil_that_the_metric_does_not_use_is_named_nowhere_and_warned_of() -> None:
    lm = tiny_lm()
    for name in ("logit", "prob", "logprob", "rank"):
        request = MetricRequest(name, "T", "!")
        document = analyze(lm, TEXT, ("head_ablation",), request)
        (result,) = document.results
        assert result.metric.foil is None
        (warning,) = result.warnings
        assert warning == f"The foil ! is not used by the metric {name}; logit_diff uses it."
        old = _with_metric(result, name, TokenRef(1, "!"))  # as results were saved before
        for shown in (old.to_text(), old.to_markdown(), repr(old)):
            assert "against" not in shown
        assert ",T,!," not in old.to_csv()
    (used,) = analyze(lm, TEXT, ("head_ablation",), MetricRequest("logit_diff", "T", "!")).results
    assert "logit_diff of T against !" in used.to_text()
    assert not used.warnings


def test_a_result_saved_before_is_read_with_the_registrys_words() -> None:
    made = sample.result(
        "activation_patching", (Axis("layer", ("0",)),), [1.0], params={"direction": "noising"}
    )
    text = (
        made.to_json()
        .replace(f'"{made.meaning}"', '""')
        .replace('"neutral": 1.0', '"neutral": 0.0')
    )
    again = Result.from_json(text)
    assert (again.neutral, again.meaning) == (1.0, made.meaning)


def test_a_magnitude_has_no_sign_and_says_so() -> None:
    for name, params in (("saliency", {}), ("attribution_patching", {"method": "atp_star"})):
        meaning = ANALYSES[name].meaning_for("logit", params)
        assert meaning.endswith("a size, without sign")
        assert legend_of(meaning, 0.0) == ""


def test_nothing_is_nothing_in_every_view_and_never_minus_nothing() -> None:
    axes = (Axis("layer", ("0", "1")), Axis("head", ("0",)))
    made = sample.result("head_ablation", axes, np.array([[-0.0], [2.0]]))
    views = (made.to_text(), made.to_markdown(), made.to_html(), made.to_csv(), repr(made))
    for shown in views:
        assert not re.search(
            r"[-−]0(?:\.0*)?(?![.\d])",
            re.sub(r"(?s)<(?:style|script).*?</(?:style|script)>", "", shown),
        )


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.floats(-3, 3), min_size=2, max_size=6, unique=True),
    st.sampled_from([0.0, 1.0, -0.5]),
    st.sampled_from(METRICS),
)
def test_every_view_ranks_by_distance_from_neutral_and_prints_the_meaning_it_carries(
    numbers: list[float], neutral: float, metric: str
) -> None:
    key = ("negative", "positive") if neutral == 0 else (f"below {neutral:g}", f"above {neutral:g}")
    meaning = f"made up; {key[0]}: the thing sank; {key[1]}: it rose"
    layers = Axis("layer", tuple(map(str, range(len(numbers)))))
    made = sample.result(
        "something_new", (layers, Axis("head", ("0",))), np.array(numbers)[:, None]
    )
    made = _replaced(_with_metric(made, metric), neutral=neutral, meaning=meaning)
    values = [entry.value for entry in made.top(len(numbers))]
    far = [abs(value - neutral) for value in values]
    step = 1e-6 * max(far, default=0.0)  # what differs by rounding alone stands as it came
    assert all(one >= other - step for one, other in itertools.pairwise(far))
    scale = scale_of(made)
    assert scale.center == neutral
    for value in numbers:
        level = scale.level(value)
        assert level <= MIDDLE if value < neutral else level >= MIDDLE
        said = side_of(meaning, value, neutral, short=True)
        assert said == ("sank" if value < neutral else "rose" if value > neutral else "")
    for shown in (made.to_text(), made.to_markdown(), made.to_html()):
        said = " ".join(re.sub("<[^>]*>", " ", shown).split())
        assert meaning in said
    if max(far) > 0 and not scale.of_shares:
        assert f"layer {made.top(1)[0].labels['layer']} head 0" in " ".join(made.to_text().split())


def _replaced(result: Result, **changes: Any) -> Result:
    import msgspec

    return msgspec.structs.replace(result, **changes)


def _with_metric(result: Result, name: str, foil: TokenRef | None = None) -> Result:
    target = result.metric.target or TokenRef(0, "T")
    return _replaced(
        result, metric=MetricInfo(name, result.metric.position, target, foil), meaning=""
    )
