"""How long a browser needs to open a report: a logit lens of 48 layers and 256 tokens.

    python -m benchmarks.report [--layers 48] [--tokens 256] [--times 5]

Opens the page in headless Chromium, several times, beside an empty page, and prints one line of JSON:
bytes of the page, seconds to make it, and milliseconds to first paint and until the page's own script has
run, as the browser's clock has them (median; the empty page's beside it).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.lines import measured_where
from interpboard.visualization.html import report
from tests import sample
from tests.html import grids

_TIMES = """
const page = performance.getEntriesByType('navigation')[0];
const paint = performance.getEntriesByName('first-contentful-paint')[0];
return [paint ? paint.startTime : null, page.domComplete];
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=48)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--times", type=int, default=5)
    args = parser.parse_args()
    tokens = tuple(f" t{i}" for i in range(args.tokens))
    document = sample.document(grids.lens(args.layers, tokens), tokens=tokens)
    started = time.perf_counter()
    text = report(document)
    made = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder:
        pages = {"report": Path(folder) / "report.html", "empty": Path(folder) / "empty.html"}
        pages["report"].write_text(text, encoding="utf-8")
        pages["empty"].write_text("<!DOCTYPE html><title>empty</title>-", encoding="utf-8")
        times = _open(pages, args.times)
    print(measured_where())
    print(json.dumps({"layers": args.layers, "tokens": args.tokens, "bytes": len(text.encode()),
                      "made_s": round(made, 3), **times}))  # fmt: skip


def _open(pages: dict[str, Path], times: int) -> dict[str, dict[str, float]]:
    driver = _driver()
    found: dict[str, list[list[float]]] = {name: [] for name in pages}
    try:
        for _ in range(times):
            for name, path in pages.items():  # in turns, so that a busy machine slows both
                driver.get(path.as_uri())
                time.sleep(0.3)  # for the paint to be noted
                found[name].append(driver.execute_script(_TIMES))
    finally:
        driver.quit()
    return {
        name: {
            "first_paint_ms": round(statistics.median(paint or 0 for paint, _ in runs), 1),
            "complete_ms": round(statistics.median(done for _, done in runs), 1),
        }
        for name, runs in found.items()
    }


def _driver() -> Any:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    options.add_argument("--headless=new")
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    return webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))


if __name__ == "__main__":
    main()
