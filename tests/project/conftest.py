"""Fixtures of the tests in this folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image
from reference.doc_blocks import ROOT


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a working folder with the small pictures that the blocks of the pages use."""
    with Image.open(ROOT / "tests" / "data" / "coffee.jpg") as coffee:
        exif = coffee.info["exif"]
        parts = [coffee.crop((x, 90, x + 128, 186)) for x in (180, 240, 300)]
    parts[0].save(tmp_path / "photo.jpg", quality=95, exif=exif)
    parts[0].save(tmp_path / "photo.png")
    (tmp_path / "photos" / "sub").mkdir(parents=True)
    for part, name in zip(parts, ("a.jpg", "b.jpg", "sub/c.jpg"), strict=True):
        part.save(tmp_path / "photos" / name, quality=95)
    for name in ("static", "public", "wp-content/uploads"):
        shutil.copytree(tmp_path / "photos", tmp_path / name)
    shutil.copy(ROOT / "tests" / "data" / "coffee.jpg", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path
