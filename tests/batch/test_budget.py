"""A set under a total of bytes: at one distance, at equal slopes, or by a size for each file."""

from __future__ import annotations

import io
import math
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from guetzpy import batch
from guetzpy.batch.allotment import Allotment
from guetzpy.batch.budget import COARSEST, Aim, Budget, Encoded
from guetzpy.errors import TargetError


@dataclass
class File:
    """A file whose size is a power law of the distance, with a smallest size."""

    pixels: int
    bits: float  # bits per pixel at distance 1
    slope: float
    noise: float = 0.0
    least: int = 1
    packed: int | None = None  # bytes of a lossless repack, if it is a JPEG
    broken: bool = False

    def size(self, distance: float) -> int:
        return max(self.least, round(self.pixels * self.bits / 8 * distance**-self.slope))

    def distance(self, size: int) -> float:
        return float((8 * size / (self.pixels * self.bits)) ** (-1 / self.slope))

    def encode(self, aim: Aim, chance: random.Random) -> Encoded:
        if self.broken:
            return Encoded(None)
        wobble = math.exp(chance.gauss(0.0, self.noise)) if self.noise else 1.0
        name, value = aim.target
        if name == "distance":
            if self.packed is not None:
                return Encoded(self.packed)
            return Encoded(self.size(value * wobble), value)
        if self.packed is not None and self.packed <= value:
            return Encoded(self.packed)
        if value < self.least:
            return Encoded(None, least=self.least)
        made = max(self.least, int(value * chance.uniform(0.9955, 1.0)))
        return Encoded(made, self.distance(made) * wobble)


def search(files: list[File], limit: int, *, free: bool = False) -> tuple[Budget, list[list[Encoded]]]:
    chance = random.Random(1)
    budget = Budget(limit, [file.pixels for file in files], equal_slope=free)
    passes = []
    while (aims := budget.propose()) is not None:
        made = [file.encode(aim, chance) for file, aim in zip(files, aims, strict=True)]
        passes.append(made)
        budget.record(aims, made)
        assert len(passes) <= 18
    return budget, passes


def typical(count: int = 12, **more: float) -> list[File]:
    chance = random.Random(7)
    return [
        File(
            chance.randrange(200_000, 3_000_000),
            math.exp(chance.gauss(math.log(1.9), 0.5)),
            chance.uniform(0.55, 0.85),
            **more,  # type: ignore[arg-type]
        )
        for _ in range(count)
    ]


def size_at(files: list[File], distance: float) -> int:
    return sum(file.size(distance) for file in files)


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("distance", [30.0, 60.0, 200.0])
def test_smaller_than_the_coarsest_distance(distance: float, free: bool) -> None:
    files = typical(noise=0.02)
    limit = size_at(files, distance)
    budget, passes = search(files, limit, free=free)
    assert budget.best is not None
    assert 0.995 * limit <= budget.best.total <= limit
    assert len(passes) <= 6
    assert all(aim.size is not None for aim in budget.best.aims)
    reached = budget.best.distances
    if free:
        assert max(reached) / min(reached) > 1.2
    else:
        assert reached == pytest.approx([distance] * len(files), rel=0.15)
    fit = budget.fit(len(passes) * len(files))
    assert fit.nearest <= fit.distance <= fit.farthest
    assert fit.encodes == len(passes)


def test_spread_files_have_less_distance_in_total() -> None:
    files = typical(30)
    limit = size_at(files, 45.0)

    def cost(free: bool) -> float:
        best = search(files, limit, free=free)[0].best
        assert best is not None
        return sum(file.pixels * d for file, d in zip(files, best.distances, strict=True))

    assert cost(True) < 0.985 * cost(False)


def test_files_that_do_not_get_small_are_paid_for_by_the_others() -> None:
    icons = [File(4096, 4.0, 0.7, least=600) for _ in range(10)]
    files = [*typical(8), *icons]
    limit = int(0.55 * size_at(files, COARSEST))
    budget, passes = search(files, limit)
    assert budget.best is not None
    assert 0.995 * limit <= budget.best.total <= limit
    assert len(passes) <= 6
    assert all((one.size or 0) >= 600 for one in passes[-1][8:])


def test_jpegs_packed_without_loss_leave_their_room_to_others() -> None:
    files = typical(6)
    small = File(1_000_000, 1.0, 0.7, packed=9_000)
    limit = 9_000 + size_at(files, 40.0)
    budget, _ = search([small, *files], limit)
    assert budget.best is not None
    assert 0.995 * limit <= budget.best.total <= limit


def test_broken_files_weigh_nothing() -> None:
    files = typical(6)
    limit = size_at(files, 40.0)
    budget, _ = search([File(10**6, 1.0, 0.7, broken=True), *files], limit)
    assert budget.best is not None
    assert 0.995 * limit <= budget.best.total <= limit
    assert all(d == pytest.approx(40.0, rel=0.1) for d in budget.best.distances[1:])


