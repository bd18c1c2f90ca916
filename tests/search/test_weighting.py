"""Weights of blocks by contrast, and the choice of the sampling, which includes the gain of weights."""

from __future__ import annotations

import numpy as np
import pytest

from guetzpy.metrics.base import Resources
from guetzpy.picture.transform import Transform
from guetzpy.search import choice
from guetzpy.search.candidates import source_of_codes
from guetzpy.search.coding.encoder import encode
from guetzpy.search.coding.settings import EncodeSettings
from guetzpy.search.coding.tables import JPEGLI
from guetzpy.search.plan import EFFORTS
from guetzpy.search.quality import weighting
from guetzpy.search.quality.judge import Judge
from guetzpy.search.quality.limits import Limits


def _half_noise(height: int, width: int) -> np.ndarray:
    """Return codes that are noise on the left and nearly flat on the right."""
    codes = np.full((3, height, width), 128.0)
    noise = np.random.default_rng(5).normal(0, 40, (height, width // 2))
    codes[:, :, : width // 2] += noise
    codes += np.random.default_rng(6).normal(0, 1, codes.shape)
    return codes.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("sampling", [(1, 1), (2, 2), (2, 1), (1, 2)])
def test_calm_blocks_weigh_more_in_every_component(sampling: tuple[int, int]) -> None:
    """Each component gets a factor for each of its blocks, below 1 in noise and above 1 in flat blocks."""
    source = source_of_codes(_half_noise(83, 133), sampling, Transform(), 1)
    trial = encode(source, EncodeSettings(1.0))
    for number, levels in enumerate(trial.levels):
        calm = weighting._calm(source, trial, number)
        assert calm.shape == levels.shape[:2]
        assert calm[:, 0].max() < 1.0 < calm[:, -1].min()


@pytest.mark.parametrize(("gain", "number"), [(5.0, 1), (-5.0, 0)])
def test_choice_counts_what_weights_save(monkeypatch: pytest.MonkeyPatch, gain: float, number: int) -> None:
    """The bytes that weights save under 4:2:0 count in the choice, but only for efforts with weights."""
    monkeypatch.setattr(choice, "GAIN_OF_WEIGHTS_420", gain)
    codes = _half_noise(64, 96)
    judge = Judge(codes, Transform(), Resources(1), False)
    sources = [source_of_codes(codes, sampling, Transform(), 1) for sampling in ((1, 1), (2, 2))]
    candidates = [(lambda source=source: source, JPEGLI) for source in sources]
    found = {
        effort: choice.choose(
            candidates, judge, Limits.at_distance(1.0), EFFORTS[effort], EncodeSettings(1.0)
        )
        for effort in ("fast", "balanced")
    }
    assert found["balanced"].finalists[0].number == number
    monkeypatch.setattr(choice, "GAIN_OF_WEIGHTS_420", -gain)
    again = choice.choose(candidates, judge, Limits.at_distance(1.0), EFFORTS["fast"], EncodeSettings(1.0))
    assert again.finalists[0].number == found["fast"].finalists[0].number


@pytest.mark.parametrize("share", [0, 1, 21, 32, 63, 64])
def test_powers_of_64ths(share: int) -> None:
    field = np.array([0.25, 1.0, 3.7, 900.0])
    before = field.copy()
    found = weighting._power(field, share)
    np.testing.assert_allclose(found, field ** (share / 64), rtol=1e-14)
    assert not np.shares_memory(found, field)
    np.testing.assert_array_equal(field, before)
