"""Comparators of codes, which are converted to light window by window, compared with those of light."""

from __future__ import annotations

import numpy as np
import pytest

from guetzpy.metrics._butteraugli.comparator import ButteraugliComparator
from guetzpy.metrics._ssimulacra2.comparator import SSIMULACRA2Comparator
from guetzpy.picture.transform import Transform


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [(5, 9), (70, 33), (700, 800)])
def test_codes_score_as_their_light(channels: int, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    reference = rng.integers(0, 256, (channels, *shape), np.uint8)
    distorted = (reference // 2 + rng.integers(0, 128, reference.shape)).astype(np.uint8)
    transform = Transform()
    light = transform.linear(reference), transform.linear(distorted)

    by_codes = ButteraugliComparator.from_codes(reference, transform).scores_codes(distorted, transform)
    assert by_codes == ButteraugliComparator.from_linear(light[0]).scores_linear(light[1])
    score = SSIMULACRA2Comparator.from_codes(reference, transform).score_codes(distorted, transform)
    assert score == SSIMULACRA2Comparator.from_linear(light[0]).score_linear(light[1])