@pytest.mark.parametrize("limit", [5, 500, 4_000])
def test_what_is_impossible_names_the_smallest_reached(limit: int) -> None:
    files = typical(5, least=1_000)
    with pytest.raises(TargetError, match="the smallest set reached has") as caught:
        search(files, limit)
    found = re.search(r"has (\d+) bytes, (\d+) were", str(caught.value))
    assert found is not None
    assert int(found[2]) == limit
    assert int(found[1]) == 5_000  # at distance 25 it is far larger
    assert size_at(files, COARSEST) > 60_000


def test_sizes_that_do_not_follow_distances_do_not_make_it_creep() -> None:
    # 133 bytes at any distance from 1 on: the coarsest one is tried soon, not in steps of 5 %.
    budget = Budget(124, [1000])
    tried: list[float] = []

    def search_on() -> None:
        while aims := budget.propose():
            tried.append(aims[0].distance)
            budget.record(aims, [Encoded(133, aims[0].distance)])
            assert len(tried) < 14

    with pytest.raises(TargetError, match="the smallest set reached has 133 bytes, 124 were asked for"):
        search_on()
    assert COARSEST in tried[:9]


@dataclass
class Tagged(File):
    """A file with metadata, whose smallest size depends on the size that the search starts from."""

    def encode(self, aim: Aim, chance: random.Random) -> Encoded:
        made = super().encode(aim, random.Random(str(aim.target)))  # the same target gives the same file
        return Encoded(None, least=self.least + 2) if made.least and aim.size == 1 else made


@pytest.mark.parametrize("room", [0, 1, 20, 45, 60, 200])
@pytest.mark.parametrize("free", [False, True])
def test_the_smallest_files_are_taken_if_they_fit(room: int, free: bool) -> None:
    """Regression: 1 % of the bytes of all files, metadata included, had to stay unused."""
    files: list[File] = [Tagged(3600, 8.0, 0.7, least=207), Tagged(3600, 112.0, 0.7, least=5_196)]
    assert size_at(files, COARSEST) > 5_650
    limit = 207 + 2 + 5_196 + 2 + room
    budget, _ = search(files, limit, free=free)
    assert budget.best is not None
    assert 5_403 <= budget.best.total <= limit


@settings(deadline=None, max_examples=60)
@given(
    parts=st.lists(
        st.tuples(
            st.integers(1_000, 500_000),
            st.integers(20, 9_000),
            st.sampled_from([None, None, 4_000]),
            st.booleans(),
        ),
        min_size=1,
        max_size=6,
    ),
    share=st.floats(0.0, 1.0),
    free=st.booleans(),
)
def test_the_smallest_total_that_is_told_can_be_had(
    parts: list[tuple[int, int, int | None, bool]], share: float, free: bool
) -> None:
    files: list[File] = [
        Tagged(pixels, 1.0, 0.7, least=least, packed=packed, broken=broken)
        for pixels, least, packed, broken in parts
    ]
    limit = int(share * sum(file.least for file in files))
    smallest = None
    try:
        search(files, limit, free=free)
    except TargetError as error:
        smallest = error.smallest_bytes or 0
    if smallest is not None:
        assert smallest > limit
        budget, _ = search(files, smallest, free=free)
        assert budget.best is not None
        assert budget.best.total <= smallest


def test_broken_files_are_not_part_of_the_smallest_total() -> None:
    files = typical(3, least=1_000)
    with pytest.raises(TargetError) as caught:
        search([File(10**6, 1.0, 0.7, broken=True), *files], 50)
    assert caught.value.smallest_bytes == 3_000


@pytest.mark.parametrize("free", [False, True])
def test_no_bytes_at_all(free: bool) -> None:
    """Regression: a total that rounds to 0 bytes ended in ZeroDivisionError."""
    with pytest.raises(TargetError, match="0 were asked for"):
        search(typical(3, least=1_000), 0, free=free)
    budget, _ = search([File(1000, 1.0, 0.7, broken=True)], 0, free=free)
    assert budget.fit(1).total == 0


FILES = st.builds(
    File,
    pixels=st.integers(1_000, 5_000_000),
    bits=st.floats(0.3, 6.0),
    slope=st.floats(0.4, 1.2),
    noise=st.sampled_from([0.0, 0.01, 0.03]),
    least=st.integers(1, 700),
    packed=st.sampled_from([None, None, None, 800]),
    broken=st.sampled_from([False, False, False, True]),
)


