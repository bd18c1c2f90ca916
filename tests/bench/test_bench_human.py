"""Comparison of metrics with people: made-up studies whose results are known."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench import peers, readme_tables
from bench.provenance import provenance, write
from bench.viewers import human, jnd, mucped

SAMPLE = "chelsea"


def rated() -> list[mucped.Setting]:
    """Return settings with an Elo score of 1000 log bpp + 2000 for jpegli, and 100 less for others."""
    found = []
    for encoder, sampling, qualities in (
        ("jpegli", "444", (55, 65, 75, 85, 95)),
        ("jpegli", "420", (55, 65, 75, 85, 95)),
        ("mozjpeg", "444", (70, 80)),
        ("libjpeg-turbo", "422", (70, 80)),
        ("mozjpeg", "420", (30,)),
    ):
        for quality in qualities:
            elo = 1000 * log_bpp(quality) + 2000 - 100 * (encoder != "jpegli")
            found.append(mucped.Setting(encoder, quality, sampling, elo, elo - 2, elo + 2, 1.0))
    return found


def log_bpp(quality: int) -> float:
    return (quality - 75) / 20


def rows(images: int = 5) -> list[dict[str, Any]]:
    """Return scores by a metric that prefers jpegli as people do, and by one that prefers no encoder."""
    found = []
    for setting in mucped.all_settings(rated()):
        rate = log_bpp(setting.quality)
        for i in range(images):
            right = 10 * rate + 50 - (setting.encoder != "jpegli") + 0.01 * i
            blind = 10 * rate + 50 + 0.02 * i
            scores = {"psnr": right, "ssimulacra2": blind, "bpp": math.exp(rate) * (1 + 0.01 * i)}
            found.append({"image": str(i), "setting": setting.name} | scores)
    return found


def test_a_metric_that_agrees_with_people_has_no_bias() -> None:
    scores = mucped.Scores(rows(), ("psnr", "ssimulacra2"))
    found = mucped.prediction(rated(), scores, draws=40)["encoders"]
    # Both pairs of 4:2:2 and of 4:4:4. mozjpeg's 4:2:0 has a lower Elo score than any of jpegli's.
    assert [p["setting"] for p in found["pairs"]] == [
        "mozjpeg-q70-yuv444", "mozjpeg-q80-yuv444", "libjpeg-turbo-q70-yuv422", "libjpeg-turbo-q80-yuv422",
    ]  # fmt: skip
    people = 100 * math.expm1(-0.1)
    for pair in found["pairs"]:
        assert pair["people"] == pytest.approx(people, abs=0.1)
        assert pair["psnr"] == pytest.approx(people, abs=0.1)
        assert pair["ssimulacra2"] == pytest.approx(0, abs=0.1)
    right, blind = found["metrics"]["psnr"], found["metrics"]["ssimulacra2"]
    assert abs(right["bias"]) < 0.1
    assert right["low"] < 0 < right["high"]
    assert blind["bias"] == pytest.approx(-people, abs=0.2)
    assert blind["low"] > 5


def test_sampling_is_compared_within_jpegli() -> None:
    found = mucped.prediction(rated(), mucped.Scores(rows(), ("psnr",)), draws=0)["sampling"]
    assert {p["setting"] for p in found["pairs"]} == {f"jpegli-q{q}-yuv420" for q in (55, 65, 75, 85, 95)}
    assert [p["people"] for p in found["pairs"]] == pytest.approx([0] * 5, abs=0.2)


def test_rates_go_on_straight_beyond_the_ends() -> None:
    at = mucped.rate_at([(0.0, 10.0), (1.0, 20.0), (2.0, 19.0), (3.0, 40.0)])
    assert at(10) == pytest.approx(0)
    assert at(0) == pytest.approx(-1)
    assert at(40) == pytest.approx(3)
    assert at(50) > 3
    values = [at(v) for v in np.linspace(0, 60, 100)]
    assert all(a <= b for a, b in itertools.pairwise(values))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for ``--folder``: three small originals, six settings, a made-up AIC-4 table."""
    from bench import corpus

    path: Path = tmp_path_factory.mktemp("studies")
    (path / "sources").mkdir()
    picture = corpus.Named(SAMPLE).read()
    for i in range(2):
        Image.fromarray(picture[40 * i : 40 * i + 180, 60:244]).save(path / "sources" / f"{i}.png")
    lines = [f"{s.name},{s.elo},{s.low},{s.high},{math.exp(log_bpp(s.quality))}" for s in rated()]
    (path / "mucped23_elo.csv").write_text("\n".join([*lines, "mozjpeg-q80-yuv422,2000,1990,2010,1.2\n"]))
    write_aic4(path / "aic4_scores.csv")
    return path


