"""Hints name options that exist, and the commands that they propose work."""

from __future__ import annotations

import ast
import io
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer.main
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

import guetzpy
from guetzpy.cli import app
from guetzpy.engine.compare import load_pair
from guetzpy.errors import LimitError
from guetzpy.picture import formats
from guetzpy.search.plan import check_memory, least_memory, packing_memory, plan_search

_ROOT = Path(guetzpy.__file__).parent

#: Options of other programs that occur in texts of guetzpy.
_OF_OTHERS = {"--no-sandbox"}


def commands() -> dict[str, Any]:
    """Return the command line itself, with the name "", and its commands."""
    group: Any = typer.main.get_command(app)
    return {"": group, **group.commands}


def options_of(command: Any) -> set[str]:
    found = {"--help", "-h"}
    for parameter in command.params:
        found.update(parameter.opts, parameter.secondary_opts)
    return found


def texts() -> Iterator[tuple[str, str]]:
    """Yield the place and text of each string literal of the package, also in f-strings."""
    for path in sorted(_ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield f"{path.relative_to(_ROOT)}:{node.lineno}", node.value


def test_each_option_that_a_text_names_exists() -> None:
    """This includes options in docstrings, because help texts are made of them."""
    known = set().union(*map(options_of, commands().values())) | _OF_OTHERS
    named = [
        (place, option)
        for place, text in texts()
        for option in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*[a-z0-9]", text)
    ]
    assert len(named) > 100
    assert [(place, option) for place, option in named if option not in known] == []


def test_each_command_that_is_proposed_takes_its_options() -> None:
    """The code builds commands as lists that begin with "guetzpy" and the name of a command."""
    known, found = commands(), []
    for path in sorted(_ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            items = node.elts if isinstance(node, ast.List) else []
            words = [item.value if isinstance(item, ast.Constant) else "" for item in items]
            if words[:1] == ["guetzpy"]:
                found.append(words[1])
                options = {word for word in words if isinstance(word, str) and word.startswith("-")}
                assert options <= options_of(known[str(words[1])]), (path.name, words)
    assert {"restore", "optimize"} <= set(found)


def test_each_extra_that_is_proposed_exists() -> None:
    """Double quotes keep the brackets in the shells of Unix and of Windows."""
    with open(_ROOT.parent / "pyproject.toml", "rb") as stream:
        extras = set(tomllib.load(stream)["project"]["optional-dependencies"])
    assert extras >= set(formats._EXTRAS.values()) >= {"heic", "avif", "jxl", "raw"}
    found = [(place, text) for place, text in texts() if "pip install" in text and "``" not in text]
    assert len(found) == 3
    for place, text in found:
        named = re.search(r'pip install "guetzpy\[(\w*)', text)
        assert named is not None, place
        assert named[1] in {*extras, ""}, place  # "" if the code adds the name


@pytest.mark.parametrize("command", ["inspect", "compare"])
def test_a_url_where_only_files_are_read_is_told(command: str) -> None:
    url = "s3://bucket/a.jpg"
    done = CliRunner().invoke(app, [command, url, url] if command == "compare" else [command, url])
    assert done.exit_code == 1
    assert f"{url}: no such file; of URLs, guetzpy reads those of optimize and transcode" in done.stderr


def test_a_url_for_a_report_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("L", (8, 8)).save("a.png")
    done = CliRunner().invoke(app, ["optimize", "a.png", "-o", "a.jpg", "--report", "s3://b/r.html"])
    assert (done.exit_code, "is a URL" in done.stderr) == (2, True)
    done = CliRunner().invoke(app, ["restore", "s3://b/kept"])
    assert (done.exit_code, "copy them back by hand" in done.stderr) == (2, True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png"]


def enough(error: object) -> int:
    match = re.search(r"--max-memory (\d+) is enough", str(error))
    assert match is not None, error
    return int(match[1])


sides = st.integers(1, 65_500)


@given(sides, sides, st.sampled_from(["fast", "balanced", "max"]), st.booleans(), st.booleans())
def test_the_memory_that_a_refused_search_names_is_enough(
    width: int, height: int, effort: str, coefficients: bool, few: bool
) -> None:
    limit = {"file_size": 8_000} if few else {"ceiling": 100_000_000}
    try:
        plan = plan_search(width, height, effort, coefficients=coefficients, **limit)  # type: ignore[arg-type]
    except LimitError as error:
        value = enough(error)
        assert value < 1.02 * least_memory(width, height, effort, coefficients)
        plan_search(width, height, effort, coefficients=coefficients, ceiling=value)
    else:
        whole = plan_search(width, height, effort, coefficients=coefficients, ceiling=plan.unbounded)
        assert not whole.bounded


def test_the_memory_that_other_steps_name_is_enough() -> None:
    with pytest.raises(LimitError) as caught:
        check_memory(10**7, packing_memory(10**7), 10**8)
    check_memory(10**7, packing_memory(10**7), enough(caught.value))


def png(width: int, height: int) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (width, height), 200).save(stream, "PNG")
    return stream.getvalue()


def test_the_memory_that_a_refused_comparison_names_is_enough() -> None:
    """One of the files is small, and its decoding has a memory check of its own; the other is large."""
    small, large = png(7000, 6000), png(7000, 6000) + bytes(600_000)
    with pytest.raises(LimitError) as caught:
        load_pair(large, small)
    load_pair(large, small, max_memory=enough(caught.value))


@pytest.mark.parametrize("fit", [None, (64, 64)])
def test_the_memory_that_the_command_names_is_enough(
    fit: tuple[int, int] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each limit, the command succeeds with the value that the message names."""
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(1).integers(0, 256, (6, 8, 3)).astype(np.uint8)  # small files
    picture = Image.fromarray(noise).resize((128, 96), Image.Resampling.NEAREST)
    picture.save("a.png")
    picture.save("a.jpg", quality=95)
    fits = [] if fit is None else ["--fit", f"{fit[0]}x{fit[1]}"]
    for name in ("a.png", "a.jpg"):
        for limit in (100_000, 300_000):
            arguments = ["optimize", name, "-n", "-e", "fast", *fits, "--max-memory"]
            done = CliRunner().invoke(app, [*arguments, str(limit)])
            assert done.exit_code == 1, done.output
            assert CliRunner().invoke(app, [*arguments, str(enough(done.stderr))]).exit_code == 0
