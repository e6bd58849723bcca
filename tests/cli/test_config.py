"""Settings come from four places, each over the one before, and say where they come from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from interpboard import config
from interpboard.cli import main as cli
from interpboard.config import Settings
from interpboard.errors import BadConfig
from tests.cli.process import ROOT
from tui import catalogue as keys
from tui.commands import keymap


def written(text: str) -> Path:
    path = config.config_file()
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_then_file_then_environment_then_flags() -> None:
    path = written('model = "a"\ndevice = "cpu"\ntheme = "light"\nkeep_runs = 3\n')
    variables = {"INTERPBOARD_DEVICE": "cuda", "INTERPBOARD_THEME": "dark"}
    found = config.read_settings({"theme": "auto", "model": None}, variables)
    assert found.settings == Settings(model="a", device="cuda", theme="auto", keep_runs=3)
    assert {name: found.origins[name] for name in ("model", "device", "theme", "dtype")} == {
        "model": str(path),
        "device": "INTERPBOARD_DEVICE",
        "theme": "--theme",
        "dtype": "default",
    }
    assert config.read_settings({"mouse": False}, {}).origins["mouse"] == "--no-mouse"


def test_every_setting_can_be_written_in_the_file_and_as_a_variable() -> None:
    samples = {
        "metric": ("prob", "prob"), "color": (256, "256"), "theme": ("dark", "dark"),
        "ascii": (True, "yes"), "mouse": (False, "0"), "batch_tokens": (64, "64"),
        "memory_mib": (64, "64"), "keep_runs": (5, "5"), "model_folders": (["a b", "c"], f"a b{os.pathsep}c"),
        "keys": ({"zoom": "U"}, "zoom=U"),
        "special_tokens": (False, "no"),
    }  # fmt: skip
    for setting in fields(Settings):
        in_file, in_variable = samples.get(setting.name, ("x", "x"))
        if isinstance(in_file, dict):
            written('[keys]\nzoom = "U"\n')
        else:
            written(f"{setting.name} = {json.dumps(in_file)}\n")
        from_file = getattr(config.read_settings(environment={}).settings, setting.name)
        written("")
        variables = {f"INTERPBOARD_{setting.name.upper()}": in_variable}
        assert (
            getattr(config.read_settings(environment=variables).settings, setting.name) == from_file
        )
        assert from_file != getattr(Settings(), setting.name)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('modle = "x"', "sets an unknown 'modle'. Did you mean model?"),
        ("[kyes]", "Did you mean keys?"),
        ("zzz = 1", "There are: model, device"),
        ("model = 3.5", "model is text, not 3.5"),
        ("mouse = 1", "mouse is true or false, not 1"),
        ("keep_runs = 0", "keep_runs is a whole number from 1, not 0"),
        ("keep_runs = true", "keep_runs is a whole number from 1, not True"),
        ('theme = "drak"', "theme is one of auto, dark, light, not 'drak'"),
        ("color = 8", "color is one of"),
        ("model_folders = [1]", "model_folders is a list of texts"),
        ("keys = 3", "keys is a table"),
        ('[keys]\nzoom = ""', "keys is a table"),
        ("= 3", "is not TOML"),
        ("model", "is not TOML"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(text: str, complaint: str) -> None:
    path = written(text)
    with pytest.raises(BadConfig) as raised:
        config.read_settings(environment={})
    assert complaint in str(raised.value)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_files_that_are_no_text_or_cannot_be_read_are_named() -> None:
    config.config_file().write_bytes(b"\xff\xfe")
    with pytest.raises(BadConfig, match="not TOML"):
        config.read_settings(environment={})
    config.config_file().unlink()
    config.config_file().mkdir()
    with pytest.raises(BadConfig, match="Cannot read"):
        config.read_settings(environment={})


def test_a_variable_that_is_no_setting_is_named_and_empty_ones_count_as_unset() -> None:
    with pytest.raises(BadConfig, match="INTERPBOARD_MODLE is no setting"):
        config.read_settings(environment={"INTERPBOARD_MODLE": "x"})
    with pytest.raises(BadConfig, match="keep_runs is a whole number"):
        config.read_settings(environment={"INTERPBOARD_KEEP_RUNS": "many"})
    others = {"INTERPBOARD_MODEL": "", "INTERPBOARD_DEBUG": "1", "INTERPBOARD_STATE": "/x"}
    assert config.read_settings(environment=others).settings == Settings()


def test_the_engine_hears_the_batch_limit_and_refuses_nonsense(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("INTERPBOARD_BATCH_TOKENS", "64")
    assert config.batch_limit() == 64
    from interpboard.runs.steps import StepSize
    from tests.lm import tiny_lm

    size = StepSize(tiny_lm(), None)
    size.took(1e-6, 1, 64)
    assert size.tokens == 64
    monkeypatch.setenv("INTERPBOARD_BATCH_TOKENS", "x")
    with pytest.raises(BadConfig, match="INTERPBOARD_BATCH_TOKENS: batch_tokens is a whole"):
        config.batch_limit()
    monkeypatch.setenv("INTERPBOARD_BATCH_TOKENS", "")
    assert config.batch_limit() == 0
    assert config.memory_limit() == 0
    monkeypatch.setenv("INTERPBOARD_MEMORY_MIB", "3")
    assert config.memory_limit() == 3 << 20


def test_show_prints_every_value_with_its_origin_as_toml_that_can_be_used(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written('theme = "light"\n[keys]\nzoom = "U"\n')
    monkeypatch.setenv("INTERPBOARD_DTYPE", "float64")
    assert cli.main(["config", "show"]) == 0
    shown = capsys.readouterr().out
    table = tomllib.loads(shown)
    assert set(table) == {setting.name for setting in fields(Settings)}
    assert (table["theme"], table["dtype"], table["keys"]["zoom"]) == ("light", "float64", "U")
    lines = {line.split(" = ")[0]: line for line in shown.splitlines()}
    assert f"# {path}: " in lines["theme"]
    assert f"# {path}: " in lines["keys.zoom"]
    assert "# INTERPBOARD_DTYPE: " in lines["dtype"]
    assert "# default: " in lines["keys.run"]
    assert "pin_prompt" not in table["keys"]  # it has none, and the file cannot say so
    assert any(line.startswith("# keys.pin_prompt has no key ") for line in shown.splitlines())
    assert cli.main(["config", "show", "--format", "json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["theme"]["origin"] == str(path)
    path.write_text(shown)
    again = config.read_settings(environment={}).settings
    assert again.dtype == "float64"
    rebound = [keys.rebound_table(chosen) for chosen in (again.keys, {"zoom": "U"})]
    assert [c.keys for c in rebound[0]] == [c.keys for c in rebound[1]]


def test_path_says_where_the_file_is_even_where_it_is_wrong(
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = written("nonsense")
    assert cli.main(["config", "path"]) == 0
    assert capsys.readouterr().out == f"{path}\n"
    assert cli.main(["config", "show"]) == 2


def test_configuration_is_read_without_anything_heavy() -> None:
    written('model = "x"')
    code = (
        "import sys\nfrom interpboard import config\nfrom interpboard.cli.main import main\n"
        "assert config.read_settings().settings.model == 'x'\nassert main(['config', 'show']) == 0\n"
        "heavy = ('torch', 'transformers', 'numpy', 'textual', 'msgspec')\n"
        "print(*[name for name in heavy if name in sys.modules], file=sys.stderr)"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    assert found.stderr.split() == []


@pytest.mark.parametrize(
    ("chosen", "complaint"),
    [
        ({"zoo": "U"}, "there is no command 'zoo' to bind. Did you mean zoom?"),
        ({"submit": "ctrl+e"}, "no command 'submit'"),
        ({"zoom": "M"}, "M would be both metric and zoom"),
        ({"zoom": "j"}, "j would be both zoom and down"),
        ({"zoom": "a"}, "a would be both ablation and zoom"),
        ({"zoom": "ctrl+m"}, "ctrl+m is enter to a terminal"),
        ({"zoom": "ctrl+shift+z"}, "no key that every terminal sends"),
        ({"zoom": "nosuch"}, "no key that every terminal sends"),
        ({"zoom": ""}, "no key that every terminal sends"),
        ({"leave": "U"}, "is text in the prompt"),
        ({"pick_up": "U"}, "is text in the field of a list"),
        ({"pick_up": "ctrl+g"}, "Ctrl+g would be both pick_up and pick_leave"),
    ],
)
def test_bindings_that_would_not_work_are_refused_in_a_line(
    chosen: dict[str, str], complaint: str
) -> None:
    with pytest.raises(BadConfig) as raised:
        keys.rebound_table(chosen)
    assert complaint in str(raised.value)


def test_keys_can_change_places_and_are_spelled_for_people() -> None:
    table = {c.id: c for c in keys.rebound_table({"zoom": "M", "metric": "z", "help": "!,f2"})}
    assert (table["zoom"].keys, table["metric"].keys) == ("M", "z")
    assert (table["help"].keys, table["help"].shown) == ("exclamation_mark,f2", "! F2")
    for key, shown in {"ctrl+e": "Ctrl+e", "slash": "/", "minus": "-", "pageup": "PgUp"}.items():
        assert keymap.spelled_key(key) == shown


def test_the_default_table_is_one_that_the_file_could_hold() -> None:
    own = {c.id: c.keys for c in keys.COMMANDS if c.keys and c.action != "submit"}
    assert [c.keys for c in keys.rebound_table(own)] == [c.keys for c in keys.COMMANDS]
