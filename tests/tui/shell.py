"""An interactive shell with a prompt that a test can wait for, and none of the user's settings."""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    own = {**os.environ, "PS1": "ready> ", "HISTFILE": ""}
    os.execve(sys.argv[1], [sys.argv[1], "--norc", "--noprofile", "--noediting", "-i"], own)
