"""The fit of the networks for weights of blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from golden import photo

from guetzpy.model.block_features import CHROMA_FEATURES, LUMA_FEATURES
from guetzpy.model.block_weights import UNITS, Network, WeightsPart
from guetzpy.model.file import built_in
from guetzpy.search.coding.tables import JPEGLI
from guetzpy.train import block_weights
from guetzpy.train.judges import Subject
from guetzpy.train.pictures import Picture
from guetzpy.train.run import Run


def codes(seed: int = 0, width: int = 192, height: int = 176) -> Any:
    return np.ascontiguousarray(photo(width, height, seed).transpose(2, 0, 1))


def test_a_known_function_is_found() -> None:
    """Also with features whose means, variances and correlations differ by far."""
    random = np.random.default_rng(1)
    mixed = random.standard_normal((20_000, 4)) @ random.standard_normal((4, 4))
    rows = (mixed * [0.1, 1.0, 3.0, 1.0] + [20.0, 3.0, -5.0, 0.0]).astype(np.float32)
    aims = np.abs(rows[:, 1] - 3) - 0.5 * rows[:, 0] + 0.1 * random.standard_normal(len(rows))
    found, errors = block_weights.fitted(rows, aims.astype(np.float32), 1000, np.random.default_rng(2))
    assert found.hidden.shape == (4, UNITS)
    error = found.logs(rows[None])[0] - aims
    assert error.var() < 0.1 * aims.var()
    assert len(errors) == 20
    assert errors[0] > 2 * errors[-1]
    assert errors[-1] == pytest.approx(error.var() / aims.var(), rel=0.3)
    again, _ = block_weights.fitted(rows, aims.astype(np.float32), 1000, np.random.default_rng(2))
    np.testing.assert_array_equal(again.hidden, found.hidden)


def test_targets_are_the_closed_loop_s_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flat half of a picture has other weights than a half with noise, and the targets show it."""
    monkeypatch.setattr(block_weights, "_CASES", [("444", 1.0), ("420", 2.0)])
    picture = codes(0, 176, 160)
    noise = np.random.default_rng(0).integers(-40, 40, picture[:, :, 96:].shape)
    picture[:, :, 96:] = np.clip(picture[:, :, 96:] + noise, 0, 255)
    packed = block_weights.targets(picture)
    assert packed == block_weights.targets(picture)
    (luma, luma_aims), (chroma, chroma_aims) = block_weights._rows(picture, packed)
    assert luma.shape == (2 * 22 * 20, len(LUMA_FEATURES))
    assert chroma.shape == (2 * (22 * 20 + 11 * 10), len(CHROMA_FEATURES))
    assert len(luma_aims) == len(luma)
    assert len(chroma_aims) == len(chroma)
    energy = luma[:, LUMA_FEATURES.index("total5")]
    noisy = luma_aims[energy > np.median(energy)]
    calm = luma_aims[energy <= np.median(energy)]
    assert calm.mean() > noisy.mean() + 0.3


def test_weights_of_1_change_no_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_weights, "_HELD_OUT_CASES", [("420", 1.0)])
    networks = [
        Network(*(np.zeros(shape, np.float32) for shape in ((len(names), UNITS), UNITS, UNITS)))
        for names in (LUMA_FEATURES, CHROMA_FEATURES)
    ]
    flat = WeightsPart(*networks).arrays()
    finer, coarser, before, after = block_weights.measure(codes(), flat)
    assert before == after == Subject(codes()).measure("420", 1.0, JPEGLI)
    assert finer[0] > before[0] > coarser[0]


def test_fit_is_deterministic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_weights, "_CASES", [("444", 1.0), ("420", 1.0)])
    monkeypatch.setattr(block_weights, "_QUICK_STEPS", 50)
    pictures = tuple(Picture(str(n), codes(n), n == 2) for n in range(3))
    one, other = (block_weights.fit(Run(pictures, quick=True), built_in()) for _ in range(2))
    assert one.figures == other.figures
    assert one.figures["pictures"] == 1
    assert one.name == "weights"
    if one.part is not None:
        assert isinstance(one.part, WeightsPart)
        assert isinstance(other.part, WeightsPart)
        for name, array in one.part.arrays().items():
            np.testing.assert_array_equal(other.part.arrays()[name], array)


def test_no_time_no_part() -> None:
    pictures = tuple(Picture(str(n), codes(n), n == 1) for n in range(2))
    assert block_weights.fit(Run(pictures, deadline=0.0), built_in()).part is None