def write_aic4(path: Path) -> None:
    names = ["img_distorted", "img_num", "codec", "dlevel", "distortion", *jnd.METRICS]
    lines = [",".join(names)]
    for source in (1, 2):
        for codec in (1, 2):
            for level in range(1, 11):
                seen = 0.3 * level + 0.01 * source
                scores = [100 - 10 * seen - codec * (m != "CVVDP") * level % 3 for m in jnd.METRICS]
                lines.append(",".join(map(str, ["x.png", source, codec, level, seen, *scores])))
    path.write_text("\n".join(lines) + "\n")


def test_correlations_and_scale(tmp_path: Path) -> None:
    write_aic4(tmp_path / "scores.csv")
    found = jnd.summary(jnd.read(tmp_path / "scores.csv"))
    assert found["pictures"] == {"all": 40, "jpeg_1": 20}
    cvvdp = found["correlations"]["CVVDP"]["all"]
    assert cvvdp["srocc"] == pytest.approx(1)
    assert cvvdp["plcc"] == pytest.approx(1, abs=1e-3)
    assert cvvdp["rmse"] < 0.05
    assert found["correlations"]["SSIM"]["all"]["srocc"] < 1
    quarter, half, one = found["scale"]
    assert "CVVDP" not in quarter  # the smallest distortion is 0.31
    assert half["CVVDP"] == {"mean": pytest.approx(95), "sd": 0, "originals": 2}
    assert one["CVVDP"]["mean"] == pytest.approx(90)
    assert one["distance"] > half["distance"]
    (tmp_path / "empty.csv").write_text("img_num\n1\n")
    with pytest.raises(ValueError, match=r"empty\.csv.*CVVDP"):
        jnd.read(tmp_path / "empty.csv")


def test_names_of_settings(tmp_path: Path) -> None:
    (tmp_path / "elo.csv").write_text("jpegli-90,1,2,3,4\n")
    with pytest.raises(ValueError, match="jpegli-90"):
        mucped.read_settings(tmp_path / "elo.csv")


def test_settings_are_encoded_as_named() -> None:
    from bench import corpus

    picture = np.ascontiguousarray(corpus.Named(SAMPLE).read()[:64, :64])
    assert mucped.Setting("mozjpeg", 80, "422").encode(picture) is None
    turbo = [
        len(mucped.Setting("libjpeg-turbo", q, s).encode(picture) or b"")
        for q, s in ((50, "420"), (90, "444"))
    ]
    assert 0 < turbo[0] < turbo[1]


@pytest.mark.skipif(bool(peers.available(["jpegli444", "moz444"])[1]), reason="needs ajpegli and pyvips")
def test_a_run_writes_figures_and_means(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(human, "COLUMNS", ("psnr", "psnr_hvs_m", "iw_ssim_db"))
    human.main(["--folder", str(folder), "--output", str(tmp_path), "--draws", "5"])
    result = json.loads((tmp_path / "human.json").read_text())
    assert result["images"] == 2
    assert result["left_out"] == ["mozjpeg-q80-yuv422"]
    assert set(result["mucped23"]["encoders"]["metrics"]) == {"psnr", "psnr_hvs_m", "iw_ssim_db"}
    table = (tmp_path / "human.csv").read_text().splitlines()
    assert table[0] == "setting,elo,elo_low,elo_high,bpp_published,bpp,psnr,psnr_hvs_m,iw_ssim_db"
    assert len(table) == 1 + len(rated()) + 2 * len(mucped.BEYOND)
    assert "| CVVDP | 1.000 |" in capsys.readouterr().out
    assert not list(tmp_path.glob("*.partial.jsonl"))


def test_the_page_is_in_step_with_the_result(repository: Path) -> None:
    page = readme_tables.PAGE.read_text()
    assert page == readme_tables.updated_results(page), "run python -m bench readme_tables"


def test_tables_of_the_page(tmp_path: Path) -> None:
    write_aic4(tmp_path / "scores.csv")
    scores = mucped.Scores(rows(), ("psnr", "ssimulacra2"))
    result = provenance(
        part="human", images=5, left_out=[], bits_per_pixel=human.bits_check(rated(), scores),
        mucped23=mucped.prediction(rated(), scores, draws=5),
        aic4=jnd.summary(jnd.read(tmp_path / "scores.csv")),
    )  # fmt: skip
    write("human", result, tmp_path)
    page = f"a\n{readme_tables.BEGIN}\nold\n{readme_tables.END}\nb"
    text = readme_tables.updated_page(page, tmp_path)
    assert "old" not in text
    assert "| PSNR | " in text
    assert "| 0.25 |  |  |  |  |  | 0 |" in text  # no file has so little distortion
    assert "90.00 ± 0.00" in text
