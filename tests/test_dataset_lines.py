"""One grammar of the lines that hold prompts: what circuits, pairs and the table of prompts read alike."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from interpboard.circuits.discovery.cases import tokenize_examples
from interpboard.circuits.discovery.examples import Example, read_examples
from interpboard.datasets.dataset_lines import dataset_lines, dataset_text
from interpboard.errors import BadParameter, BadPrompt, InterpBoardError
from interpboard.patching.prompt_pairs import pair_fields
from interpboard.runs.references import resolve_token
from tests import dataset_lines_before as before
from tests.tokenizers import lm_of
from tui.files.prompt_file import check_dataset, read_prompt_file


def test_the_old_lines_are_read_as_before() -> None:
    assert read_examples("a => b | c/d | '7'") == [Example("a", "b", (" c", " d"), ("7",))]
    assert read_examples('{"a": 1} is') == [Example('{"a": 1} is')]
    assert read_examples('{"a": 1}') == [Example('{"a": 1}')]
    assert pair_fields("a => b =>  c") == [("a", "b", " c")]


def test_an_arrow_or_a_bar_of_a_prompt_has_a_backslash() -> None:
    (example,) = read_examples(r"x \=> y \| z => u \=> v | w")
    assert example == Example("x => y | z", "u => v", (" w",))
    assert pair_fields(r"x \=> y => u \=> v =>  w") == [("x => y", "u => v", " w")]


def test_a_line_of_json_says_everything_as_it_is() -> None:
    given = {"clean": "x => y | z\n", "corrupted": "\u2028 u", "target": [" a", "#7"], "foil": "b"}
    line = json.dumps(given, ensure_ascii=False)
    assert read_examples(line) == [Example("x => y | z\n", "\u2028 u", (" a", "#7"), ("b",))]
    one = json.dumps({"clean": "a => b", "corrupted": " c ", "target": " d"})
    assert pair_fields(f"{one}\na => b") == [("a => b", " c ", " d"), ("a", "b")]


def test_a_file_of_lines_drops_the_mark_at_its_beginning(tmp_path) -> None:
    file = tmp_path / "lines.jsonl"
    file.write_text('\ufeff{"clean": "a"}\r\nb => c\r\n', encoding="utf-8")
    assert read_examples(str(file)) == [Example("a"), Example("b", "c")]


@pytest.mark.parametrize(
    "line",
    ['{"clean": "a"', '{"clean": 5}', '{"clean": "a", "answer": "b"}', '{"clean": "a", "target": 5}',
     '{"clean": "a", "target": []}', '{"corrupted": "a"}', '{"clean": "a", "corrupted": 5}',
     "a => b => c | d"],
)  # fmt: skip
def test_a_damaged_line_is_refused(line: str) -> None:
    with pytest.raises(BadParameter):
        read_examples([line])


@pytest.mark.parametrize(
    "line", ['{"clean": "a"}', '{"clean": "a", "foil": "b"}', '{"clean": "a"', "a"]
)
def test_a_damaged_pair_is_refused(line: str) -> None:
    with pytest.raises(BadParameter):
        pair_fields(line)


PIECES = st.sampled_from(
    ["=>", " => ", "  =>  ", " | ", "\\=>", " \\| ", "|", "\\", "a", "b c", " ", "  ", "'x'", "#7", "/", "{",
     "}", "\t", "\u2028", "é", ":"]
)  # fmt: skip
LINES = st.lists(PIECES, min_size=1, max_size=9).map("".join)


@settings(max_examples=300, deadline=None)
@given(LINES)
def test_every_pair_that_was_read_is_read_the_same(line: str) -> None:
    """But for a bar, which now begins the answers, and for what is blank, which is refused by its line."""
    was = before.pair(line)
    assume(was is not None and not line.startswith(("#", "\\#")) and " | " not in line)
    if before.has_blank(line):
        with suppress(BadParameter):
            assert pair_fields(line) == [was]
        return
    assert pair_fields(line) == [was]
    assert pair_fields([line]) == [was]


@settings(max_examples=300, deadline=None)
@given(LINES)
def test_every_example_that_was_read_is_read_the_same(line: str) -> None:
    was = before.example(line)
    assume(was is not None and line.strip() and not line.startswith(("#", "\\#")))
    if before.has_blank(line):
        with pytest.raises(BadParameter, match=r"^Line 1"):
            read_examples(line)
        return
    assert was is not None
    assert read_examples(line) == [Example(*was)]


@pytest.mark.parametrize(
    ("line", "example", "pair"),
    [  # as both readers read them when there were two; None: refused
        ("a => b", ("a", "b"), ("a", "b")),
        ("a=>b", ("a", "b"), ("a", "b")),
        ("a  => b ", ("a", "b"), ("a ", "b ")),
        (r"1 \=> 2 => 1 \=> 3", ("1 => 2", "1 => 3"), ("1 => 2", "1 => 3")),
        (r"x \| y => z \| y", ("x | y", "z | y"), ("x | y", "z | y")),
        ('{"clean": " a", "corrupted": "b "}', (" a", "b "), (" a", "b ")),
        ('{"a": 1} => b', ('{"a": 1}', "b"), ('{"a": 1}', "b")),
        ("a", ("a",), None),
        ("a => b => c => d => e", None, None),
        ('{"clean": 5, "corrupted": "b"}', None, None),
    ],
)
def test_recorded_lines_are_read_as_they_were(
    line: str, example: tuple[str, ...] | None, pair: tuple[str, ...] | None
) -> None:
    for read, was in (
        (
            lambda: [(e.clean, e.corrupted)[: len(example or ())] for e in read_examples(line)],
            example,
        ),
        (lambda: pair_fields(line), pair),
    ):
        if was is None:
            with pytest.raises(BadParameter, match=r"^Line 1"):
                read()
        else:
            assert read() == [was]


def test_answers_of_either_form_are_read_by_every_reader(tmp_path: Path) -> None:
    path = tmp_path / "both.txt"
    path.write_text("a => b | c | d\na => b =>  c =>  d\n", encoding="utf-8")
    assert read_examples(str(path)) == [Example("a", "b", (" c",), (" d",))] * 2
    assert pair_fields(path.read_text()) == [("a", "b", " c", " d")] * 2
    file = read_prompt_file(path)
    assert (file.texts, file.targets) == (("a", "a"), (" c", " c"))


def test_comments_are_no_lines_for_any_reader_and_a_prompt_may_begin_with_a_hash(
    tmp_path: Path,
) -> None:
    path = tmp_path / "comments.txt"
    path.write_text("# pairs\n#\n\\# a => # b\n\n#c => d\n", encoding="utf-8")
    assert [example.clean for example in read_examples(str(path))] == ["# a", "#c"]
    assert read_examples(["# pairs", "a"]) == [Example("a")]
    assert pair_fields(path.read_text()) == [("# a", "# b"), ("#c", "d")]
    assert read_prompt_file(path).texts == ("# a", "#c")


BAD = [
    ("a => b | c | d | e", "more than a target and a foil"),
    ("a => b => c | d", "behind arrows and behind bars"),
    ("a =>", "nothing behind its arrow"),
    ("=> b", "no prompt in front"),
    ("a => b |  | d", "empty answer"),
    ("a => b | c/ ", "empty answer"),
    ('{"clean": "a"', "no JSON"),
    ('{"clean": "a", "answer": "b"}', "'answer'"),
    ('{"clean": "a", "target": []}', "neither a text nor a list"),
]


@pytest.mark.parametrize(("line", "why"), BAD)
def test_an_error_names_the_file_and_the_line_in_one_line(
    line: str, why: str, tmp_path: Path
) -> None:
    path = tmp_path / "some.txt"
    path.write_text(f"# counted\n\na => b\n{line}\n", encoding="utf-8")
    for read in (lambda: read_examples(str(path)), lambda: check_dataset(path)):
        with pytest.raises(
            (BadParameter, BadPrompt), match=rf"^Line 4 of .*some\.txt.*{why}"
        ) as raised:
            read()
        assert "\n" not in str(raised.value)
    with pytest.raises(BadParameter, match=rf"^Line 4, .*{why}"):
        pair_fields(path.read_text())


@pytest.mark.parametrize(("line", "why"), BAD)
def test_a_line_that_cannot_be_used_is_a_row_with_its_reason(
    line: str, why: str, tmp_path: Path
) -> None:
    path = tmp_path / "some.txt"
    path.write_text(f"a | b\n{line}\nc\n", encoding="utf-8")
    file = read_prompt_file(path)
    assert file.texts == ("a", line, "c")
    assert file.problem(0) == file.problem(2) == ""
    assert why in file.problem(1)
    assert (file.step(1, ""), file.step(-1, "")) == (0, 2)
    assert [line.problem != "" for line in dataset_lines(path.read_text())] == [False, True, False]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("a | b", "no pair"),
        ("a => b | c/d", "several answers"),
        ('{"clean": "a", "corrupted": "b", "foil": "c"}', "without a target"),
        ('{"clean": "a", "corrupted": "b", "subject": "a"}', "subject"),
    ],
)
def test_what_is_an_example_but_no_pair_is_refused_as_one(line: str, why: str) -> None:
    assert read_examples(line)
    with pytest.raises(BadParameter, match=rf"^Line 2, .*{why}"):
        pair_fields(f"a => b\n{line}")


def test_a_dataset_without_an_end_is_refused_by_every_reader() -> None:
    with pytest.raises(BadParameter, match="more than"):
        dataset_text(Path("/dev/zero"))


def test_lines_are_read_without_torch() -> None:
    code = (
        "import sys, tui.files.prompt_file, interpboard.datasets.dataset_lines as d;"
        "assert d.dataset_lines('a => b')[0].corrupted == 'b';"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@settings(max_examples=60, deadline=None)
@given(st.text("{}\":=>\\| abc/'#1\n[],é", max_size=40))
def test_any_lines_are_examples_or_one_of_our_errors(text: str) -> None:
    for read in (read_examples, pair_fields):
        try:
            read(text)
        except InterpBoardError as error:
            assert str(error)  # noqa: PT017 - any of them will do


def test_answers_are_tokens_by_text_or_by_id() -> None:
    lm = lm_of("llama")
    john = resolve_token(lm, " John").id
    lines = f"John is => Mary is | #{john} | Mary\nMary is => John is | Mary | John"
    cases = tokenize_examples(lm, read_examples(lines))
    assert cases[0].targets == cases[1].foils == (john,)


def test_what_the_tokenizer_appends_is_not_the_position_that_is_measured() -> None:
    lm = lm_of("both ends")
    (case,) = tokenize_examples(lm, read_examples(["John is => Mary is | John | Mary"]))
    assert case.clean.token_ids[-1] != lm.tokenizer.eos_token_id
    assert case.corrupted is not None
    assert len(case.corrupted.token_ids) == len(case.clean.token_ids)
