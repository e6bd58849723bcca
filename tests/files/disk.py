"""A full disk and a user who may not write, as far as one process can be made to meet them."""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NOBODY = 65534


@contextmanager
def full_disk(room: int = 64) -> Iterator[None]:
    """Within, no file of this process grows beyond ``room`` bytes: writing on raises ``OSError``."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def read_only_folder() -> Iterator[Path]:
    """A folder with a file ``kept`` in which this process may write nothing, even if it is root's."""
    if os.getuid() != 0:
        folder = Path(tempfile.mkdtemp())
    else:  # modes do not hold root back: be somebody else for a while
        folder = Path(tempfile.mkdtemp(dir="/tmp"))
        os.chown(folder, NOBODY, NOBODY)
    (folder / "kept").write_text("old")
    (folder / "kept").chmod(0o444)
    folder.chmod(0o555)
    before = os.geteuid()
    try:
        if before == 0:
            os.seteuid(NOBODY)
        if os.access(folder, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
            pytest.skip("nothing holds this user back")
        yield folder
    finally:
        os.seteuid(before)
        folder.chmod(0o755)
        shutil.rmtree(folder)
