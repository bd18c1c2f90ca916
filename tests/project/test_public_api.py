"""The public names exist, are sorted and documented, and can be called repeatedly."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Iterable
from typing import Any, get_type_hints

import numpy as np
import pytest

import guetzpy
from guetzpy.jpeg.metadata import policy as metadata
from guetzpy.options import (
    METADATA_KINDS,
    OptimizeKeywords,
    OptimizeOptions,
    TranscodeKeywords,
    TranscodeOptions,
)

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


@pytest.mark.parametrize(
    ("function", "options", "keywords"),
    [
        (guetzpy.optimize, OptimizeOptions, OptimizeKeywords),
        (guetzpy.transcode, TranscodeOptions, TranscodeKeywords),
    ],
)
def test_every_keyword_is_an_option(function: Any, options: type[Any], keywords: type[Any]) -> None:
    """Signature, docstring and types of the keywords agree with the dataclass, which holds the defaults."""
    shown = inspect.signature(function).parameters
    fields = inspect.signature(options).parameters
    assert set(shown) - {"source", "progress", "cancel", "options"} == set(fields)
    for name, field in fields.items():
        assert shown[name].default == field.default
        assert shown[name].kind is inspect.Parameter.KEYWORD_ONLY
        assert f"``{name}``" in function.__doc__, name
    types = get_type_hints(options) | dict.fromkeys(("keep", "strip"), str | Iterable[str])
    assert get_type_hints(keywords) == types
    assert "Unpack" in str(function.__annotations__["keywords"])  # for type checkers


def test_options_come_whole_or_as_keywords(photo_array: np.ndarray) -> None:
    data = guetzpy.optimize(photo_array, options=OptimizeOptions(quality=60, effort="fast")).data
    assert data == guetzpy.optimize(photo_array, quality=60, effort="fast").data
    options = TranscodeOptions(progressive=False)
    assert guetzpy.transcode(data, options=options).data == guetzpy.transcode(data, progressive=False).data
    with pytest.raises(ValueError, match="options and effort: give either options or keywords"):
        guetzpy.optimize(data, options=OptimizeOptions(), effort="fast")
    with pytest.raises(TypeError, match="expected OptimizeOptions, not TranscodeOptions"):
        guetzpy.optimize(data, options=options)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="distance"):
        guetzpy.transcode(data, distance=1.0)  # type: ignore[call-arg]


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
    """No import of a module of the package replaces a public name."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", SCRIPT], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "fine\n"), done.stderr
