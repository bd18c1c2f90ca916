"""The page in Chromium, opened from the disk. It sends no request to a network.

Needs Playwright (PyPI) and a Chromium of the system; set ``GUETZPY_CHROMIUM`` if it has another name.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference.chromium import DESK, PHONE, Watched, pixel, screen
from reference.reports import jpeg, result, run_of

from guetzpy.report import Bounds, Collection

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::ResourceWarning")]

sync_api = pytest.importorskip("playwright.sync_api")

CHROMIUM = os.environ.get("GUETZPY_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None:
    pytest.skip("there is no Chromium", allow_module_level=True)

SCROLLER = "document.getElementById('scroller')"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of reports: of many files, embedded and linked, of one file, and of a thousand."""
    folder = tmp_path_factory.mktemp("report")
    collection = Collection(threads=1)
    results = run_of(folder, 12, collection, (400, 300))
    collection.write(folder / "many.html")
    linked = Collection(bounds=Bounds(embedded=0))
    single = Collection(threads=1)
    single.add(results[0])
    for one in results:
        linked.add(one)
    linked.write(folder / "linked.html")
    single.write(folder / "one.html")
    return folder


@pytest.fixture
def watched(browser: Any, folder: Path, request: pytest.FixtureRequest) -> Iterator[Watched]:
    name, options = getattr(request, "param", ("many.html", {}))
    page = Watched(browser, folder / name, **options)
    yield page
    page.close()


def names(page: Any) -> list[str]:
    return [
        text.splitlines()[0] for text in page.locator("#table tbody tr:visible .names bdi").all_inner_texts()
    ]


def open_first(page: Any) -> None:
    page.locator("#table tr:not([data-status=failed]) .open:visible").first.click()
    wait_for_pictures(page)


def wait_for_pictures(page: Any) -> None:
    for name in ("before", "after"):
        sync_api.expect(page.locator(f"#{name}")).to_have_attribute("data-ready", "yes")


def cut_at(page: Any) -> float:
    """Return where the picture "after" begins, in pixels from the left edge of the pictures."""
    shape = page.evaluate("document.getElementById('after').style.clipPath")
    return float(re.findall(r"[\d.]+(?=px)", shape)[-1])


def test_table_sorts_by_every_column(watched: Watched) -> None:
    page = watched.page
    for column, head in enumerate(page.locator("#table thead th").all()):
        button = head.get_by_role("button")
        orders = []
        for _ in range(2):
            button.click()
            orders.append(head.get_attribute("aria-sort"))
            values = page.evaluate(
                "c => [...document.querySelectorAll('#table tbody tr')].map(r => r.cells[c].dataset.value)",
                column,
            )
            known = [value for value in values if value != ""]
            assert values == known + [""] * (len(values) - len(known))  # files without a value are last
            if "number" in (head.get_attribute("class") or ""):
                numbers = [float(value) for value in known]
                assert numbers == sorted(numbers, reverse=orders[-1] == "descending")
        assert set(orders) == {"ascending", "descending"}
        assert page.locator("#table th[aria-sort=ascending], #table th[aria-sort=descending]").count() == 1
    page.locator("#table thead th").first.get_by_role("button").click()
    order = names(page)
    assert order.index("photo 2.jpg") < order.index("photo 10.jpg")  # in the order of numbers


def test_table_filters_by_name_and_status(watched: Watched) -> None:
    page = watched.page
    page.get_by_label("Name contains").fill("PHOTO 1")
    assert sorted(names(page)) == ["photo 1.jpg", "photo 10.jpg", "photo 11.jpg"]
    assert page.locator("#matches").inner_text() == "3 of 13 files"
    page.get_by_label("Name contains").fill("")
    page.locator("#status").select_option("failed")
    assert page.locator("#matches").inner_text() == "1 of 13 files"
    assert "alert(1)" in names(page)[0]
    assert "truncated: 3 of 9 <MCU> rows" in page.locator("#table tbody tr:visible").inner_text()


