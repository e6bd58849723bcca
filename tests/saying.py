"""A program that says where it is and what it was given, and ends as it is told on its standard input."""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    print(os.getpid(), os.getcwd(), os.environ.get("SAID"), *sys.argv[1:], flush=True)
    print("on the other stream", file=sys.stderr)
    word, _, number = sys.stdin.readline().strip().partition(" ")
    if word == "exit":
        sys.exit(int(number))
    if word == "fail":
        raise ZeroDivisionError("on purpose")
    if word == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "wait":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
        print("waiting", flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
