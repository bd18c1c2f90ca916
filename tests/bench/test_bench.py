"""The bench: curves, corpus, other encoders, budgets, and figures that are up to date with the results."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from reference.bench_runs import photo, points, saved

from bench import (
    corpus,
    curves,
    jpeg_inputs,
    peers,
    plots,
    quality,
)
from bench import rate_distortion as rd
from bench.journal import Journal
from bench.sets import clic, contestants
from guetzpy import Result
from guetzpy.batch.budget import Aim
from guetzpy.model import file as model_file

# Curves


def test_a_constant_saving_is_found() -> None:
    peer = points({q: 1000 * math.exp(q / 20) for q in (50, 60, 70, 80, 90)})
    ours = points({q: 900 * math.exp(q / 20) for q in (50, 65, 80, 92)})
    found = curves.difference(ours, [peer], "ssimulacra2", 50, 92)
    assert found is not None
    assert curves.per_cent(found) == pytest.approx(-10, abs=0.2)


def test_the_base_line_is_the_best_peer_at_each_quality() -> None:
    steep = points({q: 1000 * math.exp(q / 10) for q in range(50, 95, 5)})
    flat = points({q: 1000 * math.exp(70 / 10 + (q - 70) / 40) for q in range(50, 95, 5)})
    assert curves.difference(flat, [steep, flat], "ssimulacra2", 72, 90) == pytest.approx(0, abs=1e-9)
    below = curves.difference(flat, [steep, flat], "ssimulacra2", 52, 68)
    assert below is not None
    assert below > 0.2


def test_smaller_is_better_for_butteraugli() -> None:
    peer = points({0.5: 4000, 1.0: 2000, 2.0: 1000}, "butteraugli_3norm")
    ours = points({0.5: 2000, 1.0: 1000, 2.0: 500}, "butteraugli_3norm")
    found = curves.difference(ours, [peer], "butteraugli_3norm", 0.35, 2.0)
    assert found is not None
    assert curves.per_cent(found) == pytest.approx(-50, abs=0.5)


def test_curves_that_do_not_meet_compare_to_nothing() -> None:
    low, high = points({50: 100, 60: 200}), points({70: 100, 80: 200})
    assert curves.difference(low, [high], "ssimulacra2", 50, 92) is None


# Corpus


def test_pictures_of_a_folder_by_relative_name(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("b/2.png", "1.png", "3.txt", "4.jpg"):
        if name.endswith("txt"):
            (tmp_path / name).write_text("no picture")
        else:
            Image.new("RGBA", (9, 8), (1, 2, 3, 255)).convert("RGB").save(tmp_path / name)
    assert [p.name for p in corpus.pictures(tmp_path)] == ["1.png", "4.jpg", "b/2.png"]
    assert [p.name for p in corpus.pictures(tmp_path, match="b/,4")] == ["4.jpg", "b/2.png"]
    assert len(corpus.pictures(tmp_path, limit=2)) == 2
    assert corpus.pictures(tmp_path)[0].read().shape == (8, 9, 3)
    with pytest.raises(SystemExit):
        corpus.pictures(tmp_path, match="none such")


def test_samples_are_colour_photos() -> None:
    for picture in corpus.pictures():
        samples = picture.read()
        assert samples.dtype == np.uint8
        assert samples.ndim == 3
        assert min(samples.shape[:2]) >= 300


def test_pictures_of_any_size(tmp_path: Path) -> None:
    for megapixels in (0.01, 0.3):
        samples = corpus.of_size(corpus.pictures()[1:3], megapixels)
        assert samples.shape[0] * samples.shape[1] == pytest.approx(megapixels * 1e6, rel=0.02)
        assert samples.std() > 20


# Peers


def test_every_peer_that_is_here_encodes() -> None:
    picture = photo(64, 72)
    here, missing = peers.available()
    assert {"turbo444", "turbo420", "pillow"} <= set(here)
    assert len(here) + len(missing) == sum(not p.slow for p in peers.PEERS.values())
    for kind, peer in here.items():
        sizes = []
        for setting in (peer.settings[0], peer.settings[-1]):
            data = peer.encode(picture, setting)
            assert peer.jpeg == data.startswith(b"\xff\xd8\xff"), kind
            error = quality.squared_error(picture, peer.decode(data))
            assert quality.psnr(error) > 20, kind
            sizes.append(len(data))
        assert sizes[0] != sizes[1], kind


def test_an_unknown_peer_is_refused_and_a_missing_one_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match="unknown peers: nonesuch"):
        peers.available(["nonesuch"])
    monkeypatch.setitem(
        peers.PEERS, "webp", peers.Peer("webp", "WebP", (1,), lambda p, s: b"", lambda: None, peers.decode)
    )
    here, missing = peers.available(["webp", "pillow"])
    assert list(here) == ["pillow"]
    assert missing == ["WebP"]


def test_repackers_keep_every_pixel() -> None:
    data = peers.by_pillow(photo(64, 72), "JPEG", quality=90)
    for repack, version in peers.REPACKERS.values():
        if version():
            assert np.array_equal(peers.decode(repack(data)), peers.decode(data))


def test_a_run_writes_points_and_figures(table: Path) -> None:
    rows = rd.read_rows(table / "points.csv")
    assert {row["kind"] for row in rows} == {"guetzpy", "turbo444", "turbo420"}
    assert [row["setting"] for row in rows if row["kind"] == "guetzpy"] == ["1.0", "2.0"]
    result = json.loads((table / "points.json").read_text())
    assert result["failures"] == []
    assert result["images"] == 1
    for key in ("date", "machine", "versions", "peers"):
        assert result[key], key
    figures = result["summary"]["guetzpy"]["SSIMULACRA 2, 50-92"]
    assert figures["pictures"] == {"photo.png": figures["mean"]}
    assert figures["mean"] < 0, "fewer bytes than libjpeg-turbo"


def test_without_the_best_encoders_the_base_line_is_named() -> None:
    row = {"setting": 1.0, "bytes": 10.0, "ssimulacra2": 80.0}
    kinds = ("guetzpy", "turbo420", "moz444", "jpegli420", "jpegli444", "moz420")
    table: rd.Table = {"a": {kind: [row] for kind in kinds}}
    assert rd.base_line(table) == curves.BEST_OF_FOUR
    del table["a"]["moz444"], table["a"]["jpegli444"], table["a"]["jpegli420"]
    assert rd.base_line(table) == ("moz420",)
    del table["a"]["moz420"]
    assert rd.base_line(table) == ("turbo420",)
    assert "best of: libjpeg-turbo 4:2:0, progressive" in "\n".join(rd.report({}, ("turbo420",)))
    assert rd.base_line({}) == ()
    assert "nothing to compare with" in "\n".join(rd.report({}, ()))


def test_given_points_are_not_measured_again(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rd, "run", lambda *_: pytest.fail("ran"))
    given = table / "points.csv"
    tables = ["--ours", str(given), "--peers-table", str(given), "--baseline", "turbo444,turbo420"]
    rd.main([*tables, "--output", str(table / "again"), "--no-plots"])
    first, second = (
        json.loads((table / n).read_text()) for n in ("points.json", "again/rate_distortion.json")
    )
    assert first["summary"] == second["summary"]


def test_plots_are_reproducible(table: Path) -> None:
    pytest.importorskip("matplotlib")
    points = rd.tabled(rd.read_rows(table / "points.csv"))
    summary = json.loads((table / "points.json").read_text())["summary"]
    files = [
        plots.plot_rate_distortion(points, summary, ("turbo444", "turbo420"), table / name) for name in "ab"
    ]
    assert len(files[0]) == 2
    for first, second in zip(*files, strict=True):
        assert first.read_bytes() == second.read_bytes()


# CLIC


@pytest.mark.parametrize(("scale", "way"), [((1, 95), True), ((25.0, 0.2), False)])
def test_the_best_setting_that_fits(scale: tuple[float, float], way: bool) -> None:
    def size(setting: float) -> int:
        return int(1000 * setting) if way else int(1000 / setting)

    found = clic.fit(size, 20_500, scale, way) if way else clic.fit(size, 1000, scale, way)
    assert found is not None
    assert found == 20 if way else size(found) == pytest.approx(1000, rel=0.01)
    assert clic.fit(size, 10, scale, way) is None
    assert clic.fit(size, 10**9, scale, way) == scale[1]


@pytest.mark.parametrize("own", [False, True])
def test_a_set_stays_within_its_budget(tmp_path: Path, own: bool) -> None:
    named = saved(tmp_path, photo(176, 176), photo(176, 200))
    encoders = [e for e in contestants.contestants("fast")[0] if ("guetzpy" if own else "Pillow") in e.title]
    assert len(encoders) == (3 if own else 2), "whole and half size, and equal slope"
    for encoder in encoders:
        files = contestants.Files(encoder, named)
        area = sum(files.areas)
        for bits in (1.0, 0.4):
            settings = clic.settings_of(files, int(bits * area / 8))
            assert settings is not None
            row = clic.evaluate(files, settings)
            assert 0.85 * bits < row["bpp"] <= bits
            assert row["ssimulacra2"] > (30 if bits == 1 else -30)
            assert row["ssimulacra2_worst"] <= row["ssimulacra2"]
        assert clic.settings_of(files, 100) is None
        assert 100 < clic.least(files) < 0.4 * area / 8


def test_dataset_psnr_is_of_all_samples(tmp_path: Path) -> None:
    pictures = [np.full((176, 176, 3), 100, np.uint8), np.full((176, 352, 3), 100, np.uint8)]
    named = saved(tmp_path, *pictures)
    shown = iter([pictures[0] + np.uint8(3), pictures[1]])
    encoder = contestants.Contestant("x", lambda p, s: b"12", lambda d, s: next(shown), (0, 1), "whole", "")
    row = clic.evaluate(contestants.Files(encoder, named), [1.0, 1.0])
    assert row["psnr"] == pytest.approx(10 * math.log10(255**2 / 3), abs=1e-3)


def test_a_competition_goes_on_where_it_stopped(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    named = saved(tmp_path / "in", photo(176, 176), photo(176, 200))
    calls: list[float] = []

    def encode(picture: corpus.Picture, setting: float) -> bytes:
        calls.append(setting)
        return contestants.jpeg(picture, setting)

    def compete(resume: bool) -> list[dict[str, Any]]:
        encoder = contestants.Contestant("x", encode, lambda d, s: peers.decode(d), (1, 95), "whole", "1")
        kept = Journal(tmp_path / "x.partial.jsonl", resume=resume)
        return clic.compete(named, (0.8, 1.5), [encoder], journal=kept)

    first = compete(False)
    made = len(calls)
    with (tmp_path / "x.partial.jsonl").open("a") as file:
        file.write('[["cut o')
    assert compete(True) == first
    assert len(calls) == made
    assert compete(False) == first
    assert len(calls) == 2 * made


def test_a_model_file_takes_part_in_the_competition() -> None:
    file = str(Path(model_file.__file__).with_name("builtin.npz"))
    usual, _ = contestants.contestants("fast", 1)
    found, _ = contestants.contestants("fast", 1, [file])
    label = model_file.built_in().label
    new = {c.title: c for c in found if c.title not in {u.title for u in usual}}
    assert list(new) == [f"guetzpy (fast, model {label})"]
    aim = Aim(2.0)
    own = next(c for c in found if c.title == "guetzpy (fast)").encode(photo(64, 64), aim)
    made = new[f"guetzpy (fast, model {label})"].encode(photo(64, 64), aim)
    assert isinstance(made, Result)
    assert made.data == own.data
    assert made.model == label


def test_half_and_double() -> None:
    picture = photo(65, 71)
    assert contestants.half(picture).shape == (33, 36, 3)
    assert contestants.doubled(contestants.half(picture), (65, 71)).shape == picture.shape


# JPEG inputs


def test_bare_files_show_the_same() -> None:
    exif = Image.Exif()
    exif[0x010E] = "words"
    data = peers.by_pillow(photo(64, 64), "JPEG", quality=90, exif=exif, icc_profile=b"x" * 300, comment="c")
    stripped = jpeg_inputs.bare(data + b"trailing")
    assert len(stripped) < len(data) - 300
    assert np.array_equal(peers.decode(stripped), peers.decode(data))
    with Image.open(io.BytesIO(stripped)) as image:
        assert not image.getexif()
        assert "icc_profile" not in image.info


def test_summary_of_jpeg_inputs() -> None:
    row = {"group": "g", "distance": 1.0, "source": 1000, "transcode": 900, "status": "optimized"}
    row |= {"bytes": 400, "lossy": 400, "second_run_same": True, "peers_ssimulacra2": 500}
    kept = row | {"status": "lossless", "bytes": 900, "lossy": 700}
    (entry,) = jpeg_inputs.summarise([row, kept])
    assert entry["saved"] == 35.0
    assert entry["saved_lossless"] == 10.0
    assert entry["saved_lossy"] == 45.0
    assert entry["lossy_files"] == 1
    assert entry["against_peers_ssimulacra2"] == -20.0, "only files encoded anew count"
    assert entry["against_peers_butteraugli_3norm"] is None
    assert entry["larger_than_repack"] == entry["second_run_changed"] == 0
    assert "| g | 1 | 2 (1) | 35.0 % |" in "\n".join(jpeg_inputs.report([entry]))