@pytest.mark.parametrize(
    "watched", [("many.html", {}), ("linked.html", {})], indirect=True, ids=["held", "linked"]
)
def test_slider_moves_by_mouse_and_keyboard(watched: Watched) -> None:
    page = watched.page
    open_first(page)
    slider = page.get_by_label("Divider")

    def cut() -> float:
        return cut_at(page)

    width = page.locator("#layers").bounding_box()["width"]
    assert cut() == pytest.approx(width / 2, abs=1)
    slider.focus()
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    assert cut() == pytest.approx(0.6 * width, abs=1)
    assert slider.get_attribute("aria-valuetext") == "60 % before, the rest after"
    handle = page.locator("#divider").bounding_box()
    middle = handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] - 0.4 * width, middle[1], steps=4)
    page.mouse.up()
    assert cut() == pytest.approx(0.2 * width, abs=2)
    page.keyboard.press("Home")
    slider.focus()
    page.keyboard.press("Home")
    assert cut() == pytest.approx(0, abs=0.5)


def test_slider_shows_before_left_and_after_right(browser: Any, folder: Path) -> None:
    from PIL import Image

    paths = []
    for name, colour in (("red", (200, 0, 0)), ("blue", (0, 0, 200))):
        paths.append(folder / f"{name}.jpg")
        Image.new("RGB", (300, 200), colour).save(paths[-1])
    before, after = (path.read_bytes() for path in paths)
    collection = Collection(bounds=Bounds(heatmaps=0))
    collection.add(result(str(paths[0]), before, after, output=str(paths[1])))
    collection.write(folder / "colours.html")
    watched = Watched(browser, folder / "colours.html")
    page = watched.page
    wait_for_pictures(page)
    for x, colour in ((0.1, 0), (0.9, 2)):
        found = pixel(page, "#layers", x, 0.9)
        assert found[colour] > 150
        assert found[2 - colour] < 60
    page.get_by_label("Flicker").check()
    assert pixel(page, "#layers", 0.9, 0.9)[0] > 150  # "before" is shown everywhere
    page.get_by_role("button", name="Swap").click()
    assert pixel(page, "#layers", 0.1, 0.9)[2] > 150
    assert page.locator("#shown").inner_text() == "shown: after"
    page.get_by_label("Automatically").check()
    sync_api.expect(page.locator("#shown")).to_have_text("shown: before")
    page.get_by_label("Automatically").uncheck()
    watched.close()


@pytest.mark.parametrize("scale", [1, 2])
def test_zoom_is_one_to_one_on_the_screen(browser: Any, folder: Path, scale: int) -> None:
    watched = Watched(browser, folder / "one.html", device_scale_factor=scale)
    page = watched.page
    wait_for_pictures(page)
    for label, zoom in (("100 %", 1), ("200 %", 2), ("400 %", 4)):
        page.get_by_label(label, exact=True).check()
        width = page.evaluate("document.getElementById('after').getBoundingClientRect().width")
        assert width * scale == pytest.approx(400 * zoom, abs=0.5)
    if scale == 1:  # 1600 pixels do not fit, so the picture scrolls
        page.evaluate(f"{SCROLLER}.scrollLeft = 100")
        page.wait_for_timeout(50)
        assert cut_at(page) == pytest.approx(100 + page.evaluate(f"{SCROLLER}.clientWidth") / 2, abs=1)
    watched.close()


def test_pictures_begin_at_a_whole_pixel(browser: Any, folder: Path) -> None:
    for name in ("one.html", "many.html"):
        watched = Watched(browser, folder / name)
        if name == "many.html":
            open_first(watched.page)
        wait_for_pictures(watched.page)
        place = watched.page.locator("#layers").bounding_box()
        assert place["x"] == int(place["x"])
        assert place["y"] == int(place["y"])
        watched.close()


