"""A new metric, family of tables or target is registered, without a change of the search."""

from __future__ import annotations

import dataclasses
import importlib
import io
import itertools
import math
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import golden
import numpy as np
import pytest
from PIL import Image

import guetzpy
import guetzpy.search
from guetzpy import api
from guetzpy.metrics import registry
from guetzpy.metrics.base import Resources, Score
from guetzpy.options import OptimizeOptions
from guetzpy.picture.transform import Transform
from guetzpy.search.coding import tables
from guetzpy.search.coding.encoder import encode
from guetzpy.search.coding.settings import EncodeSettings
from guetzpy.search.coding.source import PlaneSource
from guetzpy.search.coding.tables import JPEGLI, Shape, TableFamily
from guetzpy.search.coding.trellis import Rate
from guetzpy.search.coding.weights import Weights
from guetzpy.search.quality import target as targets
from guetzpy.search.quality.limits import Limits
from guetzpy.search.quality.target import Goal, Picture, Target


class _SquaredError:
    """Mean squared error of green, in codes, with its gradient."""

    def __init__(self, codes: np.ndarray) -> None:
        self._codes = codes[1].astype(np.float32)
        self.gradients = 0

    def score(self, codes: np.ndarray) -> Score:
        return Score(float(np.mean((codes[1] - self._codes) ** 2, dtype=np.float64)))

    def gradient_rows(self, codes: np.ndarray) -> tuple[float, Callable[[int, int], np.ndarray]]:
        self.gradients += 1
        error = codes[1] - self._codes

        def rows(top: int, bottom: int) -> np.ndarray:
            result = np.zeros((3, bottom - top, codes.shape[2]), np.float32)
            result[1] = 2.0 * error[top:bottom] / error.size
            return result

        return self.score(codes).value, rows

    def release(self) -> None:
        pass


@dataclass(frozen=True)
class GreenError:
    """A metric with a strict limit: squared error of green at most ``2 * distance ** 2``."""

    made: tuple[list[_SquaredError]] = ([],)
    name: str = "green"

    def limit_at(self, distance: float) -> float:
        return 2.0 * distance**2

    def log_distance(self, score: float) -> float:
        return 0.5 * math.log(max(score, 1e-9) / 2.0)

    def close_to(self, limit: float) -> float:
        return 0.98 * limit

    def is_identical(self, score: float) -> bool:
        return score <= 1e-9

    def comparator(self, codes: np.ndarray, transform: Transform, resources: Resources) -> _SquaredError:
        comparator = _SquaredError(codes)
        self.made[0].append(comparator)
        return comparator


@pytest.fixture
def green() -> Iterator[GreenError]:
    metric = GreenError(([],))
    registry.register(metric)
    yield metric
    registry.unregister(metric.name)


def green_error(picture: np.ndarray, data: bytes) -> float:
    shown = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(np.float64)
    return float(np.mean((shown - picture)[..., 1] ** 2))


@pytest.mark.parametrize("effort", ["fast", "balanced", "max"])
def test_a_third_metric_is_held_to_its_limit(photo_array: np.ndarray, effort: Any, green: GreenError) -> None:
    strict = guetzpy.optimize(photo_array, distance=1.0, effort=effort)
    assert green_error(photo_array, strict.data) <= 2.0
    # This metric binds: the search comes close to its limit, and not to those of the others.
    assert green_error(photo_array, strict.data) > (1.0 if effort == "fast" else 1.8)
    assert effort == "fast" or any(comparator.gradients for comparator in green.made[0])


def test_without_the_third_metric_its_limit_does_not_hold(photo_array: np.ndarray) -> None:
    usual = guetzpy.optimize(photo_array, distance=1.0)
    assert green_error(photo_array, usual.data) > 2.0


def test_metrics_have_unique_names(green: GreenError) -> None:
    with pytest.raises(ValueError, match="green"):
        registry.register(GreenError())


@dataclass(frozen=True)
class Flat(TableFamily):
    """Tables of one step for all frequencies."""

    def tables(
        self, distance: float, components: int, subsampled: bool, shape: Shape, dc_limit: float
    ) -> tuple[np.ndarray, ...]:
        step = int(min(max(round(6.0 * distance), 1), 255))
        return tuple(np.full(64, step, np.uint16) for _ in range(components))

    def finest(self, components: int) -> tuple[np.ndarray, ...]:
        return tuple(np.ones(64, np.uint16) for _ in range(components))


def steps(data: bytes) -> set[int]:
    return {step for table in Image.open(io.BytesIO(data)).quantization.values() for step in table}  # type: ignore[attr-defined]


