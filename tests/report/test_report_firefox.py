"""The pages of reports and previews in Firefox, opened from the disk, with every interaction."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from reference import firefox
from reference.reports import jpeg, result, run_of

from guetzpy.report import Collection, Earlier, preview

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore")]

pytest.importorskip("marionette_driver")
if firefox.PROGRAM is None:
    pytest.skip("there is no Firefox", allow_module_level=True)

READY = "return ['before', 'after'].every((n) => document.getElementById(n).dataset.ready === 'yes')"
TEXT = "return document.querySelector(arguments[0]).textContent"
STYLE = "return document.getElementById(arguments[0]).style[arguments[1]]"
BOX = (
    "const b = document.getElementById(arguments[0]).getBoundingClientRect();"
    "return [b.left, b.top, b.width, b.height]"
)
OVERFLOW = "const e = document.documentElement; return e.scrollWidth > innerWidth"


@pytest.fixture(scope="module")
def fox() -> Iterator[firefox.Firefox]:
    fox = firefox.Firefox()
    yield fox
    fox.close()


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Make a report in one file, one in a folder beside an earlier one, and a preview."""
    folder = tmp_path_factory.mktemp("firefox")
    single = Collection(threads=1, settings={"distance": "1.0"})
    run_of(folder, 12, single, (400, 300))
    single.write(folder / "one.html")
    near, far = Collection(threads=1), None
    run_of(folder, 3, near, (400, 300))
    near.write(f"{folder}/near/")
    far = Collection(threads=1, earlier=Earlier(str(folder / "near")))
    run_of(folder, 3, far, (400, 300))
    far.write(f"{folder}/far/")
    before = jpeg(1, 95, (400, 300))
    results = [
        result("a.jpg", before, after, target={"distance": distance}, data=after)
        for distance, after in ((0.5, jpeg(1, 90, (400, 300))), (1.0, jpeg(1, 60, (400, 300))))
    ]
    (folder / "preview.html").write_text(preview("a.jpg", before, results, ["first", "second"]))
    return {
        "one": folder / "one.html", "far": folder / "far" / "index.html", "preview": folder / "preview.html",
    }  # fmt: skip


def view(fox: firefox.Firefox, status: str = "optimized") -> None:
    fox.click(f"#table tr[data-status={status}] .open")
    fox.until(READY)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", ["one", "far", "preview"])
def test_fits_the_window(
    fox: firefox.Firefox, places: dict[str, Path], name: str, width: int, scheme: str
) -> None:
    fox.open(places[name], width, 844, scheme)
    assert not fox.run(OVERFLOW)
    paper = fox.run("return getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
    if name != "preview":
        view(fox)
        assert not fox.run(
            "const d = document.getElementById('dialog'); return d.scrollWidth > d.clientWidth"
        )
    assert fox.errors() == []


def test_table_sorts_filters_and_shows_failures_first(fox: firefox.Firefox, places: dict[str, Path]) -> None:
    fox.open(places["one"])
    assert fox.run("return document.querySelector('#table tbody tr').dataset.status") == "failed"
    red = fox.run("return getComputedStyle(document.querySelector('.strip .failed')).color")
    assert red == "rgb(180, 35, 24)"
    fox.click("#table thead th:nth-child(1) button")
    names = (
        "return [...document.querySelectorAll('#table tbody tr:not([hidden]) bdi')].map((e) => e.textContent)"
    )
    order = fox.run(names)
    assert order.index("photo 2.jpg") < order.index("photo 10.jpg")
    fox.run(
        "const e = document.getElementById('search'); e.value = 'photo 1';"
        "e.dispatchEvent(new Event('input', {bubbles: true}))"
    )
    assert sorted(fox.run(names)) == ["photo 1.jpg", "photo 10.jpg", "photo 11.jpg"]


@pytest.mark.parametrize("zoom", ["fit", "1", "2", "4"])
def test_divider_follows_the_pointer(fox: firefox.Firefox, places: dict[str, Path], zoom: str) -> None:
    fox.open(places["one"])
    view(fox)
    fox.click(f"input[name=zoom][value='{zoom}']")
    fox.until("return document.getElementById('after').getBoundingClientRect().width > 0")
    left, top, width, height = fox.run(BOX, "stage")
    for share in (0.4, 0.5, 0.6):
        fox.move(left + share * width, top + height / 2)
        start, _, extent, _ = fox.run(BOX, "divider")
        assert start + extent / 2 == pytest.approx(left + share * width, abs=2 + 0.003 * width)
    if zoom != "fit":
        wide = fox.run(
            "return document.getElementById('after').getBoundingClientRect().width * devicePixelRatio"
        )
        assert wide == pytest.approx(400 * int(zoom), abs=0.5)


def test_heat_map_and_flicker(fox: firefox.Firefox, places: dict[str, Path]) -> None:
    fox.open(places["one"])
    view(fox)
    fox.until("return document.getElementById('heat').dataset.ready === 'yes'")
    fox.click("#heat-shown")
    assert fox.run(STYLE, "heat", "clipPath") == fox.run(STYLE, "after", "clipPath") != ""
    fox.click("input[name=mode][value=flicker]")
    assert fox.run(STYLE, "heat", "visibility") == "hidden"
    fox.click("#swap")
    assert fox.run(TEXT, "#shown") == "shown: after"
    assert fox.run(STYLE, "heat", "visibility") != "hidden"
    fox.click("#automatic")
    fox.until("return document.getElementById('shown').textContent === 'shown: before'")


def test_keys_go_from_picture_to_picture(fox: firefox.Firefox, places: dict[str, Path]) -> None:
    fox.open(places["one"])
    fox.click("#table tr:nth-child(2) .open")
    seen = [fox.run(TEXT, "#viewer-name")]
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        fox.press(key)
        seen.append(fox.run(TEXT, "#viewer-name"))
    assert seen[1] == seen[3]
    assert len(set(seen)) == 3
    fox.press("Escape")
    fox.until("return !document.getElementById('dialog').open")
    fox.until("return document.activeElement.className === 'open'")


def test_lossless_files_say_why(fox: firefox.Firefox, places: dict[str, Path]) -> None:
    fox.open(places["one"])
    view(fox, "lossless")
    assert fox.run("return document.getElementById('divider').hidden")
    assert "nothing to compare" in fox.run(TEXT, "#viewer-note")


def test_earlier_report_on_the_left(fox: firefox.Firefox, places: dict[str, Path]) -> None:
    fox.open(places["far"])
    view(fox)
    original = fox.run("return document.getElementById('before').src")
    fox.click("input[name=left][value=other]")
    fox.until(READY)
    assert fox.run("return document.getElementById('before').src") != original
    assert fox.run(TEXT, "#tag-before") == "earlier"


def test_preview_gives_the_command(fox: firefox.Firefox, places: dict[str, Path]) -> None:
    fox.open(places["preview"])
    fox.until(READY)
    command: Any = "return document.getElementById('command').value"
    assert fox.run(command) == "second"
    fox.click("input[name=choice]")
    fox.until(READY)
    assert fox.run(command) == "first"
    fox.push("copy")
    fox.until("return document.getElementById('copied').textContent === 'copied'")
    assert fox.errors() == []
