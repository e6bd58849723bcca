"""The page in a real browser. Each test also checks the console and what was asked of the network."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from tests import sample
from tests.html import grids

Open = Callable[..., Any]


def one(driver: Any, selector: str) -> Any:
    return driver.find_element(By.CSS_SELECTOR, selector)


def hover(driver: Any, element: Any, x: int = 0, y: int = 0) -> str:
    ActionChains(driver).move_to_element_with_offset(element, x, y).perform()
    text: str = one(driver, "#tip").text
    return text


def slide(slider: Any, to: int) -> None:
    slider.send_keys(Keys.HOME, *[Keys.ARROW_RIGHT] * to)


def test_hovering_a_cell_tells_its_place_and_its_value(page: Open) -> None:
    driver = page(sample.document(sample.ablation()))
    cell = one(driver, ".grid tbody tr:nth-child(2) td:nth-of-type(3)")
    assert hover(driver, cell) == "layer 1, head 2\nvalue -1.5"
    unknown = one(driver, ".grid tbody tr:nth-child(3) td:nth-of-type(4)")
    assert hover(driver, unknown) == "layer 2, head 3\nvalue not known"


def test_hovering_a_token_tells_its_score(page: Open) -> None:
    driver = page(sample.document(sample.gradients()))
    token = one(driver, ".strip span:nth-child(2)")
    assert hover(driver, token) == "token 1 ·Eiffel\nvalue 0.5"


def test_hovering_a_lens_lists_the_tokens_of_the_cell(page: Open) -> None:
    driver = page(sample.document(grids.lens(3, sample.TOKENS)))
    shown = hover(driver, one(driver, ".lens tbody tr:nth-child(4) td:last-child")).splitlines()
    assert shown[0] == "layer 2, token 8 ·of"
    assert shown[1] == "value 1"
    assert [line.split() for line in shown[3:5]] == [["100.0%", "·w350"], ["50.0%", "·w351"]]


def test_the_slider_of_a_lens_moves_through_the_layers(page: Open) -> None:
    driver = page(sample.document(grids.lens(3, sample.TOKENS)))
    slider = one(driver, "input.rows")
    slide(slider, 1)
    assert one(driver, "input.rows + output").text == "0"
    assert one(driver, "tr.sel th").text == "0"
    row = one(driver, ".strip.row").text
    assert "→ ·w90" in row
    assert hover(driver, one(driver, ".strip.row span")).startswith("layer 0, token 0 The")


def test_another_array_can_colour_a_grid(page: Open) -> None:
    driver = page(sample.document(grids.trace()))
    cell = one(driver, ".grid tbody tr td")
    assert cell.text == "-3.00"
    one(driver, "select.array option:nth-child(2)").click()
    assert cell.text == "0.5"
    assert cell.get_attribute("class") == "c8"


def test_the_sliders_of_attention_choose_layer_and_head(page: Open) -> None:
    driver = page(sample.document(grids.attention()))
    canvas = one(driver, "canvas")
    box = canvas.size
    assert box["width"] > 100
    layer, head = driver.find_elements(By.CSS_SELECTOR, ".slices input")
    corner = (box["width"] // 2 - 11, box["height"] // 2 - 11)  # the last key of the last query
    last = "query 8 ·of, key 8 ·of"
    assert hover(driver, canvas, *corner) == f"layer 0, head 0, {last}\nvalue 1"
    slide(layer, 2)
    slide(head, 1)
    assert hover(driver, canvas, *corner) == f"layer 2, head 1, {last}\nvalue 0"
    picture = "return document.querySelector('canvas').toDataURL()"
    first_token = driver.execute_script(picture)
    slide(head, 0)
    assert driver.execute_script(picture) != first_token


def test_panes_switch_and_all_can_be_shown(page: Open) -> None:
    driver = page(sample.full())
    panes = driver.find_elements(By.CSS_SELECTOR, ".pane")

    def shown(*wanted: bool) -> None:
        # The page hears of a new anchor after the click has returned.
        WebDriverWait(driver, 20).until(
            lambda _: tuple(pane.is_displayed() for pane in panes) == wanted
        )

    shown(True, False, False, False)
    one(driver, "nav a:nth-of-type(4)").click()
    shown(False, False, False, True)
    one(driver, "a[href='#all']").click()
    shown(True, True, True, True)


def test_a_click_on_its_head_sorts_a_table_by_value(page: Open) -> None:
    driver = page(sample.document(grids.edges()))
    head = one(driver, ".bars thead th:nth-child(2)")

    def column() -> list[str]:
        return [td.text for td in driver.find_elements(By.CSS_SELECTOR, ".bars td.n")]

    assert column() == ["+0.5", "-2"]
    head.click()
    assert column() == ["+0.5", "-2"]
    assert head.get_attribute("aria-sort") == "descending"
    head.click()
    assert column() == ["-2", "+0.5"]


def test_light_and_dark_are_a_click_apart(page: Open) -> None:
    driver = page(sample.full())
    before = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    one(driver, "#theme").click()
    after = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert {before, after} == {"rgb(255, 255, 255)", "rgb(18, 18, 18)"}


def test_hostile_text_is_shown_and_does_nothing(page: Open) -> None:
    tokens = ("<img src=x onerror=document.title='owned'>", "</script><script>document.title='owned'",
              "{{ 7*7 }}", *sample.HOSTILE)  # fmt: skip
    driver = page(
        sample.document(
            sample.predictions(tokens), sample.gradients(tokens), grids.trace(tokens),
            grids.attention(tokens), grids.lens(2, tokens), tokens=tokens, model=tokens[0],
        ), anchor="#all",
    )  # fmt: skip
    assert "owned" not in driver.title or driver.title.startswith("<img")
    assert driver.execute_script("return document.images.length") == 0
    assert "</script><script>document.title" in one(driver, ".prompt").text
    assert "{{·7*7·}}" in one(driver, ".prompt").text
    assert "onerror" in hover(driver, one(driver, ".strip span"))


def test_every_pane_is_printed_and_the_controls_are_not(page: Open) -> None:
    driver = page(grids.every_shape())
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert all(p.is_displayed() for p in driver.find_elements(By.CSS_SELECTOR, ".pane"))
        assert not one(driver, "nav").is_displayed()
        assert base64.b64decode(driver.print_page()).startswith(b"%PDF")
    finally:
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_documents_side_by_side_are_side_by_side(page: Open) -> None:
    driver = page(sample.document(sample.ablation()), sample.document(sample.ablation()))
    left, right, *_ = driver.find_elements(By.CSS_SELECTOR, ".card")
    assert left.location["y"] == right.location["y"]
    assert left.location["x"] < right.location["x"]


@pytest.mark.parametrize("shape", ["lens", "attention"])
def test_large_results_open_whole(page: Open, shape: str) -> None:
    tokens = tuple(f" t{i}" for i in range(256 if shape == "lens" else 96))
    large = grids.lens(48, tokens) if shape == "lens" else grids.attention(tokens)
    driver = page(sample.document(large, tokens=tokens))
    if shape == "lens":
        assert len(driver.find_elements(By.CSS_SELECTOR, ".strip.row span")) == 256
    else:
        assert one(driver, "canvas").size["width"] > 300


def _without_javascript(driver: Any, page: Open) -> None:
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page(grids.every_shape())
    finally:
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_without_javascript_every_pane_and_picture_is_there(driver: Any, page: Open) -> None:
    for _ in range(
        3
    ):  # a page may be under way in another process before the browser's switch is there
        _without_javascript(driver, page)
        if one(driver, "noscript img").is_displayed():
            break
    assert all(p.is_displayed() for p in driver.find_elements(By.CSS_SELECTOR, ".pane"))
    assert one(driver, "noscript img").is_displayed()
    assert not one(driver, "canvas").is_displayed()


def test_a_figure_of_plotly_opens_as_a_file_and_tells_its_values(
    driver: Any, page: Open, tmp_path: Path
) -> None:
    path = tmp_path / "figure.html"
    sample.ablation().plot_interactive().write_html(path, include_plotlyjs=True)
    driver.get("about:blank")
    driver.get_log("performance")
    driver.get(path.as_uri())
    plot = WebDriverWait(driver, 10).until(lambda d: one(d, ".plotly .nsewdrag"))
    size = plot.size
    at = (size["width"] * (2.5 / 4 - 0.5), size["height"] * (0.5 - 1.5 / 3))  # layer 1, head 2
    ActionChains(driver).move_to_element_with_offset(plot, *map(round, at)).perform()
    shown = WebDriverWait(driver, 10).until(lambda d: one(d, ".hoverlayer .hovertext").text)
    assert shown == "layer 1, head 2: -1.5"
