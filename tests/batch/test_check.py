"""--check reports exactly the files that --in-place would change."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import guetzpy
from guetzpy.cli import app


def _codes(seed: int) -> np.ndarray:
    rough = np.random.default_rng(seed).integers(0, 255, (6, 8, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(rough).resize((64, 48), Image.Resampling.BICUBIC))


def _file(kind: str, seed: int = 1) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(_codes(seed)).save(stream, kind, quality=98)
    return stream.getvalue()


def _kept(folder: Path) -> None:
    (folder / "kept.jpg").write_bytes(guetzpy.optimize(_file("JPEG")).data)


def _png(folder: Path) -> None:
    (folder / "a.png").write_bytes(_file("PNG"))


def _misnamed_png(folder: Path) -> None:
    (folder / "a.jpg").write_bytes(_file("PNG"))


def _garbage(folder: Path) -> None:
    (folder / "a.jpg").write_bytes(b"no picture at all")


def _misnamed_jpeg(folder: Path) -> None:
    (folder / "a.png").write_bytes(_file("JPEG"))


def _large(folder: Path) -> None:
    (folder / "a.jpg").write_bytes(_file("JPEG"))


def _link_inside(folder: Path) -> None:
    _kept(folder)
    (folder / "link.jpg").symlink_to("kept.jpg")


def _link_outside(folder: Path) -> None:
    _kept(folder)
    (folder.parent / "outside.jpg").write_bytes(_file("JPEG"))
    (folder / "link.jpg").symlink_to("../outside.jpg")


def _folder_outside(folder: Path) -> None:
    _kept(folder)
    (folder.parent / "other").mkdir()
    _large(folder.parent / "other")
    (folder / "link").symlink_to("../other")


def _broken_link(folder: Path) -> None:
    _kept(folder)
    (folder / "link.jpg").symlink_to("nothing.jpg")


def _hidden(folder: Path) -> None:
    _kept(folder)
    (folder / ".a.jpg").write_bytes(_file("JPEG"))


def _arithmetic(folder: Path) -> None:
    """Make a file that is kept, because its frame header declares arithmetic coding (T.81 B.2.2)."""
    data = _file("JPEG")
    (folder / "a.jpg").write_bytes(data.replace(b"\xff\xc0", b"\xff\xc9", 1))


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(place): place.read_bytes() for place in folder.rglob("*") if place.is_file()}


@pytest.mark.parametrize(
    ("make", "changes"),
    [
        (_kept, False), (_png, False), (_misnamed_png, False), (_garbage, False), (_misnamed_jpeg, True),
        (_large, True),
        (_link_inside, False), (_link_outside, False), (_folder_outside, False), (_broken_link, False),
        (_hidden, False), (_arithmetic, False),
    ],
)  # fmt: skip
def test_check_and_in_place_agree_in_folders(
    tmp_path: Path, make: Callable[[Path], None], changes: bool
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    make(folder)
    before = _contents(tmp_path)
    check = CliRunner().invoke(app, ["optimize", str(folder), "-r", "-j", "1", "--check"])
    assert _contents(tmp_path) == before
    done = CliRunner().invoke(app, ["optimize", str(folder), "-r", "-j", "1", "--in-place"])
    assert done.exit_code == (1 if make is _garbage else 0)
    assert check.exit_code == (3 if changes else done.exit_code), check.output
    assert (_contents(tmp_path) != before) == changes


@pytest.mark.parametrize("jpeg_only", [[], ["--jpeg-only"]])
@pytest.mark.parametrize(
    ("make", "name", "changes"),
    [
        (_kept, "kept.jpg", False), (_png, "a.png", False), (_misnamed_png, "a.jpg", False),
        (_misnamed_jpeg, "a.png", True), (_large, "a.jpg", True), (_link_inside, "link.jpg", False),
        (_link_outside, "link.jpg", True), (_arithmetic, "a.jpg", False),
    ],
)  # fmt: skip
def test_check_and_in_place_agree_of_files(
    tmp_path: Path, make: Callable[[Path], None], name: str, changes: bool, jpeg_only: list[str]
) -> None:
    """Both options follow a link that is named."""
    folder = tmp_path / "in"
    folder.mkdir()
    make(folder)
    before = _contents(tmp_path)
    check = CliRunner().invoke(app, ["optimize", str(folder / name), "--check", *jpeg_only])
    assert _contents(tmp_path) == before
    done = CliRunner().invoke(app, ["optimize", str(folder / name), "--in-place", *jpeg_only])
    refused = {_misnamed_png: 1, _png: 2}.get(make, 0)
    assert done.exit_code == (0 if jpeg_only else refused), done.output
    assert check.exit_code == (3 if changes else done.exit_code), check.output
    if done.exit_code:
        assert check.stderr == done.stderr
    assert (_contents(tmp_path) != before) == changes


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_check_of_stdin(kind: str) -> None:
    """--in-place cannot replace stdin, but --check accepts it."""
    check = CliRunner().invoke(app, ["optimize", "-", "--check"], input=_file(kind))
    assert check.exit_code == (3 if kind == "JPEG" else 1), check.output


@pytest.mark.parametrize("options", [[], ["-r"]])
def test_a_file_that_must_grow_to_be_as_asked_is_found(tmp_path: Path, options: list[str]) -> None:
    data = guetzpy.transcode(_file("JPEG")).data
    progressive = io.BytesIO()
    Image.fromarray(_codes(1)).resize((512, 384)).save(progressive, "JPEG", quality=75, progressive=True)
    data = guetzpy.transcode(progressive.getvalue()).data
    place = tmp_path / "a.jpg"
    place.write_bytes(data)
    source = str(tmp_path if options else place)
    common = ["optimize", source, "--baseline", "-d", "0.1", *options]
    check = CliRunner().invoke(app, [*common, "--check"])
    CliRunner().invoke(app, [*common, "--in-place"])
    assert len(place.read_bytes()) > len(data)
    assert check.exit_code == 3, check.output