@pytest.mark.parametrize("source", ["pixels", "jpeg"])
def test_a_family_of_tables_competes(
    photo_array: np.ndarray, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: Any = photo_array
    if source == "jpeg":
        file = io.BytesIO()
        Image.fromarray(photo_array).save(file, "JPEG", quality=98, subsampling=0)
        given = file.getvalue()
    usual = guetzpy.optimize(given, distance=1.5)
    assert len(steps(usual.data)) > 5
    tables.register("flat", Flat())
    with pytest.raises(ValueError, match="a table family named flat is registered already"):
        tables.register("flat", Flat())
    try:
        # The tables of the usual families are replaced by steps of 1, so that the new family is chosen.
        worse = tables._Jpegli.tables
        monkeypatch.setattr(
            tables._Jpegli, "tables", lambda self, d, *rest: tuple(t // t for t in worse(self, d, *rest))
        )
        monkeypatch.setattr(tables, "_KEPT_BELOW", 0.0)
        flat = guetzpy.optimize(given, distance=1.5)
    finally:
        tables.unregister("flat")
    assert len(steps(flat.data)) == 1
    assert flat.distance is not None
    assert flat.distance <= 1.5


@dataclass(frozen=True, kw_only=True)
class ShareOptions(OptimizeOptions):
    """Options with one more target: a share of the bytes of raw pixels."""

    share: float = 0.05

    @property
    def target(self) -> tuple[str, float]:
        return "share", self.share


def test_a_target_takes_a_registration(photo_array: np.ndarray) -> None:
    def goal(value: float, picture: Picture) -> Goal:
        return Goal(size=int(value * 3 * picture.area))

    targets.register(Target("share", goal))
    try:
        result = api.run(photo_array, ShareOptions(share=0.05))
    finally:
        targets.unregister("share")
    assert 0.04 * photo_array.size < len(result.data) <= 0.05 * photo_array.size
    assert result.target == {"share": 0.05}


def test_a_target_may_depend_on_the_picture(photo_array: np.ndarray) -> None:
    def goal(value: float, picture: Picture) -> Goal:
        assert picture.codes is not None
        return Goal(Limits.at_distance(value * (1 + picture.codes.max() / 255)))

    targets.register(Target("share", goal, needs_pixels=True))
    try:
        result = api.run(photo_array, ShareOptions(share=0.8))
    finally:
        targets.unregister("share")
    assert result.distance is not None
    assert 1.4 < result.distance <= 1.6


def modules() -> Iterator[Any]:
    for found in pkgutil.walk_packages(guetzpy.search.__path__, "guetzpy.search."):
        yield importlib.import_module(found.name)


def test_no_object_of_the_search_changes() -> None:
    """Every dataclass is frozen."""
    seen = 0
    for module in modules():
        for value in vars(module).values():
            own = isinstance(value, type) and value.__module__ == module.__name__
            if own and dataclasses.is_dataclass(value):
                seen += 1
                parameters = value.__dataclass_params__  # type: ignore[attr-defined]
                assert parameters.frozen, f"{module.__name__}.{value.__name__}"
    assert seen > 20


def test_encode_depends_on_its_arguments_alone(photo_array: np.ndarray) -> None:
    """Calls in any order give the same levels."""
    codes = np.ascontiguousarray(photo_array.transpose(2, 0, 1))
    source = PlaneSource.from_codes(codes, (2, 2))
    first = EncodeSettings(1.0)
    second = EncodeSettings(2.5, log_lambda=0.3, bias=0.5, shape=Shape(chroma=0.1))
    third = first.priced(encode(source, second).rates)
    blocks = [np.linspace(0.5, 2.0, c[..., 0].size, dtype=np.float32) for c in source.coefficients]
    shaped = [b.reshape(c.shape[:2]) for b, c in zip(blocks, source.coefficients, strict=True)]
    weights = Weights(tuple(shaped), source.flat_weights().bands)
    calls = [(first, None), (second, None), (third, weights), (first.at_finest(), None)]
    expected: list[Any] = [None] * len(calls)
    for order in itertools.permutations(range(len(calls))):
        for n in order:
            trial = encode(source, *calls[n])
            found = [level.tobytes() for level in trial.levels], [rate_bytes(rate) for rate in trial.rates]
            assert expected[n] in (None, found)
            expected[n] = found
    assert JPEGLI == first.family


def rate_bytes(rate: Rate) -> bytes:
    return rate.symbols.tobytes() + rate.eob.tobytes()


class _NoGradient:
    """The squared error of green without a gradient."""

    def __init__(self, codes: np.ndarray) -> None:
        self._error = _SquaredError(codes)

    def score(self, codes: np.ndarray) -> Score:
        return self._error.score(codes)

    def release(self) -> None:
        pass


def test_a_metric_without_a_gradient_is_held_to_its_limit(photo_array: np.ndarray) -> None:
    class Plain(GreenError):
        def comparator(self, codes: np.ndarray, transform: Transform, resources: Resources) -> Any:
            return _NoGradient(codes)

    metric = Plain(([],))
    registry.register(metric)
    try:
        result = guetzpy.optimize(photo_array, distance=1.0)
    finally:
        registry.unregister(metric.name)
    assert 1.0 < green_error(photo_array, result.data) <= 2.0


def test_effort_max_for_gray_and_a_limit_of_one_metric() -> None:
    """The shape of the tables of gray has no coordinates of chroma, and one limit is not the distance."""
    gray = np.ascontiguousarray(golden.photo(96, 80)[..., 1])
    result, usual = (guetzpy.optimize(gray, ssimulacra2=75.0, effort=effort) for effort in ("max", "fast"))
    assert result.subsampling == "gray"
    assert 75.0 <= (result.ssimulacra2 or 0.0) < 80.0
    assert len(result.data) <= len(usual.data)
