"""The public names are there, sorted, callable again and again, and documented."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import guetzpy
from guetzpy.jpeg.metadata import policy as metadata
from guetzpy.options import METADATA_KINDS, OptimizeOptions

FUNCTIONS = ["optimize", "transcode", "warmup"]


def test_names_are_sorted_and_there() -> None:
    assert guetzpy.__all__ == sorted(guetzpy.__all__)
    for name in guetzpy.__all__:
        assert getattr(guetzpy, name) is not None
    assert set(guetzpy.__all__) <= set(dir(guetzpy))


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        guetzpy.nonsense  # noqa: B018


@pytest.mark.parametrize("name", [n for n in guetzpy.__all__ if n != "__version__"])
def test_names_are_documented(name: str) -> None:
    assert inspect.getdoc(getattr(guetzpy, name))


def test_every_keyword_is_an_option() -> None:
    """optimize() takes what OptimizeOptions holds, with the same defaults."""
    keywords = inspect.signature(guetzpy.optimize).parameters
    options = inspect.signature(OptimizeOptions).parameters
    assert set(keywords) - {"source", "progress", "cancel"} == set(options)
    for name, parameter in options.items():
        assert keywords[name].default == parameter.default
        assert keywords[name].kind is inspect.Parameter.KEYWORD_ONLY


def test_kinds_of_metadata_are_those_of_the_codec() -> None:
    assert sorted(metadata.KINDS) == list(METADATA_KINDS)


def test_errors_name_file_and_reason() -> None:
    error = guetzpy.FormatError("empty file")
    assert str(error) == error.reason == "empty file"
    error.name = "a.jpg"
    assert str(error) == "a.jpg: empty file"
    assert issubclass(guetzpy.FormatError, guetzpy.GuetzpyError)


SCRIPT = """
import importlib, io, pkgutil
import numpy as np
import guetzpy

for module in pkgutil.walk_packages(guetzpy.__path__, "guetzpy."):
    if module.name != "guetzpy.__main__":
        importlib.import_module(module.name)

picture = np.zeros((16, 16, 3), np.uint8)
picture[4:12, 4:12] = (200, 120, 40)
for _ in range(2):
    result = guetzpy.optimize(picture)
    assert isinstance(result, guetzpy.Result) and result.data[:2] == b"\\xff\\xd8"
    assert guetzpy.transcode(result.data).bytes_after <= len(result.data)
    assert guetzpy.OptimizeOptions().target == ("distance", 1.0)
    assert guetzpy.TranscodeOptions().keep == ()
    assert guetzpy.metrics.butteraugli(picture, picture) == 0
    assert guetzpy.metrics.ssimulacra2(picture, picture) == 100
    assert guetzpy.metrics.iwssim(picture, picture) == 1
    assert guetzpy.metrics.ButteraugliComparator(picture).score(picture) == 0
    assert guetzpy.metrics.SSIMULACRA2Comparator(picture).score(picture) == 100
    for name in ("FormatError", "LimitError", "TargetError", "UnsupportedError"):
        assert isinstance(getattr(guetzpy, name)("x"), guetzpy.GuetzpyError)
print("fine")
"""


def test_public_names_survive_the_import_of_every_module() -> None:
    """No module of the package hides a public name, whatever was imported before."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", SCRIPT], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "fine\n"), done.stderr
