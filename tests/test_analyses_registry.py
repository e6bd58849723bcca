"""The registry: what every front end reads."""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys

import pytest

from interpboard.errors import BadParameter
from interpboard.registry import ANALYSES, find_analysis


@pytest.mark.parametrize("name", ANALYSES)
def test_every_analysis_says_what_its_values_and_signs_mean(name: str) -> None:
    analysis = ANALYSES[name]
    assert analysis.name == name
    assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
    assert analysis.title
    assert analysis.value
    assert analysis.axes
    assert analysis.scale in ("diverging", "probability", "magnitude")


@pytest.mark.parametrize("name", ANALYSES)
def test_every_parameter_accepts_its_own_default_also_as_text(name: str) -> None:
    for parameter in ANALYSES[name].parameters:
        assert parameter.help
        if parameter.required:
            assert parameter.default is None
            with pytest.raises(BadParameter, match=f"needs .*{parameter.name}"):
                ANALYSES[name].parse({})
        elif parameter.default is None:
            assert parameter.many
            assert parameter.parse("all") is None
        else:
            assert parameter.parse(parameter.default) == parameter.default
            assert parameter.parse(str(parameter.default)) == parameter.default


@pytest.mark.parametrize("name", ANALYSES)
def test_signature_docstring_and_row_agree(name: str) -> None:
    analysis = ANALYSES[name]
    function = analysis.load()
    own = inspect.signature(function).parameters
    assert list(own)[:3] == ["lm", "prompt", "metric"]
    options = {key: own[key] for key in list(own)[3:]}
    assert all(each.kind is each.KEYWORD_ONLY for each in options.values())
    assert list(options) == [*(each.name for each in analysis.parameters), "watch"]
    doc = inspect.getdoc(function) or ""
    for parameter in analysis.parameters:
        default = options[parameter.name].default
        assert _same_default(parameter.default, default), (parameter.name, default)
        assert re.search(rf"``{parameter.name}\b", doc), f"{parameter.name} is not explained"
    for axis in analysis.axes:
        assert re.search(rf"\b{axis}\b", doc.split("\n\n")[0]), f"axis {axis} is not named"


def _same_default(in_row: object, in_signature: object) -> bool:
    """Texts that may also be a list are empty in either way; what must be given has no default."""
    if in_signature is inspect.Parameter.empty:
        return in_row in (None, "")
    return in_row == in_signature or (not in_row and in_signature in ((), None))


def test_reading_the_registry_imports_no_torch() -> None:
    code = "import sys, interpboard.registry; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_an_unknown_analysis_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(BadParameter, match="Did you mean head_ablation"):
        find_analysis("head_ablatoin")


def test_an_analysis_like_no_other_is_refused_with_the_list() -> None:
    with pytest.raises(BadParameter, match=", ".join(ANALYSES)):
        find_analysis("zzz")


def test_what_is_not_given_takes_its_default() -> None:
    parsed = find_analysis("head_ablation").parse({"ablation": "mean"})
    assert parsed["ablation"] == "mean"
    assert parsed["layers"] is parsed["heads"] is None
    assert (parsed["references"], parsed["seed"]) == ("", 0)


def test_several_numbers_are_written_with_commas() -> None:
    parsed = find_analysis("head_ablation").parse({"layers": "0, 2", "heads": [1]})
    assert parsed["layers"] == (0, 2)
    assert parsed["heads"] == (1,)


@pytest.mark.parametrize(
    ("analysis", "given", "complaint"),
    [
        ("head_ablation", {"ablatoin": "zero"}, "has no parameter 'ablatoin'"),
        (
            "head_ablation",
            {"ablation": "one"},
            "position_mean, resample, not 'one'",
        ),
        ("head_ablation", {"layers": "a"}, "takes a whole number, not 'a'"),
        ("integrated_gradients", {"n_steps": "0"}, "at least 1, not 0"),
        ("integrated_gradients", {"n_steps": "3.5"}, "takes a whole number"),
        ("logit_lens", {"top_k": ""}, "takes a whole number, not ''"),
        ("steering", {"vector": ["a.safetensors"]}, "vector takes text, not"),
        ("steering", {"vector": None}, "vector takes text, not None"),
    ],
)
def test_a_wrong_parameter_is_refused_in_words(
    analysis: str, given: dict[str, str], complaint: str
) -> None:
    with pytest.raises(BadParameter, match=complaint):
        find_analysis(analysis).parse(given)


def test_spaces_around_free_text_are_kept_and_around_everything_else_are_not() -> None:
    occlusion = find_analysis("occlusion")
    assert occlusion.parse({"baseline_text": " the"})["baseline_text"] == " the"
    assert occlusion.parse({"baseline": " text "})["baseline"] == "text"
    assert occlusion.parse({"window": " 2 "})["window"] == 2
    compared = find_analysis("compare_ablations").parse({"components": "3.5, 2.1"})
    assert compared["components"] == ("3.5", "2.1")


def test_an_analysis_stands_in_the_file_of_its_package() -> None:
    for name, analysis in ANALYSES.items():
        packages = analysis.function.split(":")[0].split(".")[1:-1]
        subject = packages[-1] if packages != ["runs"] else "predictions"
        table = importlib.import_module(f"interpboard.registry.{subject}").TABLE
        assert name in [row.name for row in table]


PACKAGES = ("interpboard.circuits", "interpboard.patching", "interpboard.attribution")


def test_a_package_of_analyses_imports_one_when_it_is_asked_for() -> None:
    code = (
        f"import sys, {', '.join(PACKAGES)}; print(sorted({{'torch', 'numpy'}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_that_a_package_of_analyses_promises_is_there(package: str) -> None:
    module = importlib.import_module(package)
    assert dir(module) == sorted(module.__all__)
    for name in module.__all__:
        assert getattr(module, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'HeadPolisher'"):
        module.HeadPolisher  # noqa: B018
