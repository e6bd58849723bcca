"""The page for a terminal says all in characters, keeps its columns, and lets nothing act."""

from __future__ import annotations

import re
import unicodedata

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.color import Color, ColorSystem
from rich.console import Console

from interpboard.results import Axis, Document, LabelledArray, PromptInfo, layer_axis
from interpboard.visualization.blocks import PageStyle, bars, grid, lens, strip
from interpboard.visualization.colors import DARK, LIGHT, Scale
from interpboard.visualization.markdown import markdown
from interpboard.visualization.terminal import color_wanted, dashboard, render
from tests import sample

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def section(page: str, title: str) -> list[str]:
    """The lines of the section called ``title``."""
    lines = page.split("\n")
    start = next(i for i, line in enumerate(lines) if line.startswith(title))
    return lines[start : next((i for i in range(start, len(lines)) if not lines[i]), len(lines))]


def test_the_page_begins_with_the_model_and_the_prompt() -> None:
    first, second, *_ = render(sample.full(), 100).split("\n")
    assert first == "demo · llama · 3 layers × 4 heads · float32 · cpu · path replay"
    assert second == "prompt: The Eiffel Tower is located in the city of"


def test_the_likeliest_token_is_on_top_with_its_space_shown_and_its_probability() -> None:
    lines = section(render(sample.full(), 100), "Next tokens")
    assert re.fullmatch(r"1  ·Paris   +█+.? +81\.00%", lines[4])
    assert lines[5].startswith("2  ·Rome")


def test_every_section_names_metric_position_clean_value_and_meaning_of_the_sign() -> None:
    lines = section(render(sample.full(), 100), "Head ablation")
    assert lines[1] == "metric: logit of ·Paris at position 8 (·of) · clean run 12.34"
    assert (
        lines[2]
        == "effect = metric(head ablated) − metric(clean); negative: the head helped; positive: it hurt"
    )
    assert lines[3] == "ablation=zero · layers=all · heads=all · 0.25 s, path replay"


def test_the_foil_is_named() -> None:
    metric = sample.MetricInfo(
        "logit_diff", 8, sample.TokenRef(1, " Paris"), sample.TokenRef(2, " Rome")
    )
    one = sample.result("head_ablation", (layer_axis(1),), [0.5], metric=metric)
    assert "logit_diff of ·Paris against ·Rome at" in render(sample.document(one), 100)


def test_the_prompt_carries_a_signed_number_under_each_token() -> None:
    lines = section(render(sample.full(), 100), "Integrated gradients")
    tokens, numbers = lines[5], lines[6]  # the meaning takes two lines
    assert tokens.split() == ["The", *(t.replace(" ", "·") for t in sample.TOKENS[1:])]
    assert numbers.split() == ["-1.000", "+.5000", *["·"] * 7]
    assert tokens.index("·Eiffel") == numbers.index("+.5000")
    assert "delta: 0.00123" in lines


def test_the_grid_of_heads_shows_signs_without_colour_and_unknown_cells_as_dots() -> None:
    lines = section(render(sample.full(), 100), "Head ablation")
    assert lines[4].split() == ["layer\\head", "0", "1", "2", "3"]
    assert [line.split() for line in lines[5:8]] == [
        ["0", "+.2500", "0", "0", "0"],
        ["1", "0", "0", "-1.500", "0"],
        ["2", "0", "0", "0", "·"],
    ]
    assert lines[8] == "strongest: layer 1 head 2 -1.5; layer 0 head 0 +0.25"


def test_the_lens_shows_the_top_token_and_the_targets_percentage() -> None:
    lines = section(render(sample.full(), 120), "Logit lens")
    assert lines[4].split() == ["position", *map(str, range(9))]
    assert lines[6].split() == ["embed", *(f"·0.{p}" for p in range(9))]
    assert lines[9].split() == ["2", *(part for p in range(9) for part in (f"·3.{p}", "75"))]


def test_the_layer_from_which_the_top_token_stays_is_the_last_row() -> None:
    found = sample.lens()
    first = LabelledArray(found.axes[1:], np.array([-1, 0, 1, 2, 2, 2, 2, 1, 2]))
    known = msgspec.structs.replace(found, extra={**found.extra, "convergence": first})
    lines = section(render(sample.document(known), 120), "Logit lens")
    assert lines[10].split() == ["settled", "embed", *"01222212"]
    assert "settled: the layer from which on the top token is the final one" in lines[12]
    row = [line for line in markdown(sample.document(known)).split("\n") if "| settled" in line]
    assert row == ["| settled | `embed` | `0` | `1` | `2` | `2` | `2` | `2` | `1` | `2` |"]
    broken = LabelledArray(found.axes[1:], np.array([7.0, *[np.nan] * 8]))
    odd = msgspec.structs.replace(found, extra={**found.extra, "convergence": broken})
    assert "settled" not in render(sample.document(odd), 120)