def test_heat_map_shows(browser: Any, folder: Path) -> None:
    watched = Watched(browser, folder / "one.html")
    page = watched.page
    sync_api.expect(page.locator("#heat")).to_have_attribute("data-ready", "yes")
    wait_for_pictures(page)
    assert not page.locator("#heat").is_visible()
    without = screen(page)
    page.get_by_label("Heat map", exact=True).check()
    assert page.locator("#heat").is_visible()
    assert page.locator("#scale").is_visible()
    assert np.abs(screen(page) - without).max() > 9
    assert page.locator("#heat").bounding_box() == page.locator("#after").bounding_box()
    page.get_by_label("Opacity of the heat map").fill("40")
    assert page.evaluate("document.getElementById('heat').style.opacity") == "0.4"
    page.get_by_label("Heat map", exact=True).uncheck()
    assert np.abs(screen(page) - without).max() <= 1  # the edge of the divider is composited anew
    watched.close()


def test_viewer_goes_through_what_is_shown_and_gives_focus_back(watched: Watched) -> None:
    page = watched.page
    page.locator("#status").select_option("lossless")
    order = names(page)
    open_first(page)
    title = page.locator("#viewer-name")
    assert title.inner_text().endswith(order[0])
    assert "pixels of both files are the same" in page.locator("#viewer-note").inner_text()
    page.get_by_role("button", name="Next").click()
    assert title.inner_text().endswith(order[1])
    page.get_by_role("button", name="Previous").click()
    page.get_by_role("button", name="Previous").click()
    assert title.inner_text().endswith(order[-1])
    page.get_by_text("Tables and scans").click()
    assert page.locator(".steps").first.locator("td").count() == 64
    page.keyboard.press("Escape")
    assert not page.locator("#dialog").is_visible()
    # The focus returns in an event after the one that closes the view.
    page.wait_for_function(
        "name => document.activeElement.className == 'open'"
        " && document.activeElement.textContent.includes(name)",
        arg=order[-1],
    )


def test_failed_files_say_why(watched: Watched) -> None:
    page = watched.page
    page.locator("#status").select_option("failed")
    page.locator("#table .open:visible").click()
    assert "truncated: 3 of 9 <MCU> rows" in page.locator("#viewer-note").inner_text()
    assert not page.locator("#compare").is_visible()


def test_everything_is_reached_by_keyboard(watched: Watched) -> None:
    page = watched.page
    page.get_by_label("Name contains").focus()
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.tagName + '.' + document.activeElement.className"))
    assert {"SELECT.", "BUTTON.", "BUTTON.open"} <= reached
    page.locator("#table .open").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("#dialog").is_visible()


# Returns the texts whose contrast with their background is below 4.5 (WCAG 2.2, 1.4.3).
CONTRAST = """() => {
  const parse = (text) => {
    const parts = text.match(/[\\d.]+/g).map(Number);
    return [parts[0], parts[1], parts[2], parts[3] ?? 1];
  };
  const straight = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) =>
    0.2126 * straight(r / 255) + 0.7152 * straight(g / 255) + 0.0722 * straight(b / 255);
  const kinds = "h1, h2, p, dt, dd, th, td, button, label, span, bdi, summary, figcaption, a";
  const bad = [];
  for (const element of document.querySelectorAll(kinds)) {
    if (!element.innerText || !element.offsetParent || element.closest(".stage")) continue;
    let paper = element;
    while (paper && parse(getComputedStyle(paper).backgroundColor)[3] < 1) paper = paper.parentElement;
    const behind = light(paper ? parse(getComputedStyle(paper).backgroundColor) : [255, 255, 255]);
    const ink = light(parse(getComputedStyle(element).color));
    const ratio = (Math.max(ink, behind) + 0.05) / (Math.min(ink, behind) + 0.05);
    if (ratio < 4.5) bad.push(`${element.tagName} ${element.innerText.slice(0, 30)} ${ratio}`);
  }
  return bad;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("name", ["many.html", "one.html"])
def test_readable_at_every_size(browser: Any, folder: Path, name: str, size: dict, scheme: str) -> None:
    watched = Watched(browser, folder / name, viewport=size, color_scheme=scheme)
    page = watched.page
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert page.evaluate(CONTRAST) == []
    if name == "many.html":
        open_first(page)
        assert page.evaluate("(d => d.scrollWidth <= d.clientWidth)(document.getElementById('dialog'))")
    assert page.evaluate(CONTRAST) == []
    smallest = page.evaluate(
        "Math.min(...[...document.querySelectorAll('main *')].filter(e => e.offsetParent && e.innerText)"
        ".map(e => parseFloat(getComputedStyle(e).fontSize)))"
    )
    assert smallest >= 12
    watched.close()


def test_controls_have_names(watched: Watched) -> None:
    page = watched.page
    open_first(page)
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, svg[role=img]")].filter((e) =>
          !(e.labels?.length || e.innerText?.trim() || e.textContent?.trim() || e.getAttribute("aria-label"))
        ).map((e) => e.outerHTML.slice(0, 80))"""
    )
    assert unnamed == []
    identifiers = page.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(identifiers) == len(set(identifiers))


