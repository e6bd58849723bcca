"""Of what is written below Python one line is kept from the user, and nothing else."""

from __future__ import annotations

import os

import pytest

from interpboard.sweeps.descriptor_lines import stderr_without


def test_one_line_is_left_out_and_the_others_come_in_order(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with stderr_without("log level"):
        os.write(2, b"first\nSet ray log level from 3\nlast")
        assert capfd.readouterr().err == ""
    assert capfd.readouterr().err == "first\nlast"
    os.write(2, b"behind it\n")
    assert capfd.readouterr().err == "behind it\n"


def test_what_was_written_before_an_error_is_seen(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with stderr_without("log level"):
            os.write(2, b"why it ends\n")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert capfd.readouterr().err == "why it ends\n"
