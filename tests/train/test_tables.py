"""The fit of the tables: its algebra, and the same result for each way of running it."""

from __future__ import annotations

import numpy as np
import pytest
from golden import photo

from guetzpy.model.file import built_in
from guetzpy.model.tables import PARAMETERS
from guetzpy.search.coding.tables import JPEGLI
from guetzpy.train import tables
from guetzpy.train.judges import WEIGHTS, Subject, at_equal_error, share
from guetzpy.train.run import Run

COUNT = len(PARAMETERS)


def test_the_weights_are_shares() -> None:
    assert share().sum() == pytest.approx(1.0)
    assert len(share()) == len(WEIGHTS)


def test_log_bytes_at_equal_error() -> None:
    """An encode on the reference's straight line is at 0; one with 1 % more bytes is 0.01 above it."""
    line = np.array([[8.0, *np.full(7, -1.0)], [7.0, *np.full(7, 0.0)]])
    middle = line.mean(axis=0)
    np.testing.assert_allclose(at_equal_error(middle, line), 0.0, atol=1e-12)
    np.testing.assert_allclose(at_equal_error(0.25 * line[0] + 0.75 * line[1], line), 0.0, atol=1e-12)
    np.testing.assert_allclose(at_equal_error(middle + np.eye(8)[0] * 0.01, line), 0.01, atol=1e-12)


def test_the_minimum_of_a_known_function() -> None:
    """Samples of a quadratic function give its minimum, within the reach of the step."""
    random = np.random.default_rng(1)
    aim = np.where(np.arange(COUNT) % 2, 0.5, -0.5) * tables.SPREADS
    samples = []
    for _ in range(600):
        values = tables.SPREADS * random.standard_normal(COUNT)
        loss = 0.01 * (((values - aim) / tables.SPREADS) ** 2).sum() + 0.003 * random.standard_normal()
        samples.append(tables.Sample(values, float(random.choice([-0.5, 0.0, 1.0])), 1.0, np.full(7, loss)))
    found = tables.Surface.of(samples).best(np.zeros((2, COUNT)), 2.0 * tables.SPREADS)
    at_1, slope = found / tables.SPREADS
    assert np.abs(at_1 - aim / tables.SPREADS).max() < 0.2
    assert np.abs(slope).max() < 0.2
    near = tables.Surface.of(samples).best(np.zeros((2, COUNT)), 0.1 * tables.SPREADS)
    assert np.abs(near[0] / tables.SPREADS).max() <= 0.1 + 1e-9


def test_samplings_without_samples_keep_their_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of the run may end before the first sample of a sampling."""
    values = tables.SPREADS * np.random.default_rng(1).standard_normal((60, COUNT))
    loss = np.full(7, -0.01)
    samples = [tables.Sample(each, 0.0, 1.0, loss * each[0]) for each in values]
    monkeypatch.setattr(tables, "_curves", lambda run, numbers: {})
    monkeypatch.setattr(tables, "_samples_of_round", lambda *_: {"444": samples, "420": []})
    monkeypatch.setattr(tables, "_held_out", lambda *_: {"loss": -1.0})
    part = tables.fit(Run((), quick=True), built_in()).part
    assert part is not None
    changed = {name: np.abs(part.at_1[n]).max() for n, name in enumerate(tables.SAMPLINGS)}
    assert changed["420"] == 0.0 < changed["444"]


def test_a_metric_that_becomes_worse_counts_more() -> None:
    gain = np.array([-0.01, 0, 0, 0, 0, 0, 0])
    assert tables.weighted(gain) < 0
    assert tables.weighted(-gain) > -2 * tables.weighted(gain)


def test_parameters_of_zero_measure_the_usual_tables() -> None:
    codes = np.ascontiguousarray(photo(192, 192).transpose(2, 0, 1))
    (found,) = tables.measure(codes, [["420", 1.0, [0.0] * COUNT]])
    assert found == Subject(codes).measure("420", 1.0, JPEGLI)
    assert np.isfinite(found).all()
    (coarser,) = tables.measure(codes, [["420", 2.0, [0.0] * COUNT]])
    assert coarser[0] < found[0]
    assert all(a > b for a, b in zip(coarser[1:], found[1:], strict=True))


def test_small_pictures_have_fewer_metrics() -> None:
    codes = np.ascontiguousarray(photo(96, 80).transpose(2, 0, 1))
    found = Subject(codes).measure("444", 1.0, JPEGLI)
    missing = [name for name, value in zip(WEIGHTS, found[1:], strict=True) if not np.isfinite(value)]
    assert missing == ["ms_ssim_y"]
