"""Every code block of the README and the documentation does what it shows.

``UPDATE_DOCS=1`` writes what the blocks print into the pages, to be read in the diff.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from interpboard import config
from interpboard.cli.main import main
from interpboard.models import language_model
from interpboard.models.language_model import LanguageModel
from tests.docs.blocks import NOT_RUN, PAGES, ROOT, Block, blocks, commands, output_of, same_output

RUNS = ("python", "bash")
# What stands in the pages without being run, and why: (page, reason).
NEVER_RUN = [
    ("README.md", "they are what it runs"),
    ("README.md", "needs a network and your model"),
    ("CONTRIBUTING.md", "they are what it runs"),
    ("docs/install.md", "they are what it runs"),
    ("docs/install.md", "needs a package index"),
    ("docs/install.md", "needs a model hub"),
    ("docs/models.md", "needs your models"),
    ("docs/releasing.md", "builds and installs the wheel"),
    ("docs/terminal.md", "opens the app"),
    ("docs/terminal.md", "it needs a saved session"),
    ("docs/tutorials/classifiers.md", "needs your model"),
    ("docs/tutorials/is-the-model-biased-here.md", "needs your model"),
]  # fmt: skip


@pytest.fixture(scope="module")
def demo() -> LanguageModel:
    return language_model.open_model("demo")


@pytest.fixture
def _demo_is_loaded_once(demo: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command line would load it anew; that it does is tested where commands are."""
    load = language_model.open_model

    def open_model(name: str | Path = "demo", *where: str, **options: Any) -> LanguageModel:
        return demo if name == "demo" else load(name, *where, **options)

    monkeypatch.setattr(language_model, "open_model", open_model)


names = [str(page.relative_to(ROOT)) for page in PAGES]


@pytest.mark.usefixtures("_demo_is_loaded_once")
@pytest.mark.parametrize("page", PAGES, ids=names)
def test_the_blocks_of_a_page_do_what_they_show(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    text = page.read_text(encoding="utf-8")
    found = blocks(page)
    shown: dict[str, Any] = {"__name__": "__main__"}
    changes: list[tuple[int, int, str]] = []
    for index, block in enumerate(found):
        where = f"{page.name}, line {block.line}"
        if block.not_run:
            continue
        if block.is_file:
            (tmp_path / block.title).write_text(block.body, encoding="utf-8")
            continue
        run(block, where, shown, tmp_path, monkeypatch)
        printed = capsys.readouterr().out
        output = output_of(found, index, text) if block.language in RUNS else None
        if output is None or same_output(output.body, printed):
            continue
        if not os.environ.get("UPDATE_DOCS"):
            pytest.fail(f"{where} prints\n{printed}\nand the page shows\n{output.body}")
        kept = "\n".join(line.rstrip() for line in printed.strip("\n").splitlines())
        changes.append((output.start, output.end, f"```text\n{kept}\n```"))
    for start, end, block_text in reversed(changes):
        text = text[:start] + block_text + text[end:]
    if changes:
        page.write_text(text, encoding="utf-8")


def run(
    block: Block, where: str, names: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run one block as its language asks."""
    if block.language == "python":
        exec(compile("\n" * block.line + block.body, where, "exec"), names)
    elif block.language == "bash":
        for words in commands(block.body):
            run_command(words, where, monkeypatch)
    elif block.language == "toml":
        (folder / "block.toml").write_text(block.body, encoding="utf-8")
        config.read_settings(environment={}, path=folder / "block.toml")
    elif block.language == "json":
        json.loads(block.body)
    else:
        assert block.language == "text", f"{where}: {block.language} is not run: title it so"


def run_command(words: list[str], where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """``interpboard ...``, ``python examples/NAME.py ...`` or ``python -m NAME ...`` in this process."""
    if words[0] == "interpboard":
        monkeypatch.setattr(sys, "argv", words)
        assert main(words[1:]) == 0, f"{where}: {' '.join(words)}"
    else:
        assert words[0] == "python", f"{where}: {words[0]} is not run: title the block so"
        is_module = words[1] == "-m"
        monkeypatch.setattr(sys, "argv", words[2:] if is_module else words[1:])
        if is_module:
            runpy.run_module(words[2], run_name="__main__")
        else:
            runpy.run_path(str(ROOT / words[1]), run_name="__main__")


def test_what_is_not_run_is_titled_so_and_is_this_list() -> None:
    found = [
        (str(page.relative_to(ROOT)), block.title.removeprefix(NOT_RUN))
        for page in PAGES
        for block in blocks(page)
        if block.not_run
    ]
    assert found == NEVER_RUN


def test_a_fence_that_is_opened_is_closed() -> None:
    for page in PAGES:
        fences = page.read_text(encoding="utf-8").count("```")
        assert fences == 2 * len(blocks(page)), page


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("effect +1.20 · 0.3 s", "effect  +1.21 · 12.5 s", True),
        ("effect +1.20", "effect +1.31", False),
        ("effect +1.20", "effect -1.20", False),
        ("a\n…\nd", "a\nb\nc\nd", True),
        ("a\n…\nd", "a\nb\nc", False),
        ("layer 0 head 3", "layer 0 head 4", False),
        ("Paris ███▍ 95.85%", "Paris ███▌ 95.86%", True),
        ("a", "a\nb", False),
    ],
)
def test_outputs_are_compared_by_words_and_by_numbers(shown: str, printed: str, same: bool) -> None:
    assert same_output(shown, printed) is same