@settings(deadline=None, max_examples=60)
@given(files=st.lists(FILES, min_size=1, max_size=12), share=st.floats(0.01, 3.0), free=st.booleans())
def test_any_set_fits_or_names_the_smallest(files: list[File], share: float, free: bool) -> None:
    limit = max(1, int(share * size_at(files, COARSEST)))
    chance = random.Random(2)
    budget = Budget(limit, [file.pixels for file in files], equal_slope=free)
    smallest = math.inf
    try:
        for _ in range(19):
            aims = budget.propose()
            if aims is None:
                break
            made = [file.encode(aim, chance) for file, aim in zip(files, aims, strict=True)]
            if all(one.size is not None or file.broken for one, file in zip(made, files, strict=True)):
                smallest = min(smallest, sum(one.size or 0 for one in made))
            budget.record(aims, made)
        else:
            pytest.fail("no end")
        fit = budget.fit(1)
        assert fit.total <= limit
        assert budget.best is not None
        # The encodes of the best attempt are written, so the total is the measured one.
        assert budget.best.total == fit.total
    except TargetError:
        assert smallest > limit


def test_sizes_that_are_noise_end_the_search() -> None:
    """The total changes by whole files between two distances that are almost equal."""
    file = File(3000, 3.0, 0.7, noise=0.1)
    limit = file.size(1.0)
    budget, passes = search([file], limit)
    assert budget.best is not None
    assert budget.best.total <= limit
    assert not budget.is_hit
    assert len(passes) < 10


class Flaky(File):
    """A file whose second encode fails, as when its worker process dies."""

    tries = 0

    def encode(self, aim: Aim, chance: random.Random) -> Encoded:
        self.tries += 1
        return Encoded(None) if self.tries == 2 else super().encode(aim, chance)


def test_an_encode_that_fails_once_leaves_no_room_unused() -> None:
    files = [File(100_000, 0.8, 0.7), Flaky(100_000, 0.8, 0.7)]
    limit = size_at(files, 1.0)
    budget, _ = search(files, limit)
    assert budget.best is not None
    assert 0.995 * limit <= budget.best.total <= limit
    assert budget.best.distances == pytest.approx([1.0, 1.0], rel=0.01)


@dataclass
class Step(File):
    """A file with one size up to a distance, and another one from there on."""

    near: int = 1
    far: int = 1

    def size(self, distance: float) -> int:
        return self.near if distance < 3.03 else self.far


def test_curves_that_cross_do_not_lead_back() -> None:
    """Between two distances that exceed the limit, the curves of both files have a smaller sum."""
    files = [Step(4088, 1.0, 0.7, near=1000, far=10), Step(4088, 1.0, 0.7, near=10, far=1000)]
    budget, passes = search(files, 900)
    assert budget.best is not None
    assert budget.best.total <= 900
    assert len(passes) < 14


def test_sizes_of_a_first_pass_never_exceed_the_limit() -> None:
    files = typical(5)
    aim = Aim(COARSEST)
    made = [file.encode(aim, random.Random(1)) for file in files]
    allotment = Allotment(50_000, [file.pixels for file in files], False, aim, made)
    aims = allotment.propose()
    assert sum(aim.size or 0 for aim in aims) <= 50_000
    assert min(aim.size or 0 for aim in aims) > 0
    assert len({aim.distance for aim in aims}) == 1


# Real files


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of small parts of photos, and one JPEG."""
    import skimage.data

    folder = tmp_path_factory.mktemp("photos")
    pictures: dict[str, Callable[[], np.ndarray]] = {
        "a": lambda: skimage.data.coffee()[100:228, 200:392],
        "b": lambda: skimage.data.astronaut()[0:160, 100:260],
        "c": lambda: skimage.data.chelsea()[60:190, 100:260],
    }
    for name, picture in pictures.items():
        Image.fromarray(np.ascontiguousarray(picture())).save(folder / f"{name}.png")
    Image.fromarray(np.ascontiguousarray(skimage.data.coffee()[200:360, 300:460])).save(
        folder / "d.jpg", quality=95
    )
    return folder


@pytest.mark.parametrize("free", [False, True])
def test_photos_at_a_size_that_no_distance_reaches(photos: Path, tmp_path: Path, free: bool) -> None:
    limit = 2_600
    run = batch.run(photos, tmp_path / "out", total_bytes=limit, equal_slope=free, jobs=1)
    results = list(run)
    written = sorted((tmp_path / "out").iterdir())
    pictures = [path for path in written if path.suffix == ".jpg"]
    assert len(pictures) == 4
    assert run.fit is not None
    assert sum(path.stat().st_size for path in pictures) == run.fit.total <= limit
    assert run.fit.total >= 0.985 * limit  # four files of some hundred bytes each
    assert run.fit.encodes <= 6
    assert run.fit.distance > COARSEST
    for result in results:
        assert result.status == "optimized"
        assert result.target is not None
        assert "max_bytes" in result.target
    for path in pictures:
        with Image.open(io.BytesIO(path.read_bytes())) as image:
            image.load()


def test_photos_at_an_impossible_size(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(TargetError, match=r"the smallest set reached has \d+ bytes, 300 were asked for"):
        list(batch.run(photos, tmp_path / "out", total_bytes=300, jobs=1))
    assert not list(tmp_path.glob("out/*.jpg"))