def test_what_is_in_the_answer_after_each_layer_stands_below_its_parts() -> None:
    parts = (Axis("component", ("embed", "L0 MLP")),)
    by_layer = layer_axis(1, embed=True)
    one = {"accumulated": LabelledArray((by_layer,), np.array([1.0, -2.5]))}
    runs = Axis("run", ("clean", "edited"))
    both = {"accumulated": LabelledArray((by_layer, runs), np.array([[1.0, 1.0], [-2.5, 4.0]]))}
    clean = sample.result("direct_logit_attribution", parts, [1.0, -3.5], one)
    lines = section(render(sample.document(clean), 100), "Direct logit attribution")
    (at,) = [
        i for i, line in enumerate(lines) if line.startswith("the sum up to and with each layer")
    ]
    assert lines[at + 1].split()[0::2] == ["embed", "+1.0000"]
    assert lines[at + 2].split() == ["layer", "0", "█" * 40, "-2.5000"]
    edited = sample.result(
        "edited_direct_attribution", (*parts, runs), [[1.0, 1.0], [-3.5, 3.0]], both
    )
    page = markdown(sample.document(edited))
    for run, last in (("clean", "-2.5"), ("edited", "+4")):
        assert f"{run} run: the sum up to and with each layer" in page
        assert f"| `layer 0` | {last} |" in page


def test_a_lens_wider_than_the_page_is_split_and_ends_with_the_last_positions() -> None:
    lines = render(sample.full(), 60).split("\n")
    heads = [line.split()[1:] for line in lines if line.startswith("position")]
    assert [p for head in heads for p in head] == [str(p) for p in range(9)]
    assert len(heads) == 3
    assert len(heads[0]) == 1
    assert heads[-1] == ["5", "6", "7", "8"]
    assert sum(line.startswith("embed") for line in lines) == 3


def test_roles_and_indices_of_many_prompts_have_no_row_of_positions() -> None:
    axes = (layer_axis(2), Axis("token", ("first", "between", "explained")))
    own = sample.document(
        sample.result("causal_trace", axes, np.ones((2, 3))), tokens=("a", "b", "c")
    )
    assert re.search("^position ", render(own, 100), re.M)
    rows = msgspec.structs.replace(own, prompt=PromptInfo("rows of ioi.toml", (), ()))
    assert not re.search("^position ", render(rows, 100), re.M)


def test_a_warning_is_on_the_page() -> None:
    warned = sample.result("head_ablation", (layer_axis(1),), [0.5], warnings=("not exact",))
    assert "warning: not exact" in render(sample.document(warned), 80).split("\n")


@pytest.mark.parametrize(
    ("shape", "shown"),
    [
        ((), "2"),
        ((2,), "a  "),
        ((2, 2), "one\\two"),
        ((2, 2, 2), "b a b  ████"),
        ((0,), "(no values)"),
        ((0, 2), "(no values)"),
    ],
)
def test_an_analysis_nobody_knows_is_shown_by_its_shape(shape: tuple[int, ...], shown: str) -> None:
    axes = tuple(
        Axis(name, ("a", "b")[:size])
        for name, size in zip(("one", "two", "three"), shape, strict=False)
    )
    page = render(sample.document(sample.result("brand_new", axes, np.full(shape, 2.0))), 80)
    assert page.split("\n")[3].startswith("brand_new ─")
    assert any(line.startswith(shown) for line in page.split("\n"))


def test_without_colour_the_page_holds_no_escape_sequence_at_all() -> None:
    assert "\x1b" not in render(sample.hostile(), 80)


def test_colour_changes_no_character_and_uses_only_its_own_sequences() -> None:
    for document in (sample.full(), sample.hostile()):
        painted = render(document, 80, color="256")
        bare = ESCAPE.sub("", painted)
        assert "\x1b" not in bare
        plain = render(document, 80)
        assert "\n".join(line.rstrip() for line in bare.split("\n")) == plain


def test_the_ends_of_the_scale_are_painted_in_its_two_colours() -> None:
    for dark, colors in ((True, DARK), (False, LIGHT)):
        page = render(sample.full(), 100, color="256", dark=dark)
        for color in (colors[0], colors[-1]):
            assert f"48;5;{Color.parse(color).downgrade(ColorSystem.EIGHT_BIT).number}m" in page


def test_a_page_has_the_colours_asked_for_whatever_was_painted_before_it() -> None:
    of_their_own = {"truecolor": "8;2;", "256": "8;5;", "16": ""}
    for color in ("truecolor", "256", "16", "truecolor", "16", "256"):
        page = render(sample.full(), 100, color=color)
        held = {code for code in ("8;2;", "8;5;") if code in page}
        assert held == {of_their_own[color]} - {""}