def test_a_thousand_files_stay_usable(browser: Any, tmp_path: Path) -> None:
    collection = Collection(bounds=Bounds(embedded=200_000, heatmaps=2))
    before, after = jpeg(0, 95, (160, 120)), jpeg(0, 60, (160, 120))
    (tmp_path / "before.jpg").write_bytes(before)
    (tmp_path / "after.jpg").write_bytes(after)
    for i in range(1000):
        collection.add(
            result(str(tmp_path / "before.jpg"), before, after, i, output=str(tmp_path / "after.jpg"))
        )
    size = collection.write(tmp_path / "report.html")
    assert size < 12_000_000
    watched = Watched(browser, tmp_path / "report.html")
    page = watched.page
    loaded = page.evaluate("document.querySelectorAll('.thumb[src]').length")
    assert 0 < loaded < 100  # the visible ones, and a few more
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    sync_api.expect(page.locator(".thumb:visible")).not_to_have_count(loaded)  # more rows follow
    last = page.locator(".thumb:visible").last
    sync_api.expect(last).to_have_attribute("src", re.compile("^data:image/jpeg"))
    page.get_by_label("Name contains").fill("nothing of that name")
    assert page.locator("#matches").inner_text() == "0 of 1\u202f000 files"
    page.get_by_label("Name contains").fill("")
    page.locator("#table thead th").nth(7).get_by_role("button").click()
    first = page.locator("#table tbody tr").first
    assert first.locator("td").nth(6).inner_text() == "85.0"
    open_first(page)
    watched.close()


def test_phone_sorts_without_column_heads(browser: Any, folder: Path) -> None:
    watched = Watched(browser, folder / "many.html", viewport=PHONE)
    page = watched.page
    page.get_by_label("Sort by").select_option(label="File ↓")
    assert names(page)[:2] == ["photo 11.jpg", "photo 10.jpg"]
    watched.close()


def test_without_scripts_the_numbers_are_there(browser: Any, folder: Path) -> None:
    watched = Watched(browser, folder / "many.html", java_script_enabled=False)
    assert watched.page.locator("#table tbody tr").count() == 13
    assert "need JavaScript" in watched.page.locator("noscript").inner_text()
    watched.close()


def test_many_rows_are_shown_in_parts_and_sort_quickly(browser: Any, tmp_path: Path) -> None:
    # With all rows laid out, Chromium needed 20 s to sort 10,000 rows, and 5 s to open a picture.
    collection = Collection(bounds=Bounds(embedded=0, thumbnails=0))
    picture = jpeg(1, 80, (16, 16))
    for i in range(1000):
        collection.add(result(f"photo {i}.jpg", picture, picture))
    collection.write(tmp_path / "rows.html")
    watched = Watched(browser, tmp_path / "rows.html")
    page = watched.page
    rows = page.locator("#table tbody tr:visible")
    assert rows.count() == 80
    page.locator("#table thead th").first.get_by_role("button").click()
    assert rows.count() == 80
    assert names(page)[:3] == ["photo 0.jpg", "photo 1.jpg", "photo 2.jpg"]
    page.locator("#more").scroll_into_view_if_needed()
    sync_api.expect(rows).not_to_have_count(80)
    page.locator("#search").fill("photo 99")
    assert rows.count() == 11  # rows of the last part are found too
    assert page.locator("#more").is_hidden()
    watched.close()
