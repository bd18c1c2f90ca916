"""The constants of the bench: each other value is in force while it is measured, and only then."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
from PIL import Image

from bench import constants, corpus, rate_distortion
from guetzpy.search import calibration, evaluation
from guetzpy.search.quality import weighting

COFFEE = Path(__file__).parents[1] / "data" / "coffee.jpg"


@pytest.mark.parametrize(
    ("name", "module"),
    [("BINDS", evaluation), ("CHROMA_WEIGHT", weighting), ("SLOPE_OF_TABLES", calibration)],
)
def test_another_value_is_in_force_within_the_context(name: str, module: object) -> None:
    before = getattr(module, name)
    with ExitStack() as stack:
        constants.change(stack, name, 9.0)
        assert getattr(module, name) == getattr(calibration, name) == 9.0
    assert getattr(module, name) == getattr(calibration, name) == before


def test_a_number_of_a_metric_is_changed_for_this_metric_alone() -> None:
    other = calibration.steering("butteraugli")
    with ExitStack() as stack:
        constants.change(stack, "ssimulacra2.follow", 3.0)
        assert calibration.steering("ssimulacra2").follow == 3.0
        assert calibration.steering("butteraugli") == other
    assert calibration.steering("ssimulacra2").follow != 3.0


def test_every_constant_of_the_search_is_varied() -> None:
    names = {name for name, _ in constants.others()}
    public = {name for name in calibration.__all__ if name.isupper()}
    assert public < names
    assert {"butteraugli.follow", "ssimulacra2.tile_deficit", "cvvdp.guide_share"} < names
    assert constants.scaled((24, 32.0), 0.5) == (12, 16.0)


def test_a_file_is_measured_with_another_value(tmp_path: Path) -> None:
    path = tmp_path / "coffee.png"
    with Image.open(COFFEE) as image:
        image.convert("RGB").crop((40, 40, 168, 136)).save(path)
    work = rate_distortion.Work(corpus.Named("coffee", path), "guetzpy", (1.0, 2.0), ("psnr",))
    units = [constants.Unit(work), constants.Unit(work, "STEP_POWER", 2.5), constants.Unit(work)]
    usual, other, again = (constants.measure_with(unit) for unit in units)
    assert (usual.rows, usual.evaluations) == (again.rows, again.evaluations)
    assert usual.evaluations >= 1.0
    assert [row["bytes"] for row in other.rows] != [row["bytes"] for row in usual.rows]
    table = rate_distortion.tabled(usual.rows + other.rows)
    assert set(table["coffee"]) == {constants.USUAL, "STEP_POWER x 2.5"}


def test_the_table_says_which_constants_do_not_matter() -> None:
    def points(kind: str, factor: float) -> list[dict[str, object]]:
        return [
            {"image": image, "kind": kind, "setting": n, "bytes": factor * 1000 * 2**n, "psnr": 30.0 + n}
            for image in ("a", "b")
            for n in range(4)
        ]

    kinds = {f"NEAR x {f:g}": 1.0 for f in constants.FACTORS} | {"BINDS x 0.6": 1.02, "BINDS x 1.6": 1.0}
    rows = [row for kind, factor in (kinds | {constants.USUAL: 1.0}).items() for row in points(kind, factor)]
    found = constants.summarise(
        rate_distortion.tabled(rows), {kind: [2.0, 3.0] for kind in (*kinds, constants.USUAL)}
    )
    assert found["evaluations"] == 2.5
    assert not found["constants"]["NEAR"]["matters"]
    assert found["constants"]["BINDS"]["matters"]
    assert found["constants"]["BINDS"]["costs"][0.6]["PSNR"] == (2.0, 0.0)
    lines = list(constants.report(found))
    assert lines[0] == "| constant | value | times | PSNR | evaluations (2.5) |"
    assert any(line.startswith("| NEAR (does not matter) | ") for line in lines)
