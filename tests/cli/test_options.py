from __future__ import annotations

import dataclasses
import json
import math
import re
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import guetzpy
from guetzpy._option import options_of
from guetzpy.batch.manifest import options_hash
from guetzpy.cli import app
from guetzpy.cli.sections import SECTIONS
from guetzpy.options import METADATA_KINDS, CommonOptions, OptimizeOptions, TranscodeOptions


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
        ({"max_bytes": float("inf")}, "whole number"),
        ({"bpp": -1}, "more than 0"),
        ({"bpp": float("inf")}, "bpp inf: expected a number, at most 1e+15"),
        ({"bpp": float("nan")}, "bpp nan: expected a number, at most 1e+15"),
        ({"bpp": 1e308}, "bpp 1e+308: expected a number, at most 1e+15"),
        ({"max_bytes": 10**400}, "max_bytes of many digits: expected a whole number, at most 1e+15"),
        ({"max_bytes": 10**5000}, "max_bytes of many digits"),
        ({"quality": 10**400}, "quality of many digits: expected 1 to 100"),
        ({"threads": 10**400}, "threads of many digits: expected 1 to 1024"),
        ({"timeout": float("inf")}, "timeout inf"),
        ({"effort": "slow"}, "fast, balanced, max"),
        ({"subsampling": "422"}, "auto, 444, 420, keep"),
        ({"min_saving": 5}, "0 to 1"),
        ({"threads": 0}, "threads 0"),
        ({"timeout": 0}, "timeout 0"),
        ({"max_pixels": 0}, "max_pixels 0"),
        ({"keep": "exif,nonsense"}, "keep: nonsense: expected some of: all"),
        ({"keep": ("exif",), "strip": ("exif",)}, "exif: both kept and stripped"),
    ],
)
def test_nonsense_is_refused(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        OptimizeOptions(**arguments)  # type: ignore[arg-type]


def test_scalars_of_numpy_are_numbers() -> None:
    given = OptimizeOptions(
        quality=np.int64(80), min_saving=np.float32(0.5), strict=np.bool_(True), fit=np.int32(9)
    )
    own = OptimizeOptions(quality=80, min_saving=0.5, strict=True, fit=9)
    assert given == own
    assert given.stable_hash() == own.stable_hash()
    assert json.dumps(given.to_dict()) == json.dumps(own.to_dict())
    with pytest.raises(ValueError, match="expected a number"):
        OptimizeOptions(distance=np.bool_(True))


def test_options_with_a_list_can_be_hashed() -> None:
    background: Any = [255, 0, 0]
    assert hash(OptimizeOptions(background=background)) == hash(OptimizeOptions(background=(255, 0, 0)))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--total-bpp", "inf"],
        ["--total-bpp", "nan"],
        ["--total-bpp", "1e308"],
        ["--total-bytes", "9" * 400],
        ["--total-bytes", "0"],
        ["--max-bytes", "9" * 400],
        ["--bpp", "inf"],
        ["--bpp", "1e308"],
        ["--check", "--threshold", "nan"],
        ["--check", "--threshold", "inf"],
    ],
)
def test_absurd_numbers_are_wrong_usage(arguments: list[str], tmp_path: Path) -> None:
    """Regression: they ended in OverflowError, or were accepted."""
    Image.new("RGB", (16, 16), (200, 10, 10)).save(tmp_path / "a.jpg")
    done = CliRunner().invoke(app, ["optimize", str(tmp_path / "a.jpg"), "-n", *arguments])
    assert done.exit_code == 2
    assert ": expected " in done.stderr
    assert done.stderr.count("\n") == 1


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


@pytest.mark.parametrize("kind", [OptimizeOptions, TranscodeOptions])
def test_every_field_has_help_section_and_range(kind: type[Any]) -> None:
    """The command line's options are made of the fields. A number without a range would not be checked."""
    fields = options_of(kind)
    assert set(fields) == {field.name for field in dataclasses.fields(kind)}
    hints = get_type_hints(kind)
    documented = f"{OptimizeOptions.__doc__}{CommonOptions.__doc__}"
    for name, (_, option) in fields.items():
        assert option.help.endswith("."), name
        assert option.section in SECTIONS, name
        assert re.search(rf"^    ([\w, ]+, )?{name}(, [\w, ]+)? : ", documented, re.MULTILINE), name
        if {int, float} & (given := {hints[name], *get_args(hints[name])}) and str not in given:
            assert option.low is not None, name
            for value in (option.low - 1, option.high + 1):
                if value < math.inf:
                    with pytest.raises(ValueError, match=f"{name} "):
                        kind(**{name: value})


#: Hashes of options in the manifests of earlier runs.
HASHES = {
    "622fa2c1e813928b": OptimizeOptions(),
    "d8d19c38a41a459e": OptimizeOptions(quality=80, keep=("exif",)),
    "1909e5a7aeff76d7": OptimizeOptions(
        strip=("exif", "gps"), background=(1, 2, 3), max_memory=10**9, threads=1
    ),
    "6916229d4c196015": TranscodeOptions(),
    "7d771b0b93c1bb7f": TranscodeOptions(progressive=False, keep=("all",), repair=True),
    "bcb5107245b3187a": OptimizeOptions(max_bytes=1000, effort="fast", to_srgb=True, min_saving=0.1),
}


@pytest.mark.parametrize("known", HASHES)
def test_hash_of_options_stays(known: str) -> None:
    """Otherwise --resume would process all files of an earlier run again."""
    assert options_hash(HASHES[known]) == known


def test_limits_stand_once() -> None:
    package = Path(guetzpy.__file__).parent
    found = [path.name for path in package.rglob("*.py") if "268_435_456" in path.read_text()]
    assert found == ["_common_options.py"]
