"""The levers of the bench: each changes the file while it is off, and has no effect afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from bench import corpus, levers, rate_distortion

COFFEE = Path(__file__).parents[1] / "data" / "coffee.jpg"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> rate_distortion.Work:
    path = tmp_path_factory.mktemp("levers") / "coffee.png"
    with Image.open(COFFEE) as image:
        image.convert("RGB").crop((40, 40, 168, 136)).save(path)
    return rate_distortion.Work(corpus.Named("coffee", path), "guetzpy", (1.0, 2.0), ("psnr",))


def test_every_lever_changes_the_file_while_it_is_off(work: rate_distortion.Work) -> None:
    def points(lever: str) -> list[tuple[int, float]]:
        done = levers.measure_without(levers.Unit(work, lever))
        assert not done.failures
        return [(row["bytes"], row["psnr"]) for row in done.rows]

    whole = points("")
    same = [lever for lever in levers.LEVERS if points(lever) == whole]
    # The picture may be encoded in 4:4:4 in any case.
    assert set(same) <= {"4:2:0 (off: 4:4:4 always)"}
    assert points("") == whole


def test_worth_is_positive_where_files_grow_without_a_lever() -> None:
    def rows(kind: str, factor: float) -> list[dict[str, object]]:
        return [
            {"image": image, "kind": kind, "setting": n, "bytes": factor * 1000 * 2**n, "psnr": 30.0 + n}
            for image in ("a", "b")
            for n in range(4)
        ]

    table = rate_distortion.tabled([*rows(levers.ON, 1.0), *rows("shifts", 1.1)])
    found = levers.summarise(table, ["shifts"])
    assert found["shifts"]["PSNR"] == (10.0, 0.0)
    lines = list(levers.report(found))
    assert lines[0] == "| more bytes without | PSNR |"
    assert lines[2] == "| shifts | +10.0 ± 0.0 % |"


def test_a_single_picture_has_no_standard_error() -> None:
    points = [
        {"image": "a", "kind": kind, "setting": n, "bytes": factor * 1000 * 2**n, "psnr": 30.0 + n}
        for kind, factor in ((levers.ON, 1.0), ("shifts", 1.1))
        for n in range(4)
    ]
    found = levers.summarise(rate_distortion.tabled(points), ["shifts"])
    assert found["shifts"]["PSNR"] == (10.0, None)
    assert "| shifts | +10.0 % |" in list(levers.report(found))
