"""What the site reads from the program is whole: every key, setting, analysis and option."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path

import griffe
import pytest
import yaml
from mkdocs.exceptions import PluginError

from docs.hooks import analyses, commands, keys, loading, settings, site
from interpboard.config.settings import Settings
from interpboard.registry import ANALYSES
from interpboard.registry.loading import LIBRARIES, OPTIONS, QUANTIZE
from tui.catalogue import COMMANDS

DOCS = Path(__file__).parents[2] / "docs"


def test_every_command_of_the_app_stands_in_the_tables_of_keys_with_its_help() -> None:
    rows = keys.tables().splitlines()
    for command in COMMANDS:
        found = [row for row in rows if row.endswith(f"| `{command.id}` |")]
        assert len(found) == len(command.where), command.id
        assert all(command.help in row for row in found)
        assert all(f"`{key}`" in found[0] for key in command.shown.split())


def test_every_setting_is_listed() -> None:
    listed = settings.listed()
    for setting in fields(Settings):
        assert f"| `{setting.name}` |" in listed
        assert setting.metadata["help"] in listed


def test_every_analysis_is_listed_with_its_parameters_and_its_function() -> None:
    overview, functions = analyses.overview(), analyses.functions()
    for analysis in ANALYSES.values():
        assert f"](#{analysis.name}) |" in overview
        own = functions.split(f"{{ #{analysis.name} }}")[1].split("\n## ")[0]
        assert f"::: {analysis.function.replace(':', '.')}" in own
        assert all(f"| `{parameter.name}` |" in own for parameter in analysis.parameters)


def test_the_reference_says_that_an_analysis_gives_a_result() -> None:
    extensions = griffe.load_extensions(DOCS / "hooks" / "analysis_functions.py")
    config = yaml.safe_load(
        (DOCS.parent / "mkdocs.yml").read_text(encoding="utf-8").split("nav:")[0]
    )
    options = config["plugins"][1]["mkdocstrings"]["handlers"]["python"]["options"]
    assert options["extensions"] == ["docs/hooks/analysis_functions.py"]
    for name in ("head_ablation", "logit_lens"):
        module, _, function = ANALYSES[name].function.partition(":")
        found = griffe.load(module, search_paths=[DOCS.parent], extensions=extensions)
        assert str(found[function].returns) == "Result"
        assert found[function].parameters["watch"] is not None


def test_every_way_to_open_a_model_is_listed() -> None:
    listed, needed = loading.options(), loading.libraries()
    for option in OPTIONS:
        assert f"| `{option.flag} {option.metavar}` | `{option.name}=` |" in listed
    for library in LIBRARIES.values():
        assert f"`{library.pip}`" in needed
    for name in QUANTIZE:
        assert f"| `{name}` |" in loading.formats()


def test_every_extra_that_a_message_names_is_one_of_the_package() -> None:
    extras = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    for library in LIBRARIES.values():
        listed = {name.split(">=")[0].replace("-", "_") for name in extras[library.extra]}
        assert set(library.packages) <= listed


def test_the_help_of_every_command_is_taken_in() -> None:
    usage = commands.usage()
    for option in ("--subject", "--corpus", "--resume", "--format"):
        assert option in usage


def test_a_page_that_asks_for_what_is_not_generated_fails_the_build() -> None:
    with pytest.raises(PluginError, match="nothing is generated as 'kyes'"):
        site.fill("<!-- generated: kyes -->", "terminal.md")


def test_every_table_has_a_place_on_a_page() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in DOCS.rglob("*.md"))
    for name in site.FILLINGS:
        assert f"\n<!-- generated: {name} -->\n" in pages, name
