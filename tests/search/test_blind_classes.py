"""Subjects in which metrics miss what people see: bands in gradients, shifts of hue, ringing beside text.

The limits are those of a viewer, not of a metric:

* Hue: a difference of 1 in CIEDE2000 units is just noticeable between two patches side by side. Half of it is
  the limit for the mean of a picture.
* Height of bands: a picture of 8 bits has no finer step than one code. So a step may grow by one code; half a
  code is added for the rounding of the three channels.
* Number of bands: a block without AC coefficients decodes to a whole code. Blocks of the reference have
  noise, and so means between whole codes. Therefore 3 % of the steps of a slow dark gradient grow by more
  than one code, at distances 1 and 2, and also in Pillow's file of quality 75. The limit is 4 % of the steps.

A file at distance 2 differs by three quarters of a just noticeable difference by JPEG AIC-4. A viewer accepts
more there: the limits of single steps, tiles, ringing and tint are 1.2 to 1.5 times those at distance 1.
"""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from reference import scenes
from reference.scenes import Picture

import guetzpy
from guetzpy.options import Effort, Subsampling

#: Largest allowed value of each measure, by distance.
LIMITS = {
    1.0: {"band": 1.5, "bands": 0.04, "hue": 0.5, "tile": 1.05, "ring": 1.5, "tint": 1.5},
    2.0: {"band": 1.75, "bands": 0.04, "hue": 0.5, "tile": 1.5, "ring": 2.0, "tint": 2.0},
}


def measured(subject: str, reference: Picture, shown: Picture) -> dict[str, float]:
    """Return the measures that apply to a subject."""
    found = {
        "hue": scenes.hue_shift(reference, shown),
        "tile": scenes.hue_shift(reference, shown, size=32),
    }
    if subject in scenes.SMOOTH:
        found["band"], found["bands"] = scenes.banding(reference, shown)
    else:
        cover = scenes.glyphs(*reference.shape[:2])
        found["ring"] = scenes.ringing(reference, shown, cover)
        found["tint"] = scenes.tint_of_strokes(reference, shown, cover)
    return found


def exceeded(subject: str, reference: Picture, shown: Picture, distance: float) -> dict[str, float]:
    """Return the measures that are above the limits of a distance."""
    found = measured(subject, reference, shown)
    return {name: value for name, value in found.items() if value > LIMITS[distance][name]}


def decoded(data: bytes) -> Picture:
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB"))


@pytest.mark.parametrize("subject", scenes.SUBJECTS)
def test_viewers_see_no_fault_at_distance_1(subject: str) -> None:
    reference = scenes.SUBJECTS[subject](160, 192)
    assert exceeded(subject, reference, decoded(guetzpy.optimize(reference, distance=1.0).data), 1.0) == {}


@pytest.mark.slow
@pytest.mark.parametrize("subsampling", ["auto", "444"])
@pytest.mark.parametrize("effort", ["fast", "balanced"])
@pytest.mark.parametrize("distance", sorted(LIMITS))
@pytest.mark.parametrize("subject", scenes.SUBJECTS)
def test_viewers_see_no_fault(
    subject: str, distance: float, effort: Effort, subsampling: Subsampling
) -> None:
    reference = scenes.SUBJECTS[subject](384, 512)
    result = guetzpy.optimize(reference, distance=distance, effort=effort, subsampling=subsampling)
    assert exceeded(subject, reference, decoded(result.data), distance) == {}


@pytest.mark.parametrize("subject", scenes.SUBJECTS)
def test_a_bad_encode_exceeds_the_limits(subject: str) -> None:
    """The measures detect the visible faults of a JPEG of quality 20 in 4:2:0."""
    reference = scenes.SUBJECTS[subject](160, 192)
    file = io.BytesIO()
    Image.fromarray(reference).save(file, "JPEG", quality=20, subsampling=2)
    wrong = exceeded(subject, reference, decoded(file.getvalue()), 2.0)
    expected = {"ring", "tint", "tile"} if subject in scenes.TEXT else {"band", "bands"}
    assert set(wrong) >= expected
    if subject != "studio gray":  # it has no hue that could shift
        assert "tile" in wrong


@pytest.mark.parametrize("subject", scenes.SUBJECTS)
def test_subjects_are_drawn_the_same_each_time(subject: str) -> None:
    draw = scenes.SUBJECTS[subject]
    first = draw(160, 192)
    assert first.shape == (160, 192, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, draw(160, 192))
    assert measured(subject, first, first) == dict.fromkeys(measured(subject, first, first), 0.0)
