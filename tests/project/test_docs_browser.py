"""The built documentation in Chromium: no page or table runs off the window of a phone or of a desk."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from reference.doc_blocks import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore")]

sync_api = pytest.importorskip("playwright.sync_api")
for name in ("mkdocs", "mkdocstrings", "material"):
    pytest.importorskip(name)

CHROMIUM = os.environ.get("GUETZPY_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None:
    pytest.skip("there is no Chromium", allow_module_level=True)

# Elements of the text that end to the right of the window, or of their scrolling parent where that scrolls
# at all: a long line of code scrolls by itself, and nothing else does.
OFF = """() => {
  const off = [];
  if (document.documentElement.scrollWidth > innerWidth) off.push("the page scrolls");
  const kinds = [".md-content table", ".md-content pre", ".md-content img", ".md-content p"].join();
  for (const e of document.querySelectorAll(kinds)) {
    const box = e.getBoundingClientRect();
    if (box.width === 0 || box.right <= innerWidth + 1) continue;
    let parent = e.parentElement;
    while (parent && !/auto|scroll/.test(getComputedStyle(parent).overflowX)) parent = parent.parentElement;
    if (!parent || parent.getBoundingClientRect().right > innerWidth + 1) off.push(e.outerHTML.slice(0, 80));
  }
  return off;
}"""

# Tables that are wider than their place, so that a reader has to scroll them.
SCROLLED = """() => [...document.querySelectorAll(".md-typeset__table, .md-typeset__scrollwrap")]
  .filter((e) => e.scrollWidth > e.clientWidth + 1)
  .map((e) => e.textContent.trim().slice(0, 60))"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs") / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "-q", "--no-directory-urls", "-d", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_runs_off_the_page(site: Path, browser: Any, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.set_default_timeout(300_000)
    found = {}
    for path in sorted(site.rglob("*.html")):
        page.goto(path.as_uri())
        found[str(path.relative_to(site))] = page.evaluate(OFF) + page.evaluate(SCROLLED)
    page.close()
    assert len(found) > 25
    assert {name: off for name, off in found.items() if off} == {}
