"""The fit of the first evaluation, and what the search does with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from golden import photo

import guetzpy
from guetzpy.model.file import Model, built_in
from guetzpy.model.start import EFFORTS, FEATURES, StartPart, features
from guetzpy.train import start
from guetzpy.train.pictures import Picture
from guetzpy.train.run import Run


def part(one: float, spread: float) -> StartPart:
    excess = np.zeros((len(EFFORTS), len(FEATURES)))
    excess[:, 0] = one
    return StartPart(excess, np.array([[spread, 0.0]] * len(EFFORTS)))


def model_with(found: StartPart, tmp_path: Path) -> Path:
    path = tmp_path / "m.npz"
    Model.of({**built_in().parts, "start": found}, {"name": "m"}).save(path)
    return path


@pytest.mark.parametrize(("effort", "spread"), [("fast", 0.1), ("balanced", 0.2)])
def test_the_expected_excess_moves_the_first_evaluation(effort: str, spread: float, tmp_path: Path) -> None:
    """The margin is that of the prediction: a wide one ends the search at once, well below the limits."""
    picture = photo(128, 96)
    found = {
        expected: guetzpy.optimize(picture, effort=effort, model=model_with(part(expected, spread), tmp_path))
        for expected in (0.0, 0.06)
    }
    first, second = (found[expected].distance for expected in (0.0, 0.06))
    assert first is not None
    assert second is not None
    assert second != first
    assert max(first, second) <= 1.0


def test_the_file_and_its_features(tmp_path: Path) -> None:
    made = part(0.02, 0.03)
    read = Model.load(model_with(made, tmp_path)).start
    assert read is not None
    np.testing.assert_array_equal(read.excess, made.excess)
    assert read.expected("balanced", 2.0, True, 0.1) == pytest.approx(0.02)
    assert read.spread_at("fast", 3.0) == pytest.approx(0.03)
    assert part(0.0, -0.1).spread_at("fast", 1.0) == pytest.approx(0.01)
    assert len(features(1.0, False, 0.0)) == len(FEATURES)
    assert features(2.0, True, 9.0) == features(2.0, True, 0.3)


def test_the_regression_passes_over_far_rows() -> None:
    random = np.random.default_rng(2)
    rows = []
    for n in range(300):
        x, coarse = random.uniform(-0.7, 1.4), bool(random.random() < 0.5)
        own = features(float(np.exp(x)), coarse, float(random.uniform(-0.1, 0.1)))
        excess = 0.02 + 0.01 * own[1] - 0.3 * own[5] + 0.02 * random.standard_normal()
        rows.append([*own, 0.9 if n % 15 == 0 else excess])
    solved, spread = start._regressed(np.array(rows))
    assert solved[0] == pytest.approx(0.02, abs=0.012)
    assert solved[1] == pytest.approx(0.01, abs=0.012)
    assert solved[5] == pytest.approx(-0.3, abs=0.1)
    assert spread[0] == pytest.approx(0.02, abs=0.008)


def test_observed_and_searched() -> None:
    """Searches count their evaluations; observations have the features, then the excess."""
    codes = np.ascontiguousarray(photo(96, 96).transpose(2, 0, 1))
    (fast, balanced) = start.observe(codes, [["fast", 1.0, 0.0], ["balanced", 1.0, 0.1]], built_in())
    assert len(fast) == len(balanced) == len(FEATURES) + 1
    assert abs(fast[-1]) < 0.3
    found = start.search(codes, [["fast", 1.0], ["balanced", 1.0]], built_in())
    assert 1 <= found[0][0] <= 2
    assert 1 <= found[1][0] <= 10
    assert all(-0.3 < excess <= 0 for _, excess in found)


def test_fit_on_few_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "_SEARCHES", 1)
    monkeypatch.setattr(start, "_COMPARED", (1.0,))
    pictures = tuple(
        Picture(str(n), np.ascontiguousarray(photo(64, 64, seed=n).transpose(2, 0, 1)), n == 2)
        for n in range(3)
    )
    outcome = start.fit(Run(pictures), built_in())
    assert outcome.figures["pictures"] == 1
    assert outcome.figures["balanced"]["evaluations"] >= 1
    again = start.fit(Run(pictures), built_in())
    assert again.figures == outcome.figures
