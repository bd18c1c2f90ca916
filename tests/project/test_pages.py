"""Pages, transcripts, tables and figures of the documentation are up to date with the code."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from reference.doc_blocks import COMMANDS, DOCS, PAGES, ROOT, blocks, invoke, script, transcript

# README and pages


def test_readme_transcript_tells_of_smaller_files(desk: Path) -> None:
    (block,) = [b for b in blocks(ROOT / "README.md") if b.way == "console"]
    assert [shlex.split(line)[1] for line, _ in transcript(block)] == ["optimize", "compare", "transcode"]
    for line, _ in transcript(block):
        invoke(shlex.split(line))
    before = os.path.getsize("coffee.jpg")
    assert os.path.getsize("smaller.jpg") < os.path.getsize("same-pixels.jpg") < before


def test_pictures_of_the_readme_show_the_bytes_of_its_transcript() -> None:
    """To update them after a change of bytes: python -m bench.transcript, and python docs/make_figures.py."""
    found = json.loads((DOCS / "figures" / "distances.json").read_text())["coffee"]
    readme = (ROOT / "README.md").read_text()
    before, after = (f"{size:,}" for size in found.values())
    assert f"before, {before} bytes; the right half after, {after} bytes](docs/figures/before-after" in readme
    spaced = (before.replace(",", " "), after.replace(",", " "))
    assert "guetzpy: coffee.jpg: {} -> {} bytes".format(*spaced) in readme


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_and_pictures_exist(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        assert "://" in target or (page.parent / target).exists(), target


def test_every_option_has_help() -> None:
    assert set(COMMANDS) >= {"optimize", "transcode", "compare", "inspect", "warmup"}
    for name, command in COMMANDS.items():
        assert command.help, name
        for parameter in command.params:
            assert parameter.help, f"{name}: {parameter.name}"


def test_readme_names_every_command() -> None:
    for name in COMMANDS:
        assert f"`{name}`" in (ROOT / "README.md").read_text(), name


def test_reference_of_the_command_line_is_in_step() -> None:
    """To update it after a change of options: python docs/make_reference.py."""
    assert script("make_reference").main(["--check"]) == 0


def test_reference_names_every_public_name() -> None:
    import guetzpy

    pages = "".join(page.read_text() for page in (DOCS / "reference" / "api").glob("*.md"))
    listed = re.findall(r"^::: (\S+)$", pages, re.MULTILINE)
    assert len(listed) == len(set(listed)), "a name stands on two pages"
    for name in guetzpy.__all__:
        if name not in ("__version__", "batch", "metrics"):
            assert f"guetzpy.{name}" in listed, name
    for package in (guetzpy.batch, guetzpy.metrics):
        missing = {f"{package.__name__}.{name}" for name in package.__all__} - set(listed)
        assert not missing - {"guetzpy.batch.Skipped", "guetzpy.batch.Task"}


def test_manual_page_has_every_option() -> None:
    manual = (DOCS / "guetzpy.1").read_text().replace("\\-", "-")
    for name, command in COMMANDS.items():
        assert f".SH {name.upper()}\n" in manual
        for parameter in command.params:
            assert (
                parameter.opts[0] if parameter.param_type_name == "option" else parameter.metavar
            ) in manual


@pytest.mark.foreign
def test_manual_page_is_clean_roff() -> None:
    if shutil.which("groff") is None:
        pytest.skip("no groff")
    command = ["groff", "-man", "-ww", "-Tutf8", "-z", str(DOCS / "guetzpy.1")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_table_of_distances_is_in_step() -> None:
    """To update it after a change of the figures: python docs/make_figures.py."""
    pytest.importorskip("skimage")
    found = json.loads((DOCS / "figures" / "distances.json").read_text())
    page = (DOCS / "choosing.md").read_text()
    assert script("make_figures").with_tables(page, found) == page
    for row in found["shown"]:
        assert (DOCS / "figures" / f"chelsea-{row['asked']:g}.jpg").stat().st_size == row["bytes"]


def test_table_of_starts_is_in_step() -> None:
    """To update it: python -m bench start."""
    from bench.timing import start

    found = json.loads((ROOT / "bench" / "results" / "start.json").read_text())
    assert set(found["measures"]) == set(start.MEASURES)
    page = (DOCS / "limits.md").read_text()
    assert start.with_table(page, found) == page


@pytest.mark.slow
def test_figures_can_be_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("skimage")
    script("make_figures").main(["--output", str(tmp_path)])
    drawn = {path.name for path in tmp_path.iterdir()}
    assert drawn == {path.name for path in (DOCS / "figures").iterdir()}


@pytest.mark.integrations
def test_documentation_is_built_without_warnings(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > len(PAGES) - 2
    for page in pages:
        text = page.read_text()
        fetched = re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"?(?:https?:)?//[^\s\">]+", text)
        assert fetched == [], page  # the page loads nothing from a network
        assert ":class:" not in text
        assert ":data:" not in text
