"""The security policy is found from where people look, and what it says of switches is so."""

from __future__ import annotations

import inspect

import pytest

from interpboard.engine import protocol
from interpboard.models.language_model import open_model
from tests.docs.blocks import ROOT

PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def test_it_is_linked_from_the_front_door_and_the_site() -> None:
    assert "(SECURITY.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert "- security.md" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize("switch", ["allow_pickle", "trust_remote_code"])
def test_what_never_runs_unless_asked_for_is_off_in_python_and_in_the_engine(switch: str) -> None:
    assert f"--{switch.replace('_', '-')}" in PAGE
    assert inspect.signature(open_model).parameters[switch].default is False
    assert getattr(protocol.Load(1), switch) is False


def test_chat_templates_are_rendered_in_one_place_and_in_the_sandbox() -> None:
    assert "in its sandbox" in PAGE
    sources = (ROOT / "interpboard").rglob("*.py")
    rendering = [path.name for path in sources if "apply_chat_template(" in path.read_text("utf-8")]
    assert rendering == ["chat.py"]  # what the sandbox refuses is tested with the chats
