"""The bench of inks finds that equal tables take more bytes than those that follow the effect of each ink."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from reference import ink_files
from reference.bench_runs import photo

from bench import inks


@pytest.mark.parametrize("profile", [False, True])
def test_a_picture(
    profile: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "images").mkdir()
    Image.fromarray(photo()).save(tmp_path / "images" / "photo.png")
    monkeypatch.setattr(inks, "PAIRS", ((0.06, 1.2),))
    arguments = ["--images", str(tmp_path / "images")]
    if profile:
        # The profile of the tests converts from CMYK only, so the inks are those of Pillow.
        monkeypatch.setattr(inks, "cmyk", lambda picture, *_: ink_files.cmyk(picture, icc_profile=ICC))
    inks.main(arguments)
    row = capsys.readouterr().out.splitlines()[-1]
    assert row.startswith("| 0.06 | 1.2 | -")


ICC = ink_files.cmyk_profile()