def test_hostile_strings_never_act() -> None:
    page = render(sample.hostile(), 80)
    assert not {unicodedata.category(c) for c in page if c != "\n"} & {"Cc", "Cf"}
    assert "[/bold]" in page
    assert "evil␛[31m/[bold]model" in page
    assert "warning: ␛[2Jgone" in page


@settings(max_examples=25, deadline=None)
@given(sample.documents(), st.integers(24, 130), st.booleans())
def test_no_line_is_wider_than_the_page_and_no_character_acts(
    document: Document, width: int, ascii_only: bool
) -> None:
    page = render(document, width, ascii_only=ascii_only)
    for line in page.split("\n"):
        assert cell_len(line) <= width
        assert not {unicodedata.category(char) for char in line} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert page.isascii() or not ascii_only


def test_in_ascii_the_page_is_ascii() -> None:
    page = render(sample.hostile(), 80, ascii_only=True)
    assert page.isascii()
    assert "_Paris" in page
    assert "####" in page


def test_columns_stay_aligned_under_wide_characters() -> None:
    tokens = ("日本語", "a", "🎉", "\n")
    lines = strip(np.array([1.0, -1, 0.5, 0]), tokens, Scale(1.0), PageStyle(80))
    upper, lower = (line.plain for line in lines)
    for token, number in (("a", "-1.000"), ("🎉", "+.5000"), ("⏎", "0")):
        before = upper[: upper.index(token)], lower[: lower.rindex(number)]
        assert cell_len(before[0]) == cell_len(before[1])
    page = PageStyle(60)
    top = np.array([tokens, tokens], dtype=object)
    wide = lens(np.zeros((2, 4)), top, ("0", "1"), tokens, page)
    assert len({line.cell_len for line in wide[2:]}) == 1
    narrow = grid(np.zeros((4, 2)), tokens, ("a", "b"), "x", Scale(1.0), page)
    assert len({line.cell_len for line in narrow}) == 1


def test_a_wide_grid_is_split_into_blocks_that_repeat_the_row_labels() -> None:
    values = np.arange(2 * 30).reshape(2, 30) - 30.0
    columns = [str(i) for i in range(30)]
    lines = [
        line.plain
        for line in grid(values, ("0", "1"), columns, "layer", Scale(60.0), PageStyle(50))
    ]
    assert max(map(cell_len, lines)) <= 50
    heads = [line.split()[1:] for line in lines if line.startswith("layer")]
    assert [c for head in heads for c in head] == columns
    assert len(heads) > 1
    shown = [line.split()[1:] for line in lines if line.startswith("1 ")]
    assert [float(v) for row in shown for v in row] == values[1].tolist()


def test_bars_grow_with_their_values_and_a_value_not_known_has_none() -> None:
    values = np.array([1.0, 0.5, 0.0, np.nan])
    lines = bars(values, ("a", "b", "c", "d"), Scale(1.0, False), PageStyle(60))
    lengths = [line.plain.count("█") for line in lines]
    assert lengths[0] == 2 * lengths[1] > 0
    assert lengths[2:] == [0, 0]
    assert [line.plain.split()[-1] for line in lines] == ["100.00%", "50.00%", "0.00%", "·"]


def test_the_dashboard_can_be_printed_by_any_rich_console() -> None:
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(dashboard(sample.hostile(), 80))
    assert "·Paris" in console.export_text()
    console.file.close()


@pytest.mark.parametrize(
    ("choice", "terminal", "environment", "wanted"),
    [
        ("auto", True, {}, "256"),
        ("auto", False, {}, ""),
        ("auto", True, {"NO_COLOR": "1"}, ""),
        ("auto", True, {"NO_COLOR": ""}, "256"),
        ("auto", True, {"TERM": "dumb"}, ""),
        ("256", False, {"NO_COLOR": "1"}, "256"),
        ("16", False, {}, "16"),
        ("none", True, {}, ""),
    ],
)
def test_colour_follows_the_flag_then_no_color_then_the_terminal(
    choice: str,
    terminal: bool,
    environment: dict[str, str],
    wanted: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert color_wanted(choice, terminal) == wanted


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ([["clean one", "bad one", " y"]] * 30, "clean one,bad one, y and 29 more"),
        (["The keys", "The city"], "The keys and 1 more"),
        (["The keys"], "The keys"),
        ([0, 1, 2], "0,1,2"),
        (["mean", "zero"], "mean,zero"),
        ([], ""),
    ],
)
def test_of_many_prompts_the_line_of_parameters_has_the_first(value: object, shown: str) -> None:
    own = msgspec.structs.replace(sample.ablation(), params={"pairs": value})
    for page in (render(sample.document(own), 100, color=""), markdown(sample.document(own))):
        assert f"pairs={shown}" in " ".join(page.split())
