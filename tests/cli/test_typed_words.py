"""Sizes with units, notations of subsampling, and suggestions for command lines without a command."""

from __future__ import annotations

import contextlib
import shlex
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from guetzpy._option import options_of, size_of
from guetzpy.cli import app
from guetzpy.options import OptimizeOptions

UNITS = {
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}


@given(
    number=st.decimals(0, 10**6, places=3),
    unit=st.sampled_from(sorted(UNITS)),
    end=st.sampled_from(["", "B"]),
    space=st.sampled_from(["", " "]),
    lower=st.booleans(),
)
def test_sizes_with_units(number: Decimal, unit: str, end: str, space: str, lower: bool) -> None:
    text = f"{number}{space}{unit}{end}"
    text = text.lower() if lower else text
    value = number * UNITS[unit]
    if not unit and not end:  # a point with no unit is not read as a decimal point
        with pytest.raises(ValueError, match="a unit such as 50k"):
            size_of(text)
    elif value == int(value):
        assert size_of(text) == int(value)
    else:
        with pytest.raises(ValueError, match="whole number, for example") as caught:
            size_of(text)
        assert size_of(str(caught.value).rpartition(" ")[2]) >= 1  # the proposed value is accepted


@given(st.integers(0, 10**15))
def test_plain_numbers_stay(number: int) -> None:
    assert size_of(str(number)) == number


def test_a_point_of_thousands_is_not_a_decimal_point() -> None:
    """Regression: 50.000 was taken for 50 bytes."""
    with pytest.raises(ValueError, match=r"'50\.000': expected a whole number, or a unit such as 50k"):
        size_of("50.000")


@given(st.text(max_size=8))
def test_other_text_is_refused_or_a_number(text: str) -> None:
    """No text raises anything else than ValueError."""
    with contextlib.suppress(ValueError):
        assert isinstance(size_of(text), int)


@pytest.mark.parametrize(
    "text", ["", "k", "1kk", "1.5.2M", "1e6", "0x10", "10 %", "1i", "1iB", "--5", "1 000"]
)
def test_sizes_of_no_form(text: str) -> None:
    with pytest.raises(ValueError, match="such as 50000, 50k"):
        size_of(text)


def test_options_that_count_bytes_or_pixels_take_units(folder: Path) -> None:
    sizes = [name for name, (_, option) in options_of(OptimizeOptions).items() if option.size]
    assert sizes == ["max_bytes", "max_pixels", "max_metadata", "max_input", "max_memory"]
    done = run(
        "transcode", "a.jpg", "-n", "--max-pixels", "1.5M", "--max-input", "100MB", "--max-memory", "1GiB"
    )
    assert done.exit_code == 0, done.stderr
    done = run("transcode", "a.jpg", "-n", "--max-pixels", "1k")
    assert done.exit_code == 1
    assert "1 000" in done.stderr or "1000" in done.stderr
    done = run("transcode", "a.jpg", "-n", "--max-pixels", "1x")
    assert (done.exit_code, "'1x': expected a size such as" in done.stderr) == (2, True)
    done = run("optimize", "-r", ".", "-n", "--total-bytes", "1x")
    assert (done.exit_code, "'1x': expected a size such as" in done.stderr) == (2, True)


def test_notations_of_subsampling() -> None:
    assert OptimizeOptions(subsampling="4:2:0") == OptimizeOptions(subsampling="420")  # type: ignore[arg-type]
    assert OptimizeOptions(subsampling="4:4:4").subsampling == "444"  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="auto, 444, 420, keep"):
        OptimizeOptions(subsampling="4:2:2")  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (40, 40), "teal").save("a.jpg")
    (tmp_path / "dir").mkdir()
    Image.new("RGB", (40, 40), "teal").save("dir/b c.jpg")
    return tmp_path


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("a.jpg", "guetzpy optimize a.jpg --suffix -small"),
        ("'dir/b c.jpg' -d 2", "guetzpy optimize 'dir/b c.jpg' -d 2 --suffix -small"),
        ("dir", "guetzpy optimize dir -r --suffix -small"),
        ("-r dir -o out", "guetzpy optimize -r dir -o out"),
        ("-d 2 a.jpg", "guetzpy optimize -d 2 a.jpg --suffix -small"),
        ("--distance=2 a.jpg --in-place", "guetzpy optimize --distance=2 a.jpg --in-place"),
        ("help", "guetzpy --help"),
        ("help optimize", "guetzpy optimize --help"),
        ("help nonsense", "guetzpy --help"),
        ("version", "guetzpy --version"),
        ("optimise a.jpg -o b.jpg", "guetzpy optimize a.jpg -o b.jpg"),
        ("OPTIMIZE a.jpg -o b.jpg", "guetzpy optimize a.jpg -o b.jpg"),
        ("missing.png", "guetzpy optimize missing.png --suffix -small"),
    ],
)
def test_what_was_meant(folder: Path, typed: str, meant: str) -> None:
    """The suggestion is printed, and is a command line that works if its files exist."""
    done = run(*shlex.split(typed))
    assert done.exit_code == 2
    assert done.stderr.endswith(f"did you mean: {meant}\n")
    followed = run(*shlex.split(meant)[1:])
    assert followed.exit_code == (1 if "missing" in typed else 0), followed.stderr


@pytest.mark.parametrize("typed", ["optmize", "nonsense", "--nonsense"])
def test_no_guess(folder: Path, typed: str) -> None:
    done = run(typed)
    assert done.exit_code == 2
    assert " -h' for help" in done.stderr
    assert ("Did you mean 'optimize'?" in done.stderr) == (typed == "optmize")
