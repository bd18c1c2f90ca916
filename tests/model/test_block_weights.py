"""Predicted weights of blocks: kernels against reference implementations, and limits of model files."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import guetzpy
from guetzpy.errors import FormatError
from guetzpy.model.block_features import CHROMA_FEATURES, LUMA_FEATURES, block_features
from guetzpy.model.block_weights import UNITS, Network, WeightsPart
from guetzpy.model.file import Model, built_in
from guetzpy.search.coding.learnt import predicted_weights
from guetzpy.search.coding.source import PlaneSource
from tests.golden import photo
from tests.reference import block_weights as reference


def network(features: int, seed: int) -> Network:
    random = np.random.default_rng(seed)
    hidden = random.normal(0.0, 0.1, (features, UNITS)).astype(np.float32)
    bias, out = (random.normal(0.0, 0.2, UNITS).astype(np.float32) for _ in range(2))
    return Network(hidden, bias, out)


def some_part(seed: int = 1) -> WeightsPart:
    return WeightsPart(network(len(LUMA_FEATURES), seed), network(len(CHROMA_FEATURES), seed + 1))


def source_of(width: int, height: int, sampling: tuple[int, int], planes: int = 3) -> PlaneSource:
    codes = np.ascontiguousarray(photo(width, height).transpose(2, 0, 1)[:planes])
    return PlaneSource.from_codes(codes, sampling, threads=1)


SIZES = [
    (160, 96, (1, 1), 3),
    (97, 61, (2, 2), 3),
    (97, 40, (2, 1), 3),
    (9, 7, (2, 2), 3),
    (64, 64, (1, 1), 1),
]


@pytest.mark.parametrize(("width", "height", "sampling", "planes"), SIZES)
def test_features_are_those_of_the_twin(
    width: int, height: int, sampling: tuple[int, int], planes: int
) -> None:
    source = source_of(width, height, sampling, planes)
    found = block_features(source.coefficients, sampling, 1.7)
    wanted = reference.features(source.coefficients, sampling, 1.7)
    assert [part.shape[2] for part in found] == [len(LUMA_FEATURES), *[len(CHROMA_FEATURES)] * (planes - 1)]
    for part, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(part, other, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(("width", "height", "sampling", "planes"), SIZES)
def test_weights_are_those_of_the_twin(
    width: int, height: int, sampling: tuple[int, int], planes: int
) -> None:
    source, part = source_of(width, height, sampling, planes), some_part()
    found = part.predict(source.coefficients, sampling, 0.8)
    values = reference.features(source.coefficients, sampling, 0.8)
    for c, (field, of_block) in enumerate(zip(found, values, strict=True)):
        net = part.chroma if c else part.luma
        arrays: list[npt.NDArray[np.float64]] = [
            a.astype(np.float64) for a in (net.hidden, net.bias, net.out)
        ]
        np.testing.assert_allclose(field, reference.weights(*arrays, of_block), rtol=5e-3)
        assert field.mean() == pytest.approx(1.0, abs=1e-5)


def test_the_distance_is_limited_to_the_range_of_the_fit() -> None:
    source, part = source_of(64, 48, (1, 1)), some_part()
    for outside, end in ((0.02, 0.5), (300.0, 4.0)):
        found = part.predict(source.coefficients, (1, 1), outside)
        np.testing.assert_array_equal(found[0], part.predict(source.coefficients, (1, 1), end)[0])


def test_the_largest_parameters_give_finite_weights() -> None:
    source = source_of(64, 48, (2, 2))
    largest = WeightsPart(
        *(
            Network(*(np.full(shape, 1e4, np.float32) for shape in ((len(names), UNITS), UNITS, UNITS)))
            for names in (LUMA_FEATURES, CHROMA_FEATURES)
        )
    )
    part = WeightsPart.from_arrays(largest.arrays())
    for field in part.predict(source.coefficients, (2, 2), 1.0):
        assert np.isfinite(field).all()
        assert field.max() <= 4.1 * field.min()


def test_round_trip_in_a_model_file() -> None:
    made = Model.of({"weights": some_part()}, {"name": "some"})
    again = Model.from_bytes(made.data)
    assert again.tables is None
    assert again.weights is not None
    for name, array in some_part().arrays().items():
        np.testing.assert_array_equal(again.weights.arrays()[name], array)


@pytest.mark.parametrize(
    "change",
    [
        {"weights/luma_bias": np.zeros(UNITS)},
        {"weights/luma_bias": np.zeros(UNITS + 1, np.float32)},
        {"weights/luma_bias": np.full(UNITS, np.nan, np.float32)},
        {"weights/luma_bias": np.full(UNITS, 2e4, np.float32)},
        {"weights/other": np.zeros(UNITS, np.float32)},
        {"weights/chroma_out": None},
    ],
)
def test_other_arrays_are_refused(change: dict[str, npt.NDArray[np.float32] | None]) -> None:
    arrays = {name: array for name, array in {**some_part().arrays(), **change}.items() if array is not None}
    with pytest.raises(FormatError, match="array weights/"):
        WeightsPart.from_arrays(arrays)


def test_a_model_without_networks_predicts_weights_of_1() -> None:
    source = source_of(64, 48, (2, 2))
    found = predicted_weights(Model.of({}, {}), source, 1.0)
    assert all((field == 1.0).all() for field in (*found.blocks, *found.bands))


@pytest.mark.parametrize(
    "options", [{"effort": "fast"}, {"effort": "fast", "max_bytes": 6000}, {"effort": "balanced"}]
)
def test_searches_begin_with_the_weights_of_the_model(options: dict[str, Any]) -> None:
    """Effort fast keeps these weights to the end; the closed loop computes its first gradients under them."""
    picture = photo(192, 128)
    others = {name: part for name, part in built_in().parts.items() if name != "weights"}
    files = [
        guetzpy.optimize(picture, model=Model.of(parts, {}), **options).data
        for parts in (others, {**others, "weights": some_part()}, {**others, "weights": some_part()})
    ]
    assert files[0] != files[1] == files[2]


def test_results_do_not_depend_on_threads() -> None:
    picture = photo(720, 640)
    model = Model.of({"weights": some_part()}, {})
    one, two = (guetzpy.optimize(picture, effort="fast", model=model, threads=n).data for n in (1, 2))
    assert one == two
