"""The preview, arrow keys, lossless files, and comparisons with earlier reports, in Chromium."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from reference.reports import jpeg, result, run_of

from guetzpy.report import Collection, Earlier, preview

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::ResourceWarning")]

sync_api = pytest.importorskip("playwright.sync_api")

CHROMIUM = os.environ.get("GUETZPY_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None:
    pytest.skip("there is no Chromium", allow_module_level=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    yield page
    context.close()
    assert said == []


def ready(page: Any) -> None:
    for name in ("before", "after"):
        sync_api.expect(page.locator(f"#{name}")).to_have_attribute("data-ready", "yes")


@pytest.fixture
def previewed(tmp_path: Path) -> Path:
    before = jpeg(1, 95, (400, 300))
    results = [
        result("a.jpg", before, after, target={"distance": distance}, data=after)
        for distance, after in ((0.5, jpeg(1, 90, (400, 300))), (1.0, jpeg(1, 60, (400, 300))))
    ]
    (tmp_path / "p.html").write_text(preview("a.jpg", before, results, ["first", "second"]))
    return tmp_path / "p.html"


@pytest.mark.parametrize("width", [390, 1280])
def test_a_distance_is_chosen_and_its_command_copied(page: Any, previewed: Path, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(previewed.as_uri())
    ready(page)
    assert page.locator("#command").input_value() == "second"  # distance 1 is shown first
    first = page.locator("#after").get_attribute("src")
    page.locator("input[name=choice]").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    page.locator(".choices label").first.click()
    ready(page)
    assert page.locator("#command").input_value() == "first"
    assert page.locator("#after").get_attribute("src") != first
    page.locator("#copy").click()
    sync_api.expect(page.locator("#copied")).to_have_text("copied")
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("zoom", ["fit", "1", "4"])
def test_the_divider_follows_the_pointer(page: Any, previewed: Path, zoom: str) -> None:
    page.goto(previewed.as_uri())
    ready(page)
    page.locator(f"input[name=zoom][value='{zoom}']").check()
    box = page.locator("#stage").bounding_box()
    for share in (0.4, 0.6):
        x = box["x"] + share * box["width"]
        page.mouse.move(x, box["y"] + 100)
        handle = page.locator("#divider").bounding_box()
        assert handle["x"] + handle["width"] / 2 == pytest.approx(x, abs=1.5 + 0.003 * box["width"])


@pytest.fixture
def report(tmp_path: Path) -> Path:
    collection = Collection(threads=1)
    run_of(tmp_path, 6, collection, (200, 150))
    collection.write(tmp_path / "many.html")
    return tmp_path / "many.html"


def test_failures_come_first(page: Any, report: Path) -> None:
    page.goto(report.as_uri())
    assert page.locator("#table tbody tr").first.get_attribute("data-status") == "failed"


def test_arrow_keys_go_from_picture_to_picture(page: Any, report: Path) -> None:
    page.goto(report.as_uri())
    page.locator("#table .open").nth(1).click()
    names = [page.locator("#viewer-name").inner_text()]
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
        names.append(page.locator("#viewer-name").inner_text())
    assert names[1] == names[3]
    assert len(set(names)) == 3


def test_lossless_files_say_why_they_have_no_slider(page: Any, report: Path) -> None:
    page.goto(report.as_uri())
    page.locator("#table tr[data-status=lossless] .open").first.click()
    ready(page)
    assert page.locator("#divider").is_hidden()
    assert page.locator("#compare-by").is_hidden()
    assert page.locator("#under").is_hidden()
    assert "nothing to compare" in page.locator("#viewer-note").inner_text()


def test_heat_map_lies_over_the_picture_after_only(page: Any, report: Path) -> None:
    page.goto(report.as_uri())
    page.locator("#table tr[data-status=optimized] .open").first.click()
    ready(page)
    page.locator("#heat-shown").check()
    cut = "id => document.getElementById(id).style.clipPath"
    assert page.evaluate(cut, "heat") == page.evaluate(cut, "after") != ""
    page.locator("input[name=mode][value=flicker]").check()
    assert page.evaluate("document.getElementById('heat').style.visibility") == "hidden"  # before is shown


def test_an_earlier_report_on_the_left(page: Any, tmp_path: Path) -> None:
    before = jpeg(1, 95, (200, 150))
    (tmp_path / "a.jpg").write_bytes(before)
    for name, quality, distance in (("near", 80, 1.0), ("far", 50, 2.0)):
        after = jpeg(1, quality, (200, 150))
        (tmp_path / f"{name}.jpg").write_bytes(after)
        earlier = Earlier(str(tmp_path / "near")) if name == "far" else None
        collection = Collection(threads=1, earlier=earlier)
        names = {"output": str(tmp_path / f"{name}.jpg"), "target": {"distance": distance}}
        collection.add(result(str(tmp_path / "a.jpg"), before, after, **names))
        collection.write(f"{tmp_path / name}/")
    page.goto((tmp_path / "far" / "index.html").as_uri())
    ready(page)
    original = page.locator("#before").get_attribute("src")
    page.locator("input[name=left][value=other]").check()
    ready(page)
    assert page.locator("#before").get_attribute("src") != original
    assert page.locator("#tag-before").inner_text() == "earlier"
