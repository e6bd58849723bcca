"""A real browser, where there is one."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from interpboard.results import Document
from interpboard.visualization.html import report

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def driver() -> Iterator[Any]:
    """Headless Chromium. Skips where no browser or no driver is installed."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    chromedriver = shutil.which("chromedriver")
    if browser is None or chromedriver is None:
        pytest.skip("needs Chromium and its driver: apt-get install chromium chromium-driver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (
        "headless=new", "disable-gpu", "disable-dev-shm-usage", "window-size=1300,900",
        "no-first-run", "disable-background-networking", "disable-component-update", "disable-sync",
    ):  # fmt: skip
        options.add_argument(f"--{flag}")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # it cannot be had as root
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(chromedriver))
    yield driver
    driver.quit()


@pytest.fixture
def page(driver: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Opens documents as a report. Afterwards: nothing in the console, nothing was fetched."""

    def open_page(*documents: Document, anchor: str = "") -> Any:
        path = tmp_path / "report.html"
        path.write_text(report(documents), encoding="utf-8")
        driver.get("about:blank")
        driver.get_log("performance")
        driver.get(f"{path.as_uri()}{anchor}")
        return driver

    yield open_page
    assert driver.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages
             if m["method"] == "Network.requestWillBeSent"]  # fmt: skip
    assert asked
    assert all(url.startswith(("file:", "data:", "about:")) for url in asked), asked
