"""The tables of inks follow the effect of each ink on the picture shown."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from reference import ink_files
from reference.jpeg_files import part_of_coffee

from guetzpy.jpeg.reader import read
from guetzpy.metrics.registry import registered
from guetzpy.picture.inks import ink_conversion
from guetzpy.search import calibration
from guetzpy.search.coding.encoder import decode, encode, image
from guetzpy.search.coding.inks import InkSource, InkTables
from guetzpy.search.coding.settings import EncodeSettings
from guetzpy.search.coding.tables import JPEGLI, USUAL, KeptSteps
from guetzpy.search.quality.limits import Limits
from guetzpy.search.quality.scores import Scores
from guetzpy.search.worst_places import increased


@pytest.fixture(scope="module")
def coffee() -> np.ndarray:
    return part_of_coffee(slice(100, 260), slice(150, 350))


def source_of(data: bytes) -> InkSource:
    return InkSource(read(data), ink_conversion(None))


def test_an_ink_that_is_seen_less_gets_coarser_tables(coffee: np.ndarray) -> None:
    """Without black, the inks change red, green and blue, whose weights in luma are 0.3, 0.6 and 0.1."""
    file = io.BytesIO()
    Image.fromarray(coffee).convert("CMYK").save(file, "JPEG", quality=93)
    cyan, magenta, yellow, _ = source_of(file.getvalue()).factors()
    assert 1.0 < magenta < cyan < yellow
    assert cyan == pytest.approx((1 / 0.31) ** 1.2, rel=0.15)
    covered = read(file.getvalue())
    covered.components[3].coefficients[..., 0] = -1024 // int(covered.components[3].qtable[0])
    hidden = InkSource(covered, ink_conversion(None)).factors()
    assert hidden[:3] == (8 * hidden[3],) * 3  # black hides the other inks nearly everywhere


def test_ycck_without_black_has_the_tables_of_ycbcr(coffee: np.ndarray) -> None:
    image = read(ink_files.ycck(coffee))
    image.components[3].coefficients[:] = 0
    image.components[3].coefficients[..., 0] = 1016 // int(image.components[3].qtable[0])
    source = InkSource(image, ink_conversion(None))
    factors = source.factors()
    assert factors[:3] == pytest.approx((1.0, 1.0, 1.0), abs=0.12)
    own, usual = InkTables.competing(source, [JPEGLI], (1.0,) * 4)
    found = usual.tables(2.0, 4, False, USUAL, 8.0)
    for table, wanted in zip(found, JPEGLI.tables(2.0, 3, False, USUAL, 8.0), strict=False):
        assert np.array_equal(table, wanted)
    assert np.array_equal(found[3], found[0])
    kept, wanted = (family.tables(0.5, 4, False, USUAL, 8.0) for family in (own, usual))
    for table, step, part in zip(kept, wanted, image.components, strict=True):
        assert np.array_equal(table, np.where(step < 4 / 3 * part.qtable, part.qtable, step))
        assert np.any(table != step)


def test_the_finest_encode_is_the_file_itself(coffee: np.ndarray) -> None:
    source = source_of(ink_files.ycck(coffee, (2, 1)))
    family = InkTables.competing(source, [JPEGLI], (3.0,) * 4)[0]
    trial = encode(source, EncodeSettings(1.0, family=family).at_finest())
    for made, own in zip(image(source, trial).components, source.own.components, strict=True):
        assert (made.identifier, made.h, made.v) == (own.identifier, own.h, own.v)
        assert np.array_equal(made.qtable, own.qtable)
        assert np.array_equal(made.coefficients, own.coefficients)
    assert np.array_equal(decode(source, trial), source.shown(source.samples(source.own)))


def test_weights_of_each_component_follow_its_sampling(coffee: np.ndarray) -> None:
    """Black of YCCK is at full resolution, as luma is; a component's place in the list says nothing of it."""
    source = source_of(ink_files.ycck(coffee, (2, 2)))
    assert [source.ratio(n) for n in range(4)] == [(1, 1), (2, 2), (2, 2), (1, 1)]
    limits = Limits.at_distance(1.0)
    blocks = np.zeros((20, 25), np.float32)
    blocks[13, 17] = 2.0 * calibration.WORST_OVER_LIMIT * (limits.bound("butteraugli") or 0.0)
    values = tuple(float("nan") if bound is None else bound for bound in limits.bounds)
    scores = Scores(registered(), values, {}, {"butteraugli": blocks})
    weights = increased(source.flat_weights(), source, scores, limits)
    for number, place in enumerate([(13, 17), (6, 8), (6, 8), (13, 17)]):
        field = weights.blocks[number]
        assert field[place] == field.max() > 1.0
        assert field[0, 0] == 1.0


@pytest.mark.parametrize("step", [1, 7, 60, 200, 300])
def test_no_step_gets_finer_at_a_larger_distance(step: int) -> None:
    """Where the wanted step was above 255, the source's own step was used: far too fine a quantisation."""
    family = KeptSteps((np.full(64, step, np.uint16),) * 3, JPEGLI)
    before = [np.zeros(64, np.uint16)] * 3
    for distance in (0.5, 2.0, 8.0, 25.0, 300.0):
        tables = family.tables(distance, 3, False, USUAL, 255.0)
        for table, finer in zip(tables, before, strict=True):
            assert (table >= finer).all()
            assert table.max() <= 255
            assert (table >= min(step, 255)).all()
        before = [*tables]
