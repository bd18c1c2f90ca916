from __future__ import annotations

from pathlib import Path

import pytest

import guetzpy
from guetzpy.options import METADATA_KINDS, OptimizeOptions, TranscodeOptions


def test_default_is_distance_one() -> None:
    assert OptimizeOptions().target == ("distance", 1.0)
    assert OptimizeOptions() == OptimizeOptions(distance=1.0)
    assert OptimizeOptions(max_bytes=1000).target == ("max_bytes", 1000)
    assert OptimizeOptions(max_bytes=1000).distance is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"distance": 1, "quality": 85}, "distance and quality contradict"),
        ({"distance": 0}, "distance 0: expected 0.1 to 25"),
        ({"distance": float("nan")}, "distance nan"),
        ({"distance": "1"}, "expected a number"),
        ({"quality": 0}, "quality 0: expected 1 to 100"),
        ({"quality": 85.5}, "whole number"),
        ({"quality": True}, "expected a number"),
        ({"butteraugli": 0}, "more than 0"),
        ({"ssimulacra2": 101}, "-100 to 100"),
        ({"max_bytes": 0}, "1 or more"),
        ({"bpp": -1}, "more than 0"),
        ({"effort": "slow"}, "fast, balanced, max"),
        ({"subsampling": "422"}, "auto, 444, 420, keep"),
        ({"min_saving": 5}, "0 to 1"),
        ({"threads": 0}, "threads 0"),
        ({"timeout": 0}, "timeout 0"),
        ({"max_pixels": 0}, "max_pixels 0"),
        ({"keep": "exif,nonsense"}, "keep: nonsense: expected some of all"),
        ({"keep": ("exif",), "strip": ("exif",)}, "exif: both kept and stripped"),
    ],
)
def test_nonsense_is_refused(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("(", r"\(")):
        OptimizeOptions(**arguments)  # type: ignore[arg-type]


def test_kinds_come_as_text_or_list() -> None:
    assert TranscodeOptions(strip=" GPS, exif,").strip == ("exif", "gps")  # type: ignore[arg-type]
    assert TranscodeOptions(strip=["gps", "exif"]).strip == ("exif", "gps")  # type: ignore[arg-type]
    assert TranscodeOptions(keep=METADATA_KINDS).keep == METADATA_KINDS


def test_replace_swaps_the_target() -> None:
    options = OptimizeOptions(quality=80, effort="fast").replace(distance=2.0)
    assert options.target == ("distance", 2.0)
    assert options.effort == "fast"
    assert options.replace(effort="max").target == ("distance", 2.0)


def test_hash_and_equality() -> None:
    assert len({OptimizeOptions(), OptimizeOptions(distance=1.0), OptimizeOptions(distance=2.0)}) == 2


def test_limits_stand_once() -> None:
    package = Path(guetzpy.__file__).parent
    found = [path.name for path in package.rglob("*.py") if "268_435_456" in path.read_text()]
    assert found == ["options.py"]
