"""The types of guetzpy's public names, as type checkers see them."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import guetzpy

PROGRAM = """
from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

import guetzpy
from guetzpy.integrations import pillow
from guetzpy.options import OptimizeKeywords


def watch(event: guetzpy.Progress) -> None:
    print(event.stage, event.fraction, event.name)


def use(array: npt.NDArray[np.uint16], image: Image.Image) -> bytes:
    result: guetzpy.Result = guetzpy.optimize(Path("a.jpg"), distance=1.0, progress=watch)
    guetzpy.optimize(b"", quality=85, keep=["exif"], strip="gps,thumbnail", to_srgb=True)
    guetzpy.optimize(array, effort="fast", cancel=threading.Event())
    guetzpy.optimize(image, subsampling="420", background=(255, 255, 255))
    saving: float | None = guetzpy.transcode("a.jpg", threads=1).saving
    score: float = guetzpy.metrics.butteraugli(array, image)
    options = guetzpy.OptimizeOptions(ssimulacra2=80.0)
    guetzpy.optimize(image, options=options)
    keywords: OptimizeKeywords = {"effort": "max", "keep": ("exif", "icc")}
    guetzpy.optimize(image, cancel=threading.Event(), **keywords)
    with guetzpy.batch.run(["a", Path("b")], "out", options, executor=ThreadPoolExecutor(1)) as run:
        for each in run:
            print(each.status, each.input, saving, score)
    pillow.register()
    try:
        guetzpy.transcode(b"")
    except guetzpy.GuetzpyError as error:
        print(error.reason, error.exit_code)
    return result.data
"""

MISTAKES = {
    'guetzpy.optimize("a", effort="lazy")': "arg-type",
    'guetzpy.optimize("a", distanc=1.0)': "call-arg",
    "guetzpy.optimize(1.0)": "arg-type",
    'guetzpy.optimize("a").dta': "attr-defined",
    'guetzpy.optimize("a", progress=3)': "arg-type",
    'guetzpy.nonsense("a")': "attr-defined",
    'guetzpy.optimize("a", keep=3)': "arg-type",
    'guetzpy.transcode("a", distance=1.0)': "call-arg",
    'guetzpy.transcode("a", options=guetzpy.OptimizeOptions())': "arg-type",
}


def mypy(program: str, folder: Path) -> str:
    (folder / "program.py").write_text(program)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--config-file=", "program.py"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True).stdout


@pytest.mark.integrations
def test_a_program_that_uses_everything_passes_mypy(tmp_path: Path) -> None:
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed")
    assert "Success" in (said := mypy(PROGRAM, tmp_path)), said
    wrong = "import guetzpy\n\n" + "\n".join(MISTAKES) + "\n"
    lines = mypy(wrong, tmp_path).splitlines()
    for number, code in enumerate(MISTAKES.values(), 3):
        assert any(f"program.py:{number}: error" in line and f"[{code}]" in line for line in lines), lines


@pytest.fixture(scope="module")
def completeness(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    """Return Pyright's report on a copy of the package in a folder like site-packages."""
    if importlib.util.find_spec("pyright") is None:
        pytest.skip("pyright is not installed")
    site = tmp_path_factory.mktemp("site")
    (site / "guetzpy").symlink_to(Path(guetzpy.__file__).parent, target_is_directory=True)
    command = [
        sys.executable,
        "-m",
        "pyright",
        "--verifytypes",
        "guetzpy",
        "--ignoreexternal",
        "--outputjson",
    ]
    done = subprocess.run(
        [*command, "--pythonpath", sys.executable],
        cwd=site,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    if not done.stdout.startswith("{"):
        pytest.skip(f"pyright does not run here: {done.stderr[-200:]}")
    report = json.loads(done.stdout)
    assert report["typeCompleteness"]["completenessScore"] > 0.9
    return list(report["typeCompleteness"]["symbols"])


#: Modules whose names users import. Their types must be complete; for others the score above is sufficient.
PUBLIC = ("api", "batch", "errors", "integrations", "metrics", "options", "progress", "result")


@pytest.mark.integrations
def test_public_names_are_typed_completely(completeness: list[dict[str, object]]) -> None:
    seen, unknown = 0, []
    for symbol in completeness:
        parts = str(symbol["name"]).split(".")
        # imageio, from whose class the plugin derives, has no types.
        public = len(parts) == 2 or parts[1] in PUBLIC
        if symbol["isExported"] and public and "imageio" not in parts:
            seen += 1
            if not symbol["isTypeKnown"] or symbol["isTypeAmbiguous"]:
                unknown.append(symbol["name"])
    assert seen > 150
    assert unknown == []
