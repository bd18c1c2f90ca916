"""Weights of blocks, predicted from their features by small networks.

Each network has one hidden layer of rectified linear units. Its result is the binary logarithm of a weight,
less the mean over the picture. All arithmetic is in float32 and in a fixed order, so that the weights are the
same on every processor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.kernel import kernel
from guetzpy.model.arrays import Expected, checked
from guetzpy.model.block_features import CHROMA_FEATURES, LUMA_FEATURES, block_features

__all__ = ["UNITS", "Network", "WeightsPart"]

Field = npt.NDArray[np.float32]

#: Hidden units of a network.
UNITS = 16

#: Largest absolute value of a parameter. Features are below 50, so sums stay finite.
_LARGEST = 1e4

#: Limit of the absolute binary logarithm of a weight relative to its mean, as in the closed loop.
_RANGE = 1.0


@kernel("int64(float32[:, ::1], float32[:, ::1], float32[::1], float32[::1], float32[::1])")
def _evaluate(features: Any, hidden: Any, bias: Any, out: Any, result: Any) -> int:
    """Write the result of a network for each row of features."""
    count, units = hidden.shape
    sums = np.empty(units, np.float32)
    zero = np.float32(0.0)
    for row in range(features.shape[0]):
        for n in range(units):
            sums[n] = bias[n]
        for k in range(count):
            value = features[row, k]
            for n in range(units):
                sums[n] += value * hidden[k, n]
        total = zero
        for n in range(units):
            total += max(sums[n], zero) * out[n]
        result[row] = total
    return 0


@kernel("int64(float32[::1], float32)")
def _weights(logs: Any, limit: Any) -> int:
    """Replace binary logarithms by weights with a mean of 1.

    Each logarithm is limited to ``limit`` above or below their mean; ``limit`` is at most 1.
    """
    count = np.float64(logs.shape[0])
    mean = 0.0
    for n in range(logs.shape[0]):
        mean += np.float64(logs[n])
    mean /= count
    zero, one, total = np.float32(0.0), np.float32(1.0), 0.0
    for n in range(logs.shape[0]):
        x = min(max(logs[n] - np.float32(mean), -limit), limit)
        # 2 ** x by a parabola between integers, whose error is at most 0.3 %.
        unit = np.float32(0.5) if x < zero else one
        part = x + one if x < zero else x
        logs[n] = unit * (one + part * (np.float32(0.6565) + np.float32(0.3435) * part))
        total += np.float64(logs[n])
    scale = np.float32(count / total)
    for n in range(logs.shape[0]):
        logs[n] *= scale
    return 0


@dataclass(frozen=True, eq=False)
class Network:
    """A network of one hidden layer.

    Attributes
    ----------
    hidden : ndarray of float32, shape (features, units)
        Factors of the hidden layer.
    bias : ndarray of float32, shape (units,)
        Constants of the hidden layer.
    out : ndarray of float32, shape (units,)
        Factors of the result. A constant of the result would have no effect, as the mean is removed.
    """

    hidden: Field
    bias: Field
    out: Field

    def logs(self, features: Field) -> Field:
        """Return a float32 result for each block, (blocks_y, blocks_x), from the n features of each block."""
        result = np.empty(features.shape[:2], np.float32)
        rows = np.ascontiguousarray(features, np.float32).reshape(-1, features.shape[2])
        # The signature of a kernel takes writable arrays; the arrays of a model are read-only.
        _evaluate(rows, self.hidden.copy(), self.bias.copy(), self.out.copy(), result.reshape(-1))
        return result


@dataclass(frozen=True, eq=False)
class WeightsPart:
    """Networks for the weights of luma and of chroma blocks."""

    luma: Network
    chroma: Network

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays by name."""
        return {
            f"weights/{name}_{field}": getattr(getattr(self, name), field)
            for name in ("luma", "chroma")
            for field in ("hidden", "bias", "out")
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> WeightsPart:
        """Return the part with these arrays; raise FormatError if they are not valid."""
        expected = {}
        for name, features in (("luma", LUMA_FEATURES), ("chroma", CHROMA_FEATURES)):
            for field, shape in (("hidden", (len(features), UNITS)), ("bias", (UNITS,)), ("out", (UNITS,))):
                expected[f"weights/{name}_{field}"] = Expected(shape, -_LARGEST, _LARGEST, "float32")
        found = checked(arrays, expected)
        luma, chroma = (
            Network(*(found[f"weights/{name}_{field}"] for field in ("hidden", "bias", "out")))
            for name in ("luma", "chroma")
        )
        return cls(luma, chroma)

    def predict(
        self, coefficients: Sequence[Field], sampling: tuple[int, int], distance: float
    ) -> tuple[Field, ...]:
        """Return the weights of the blocks of each component.

        Parameters
        ----------
        coefficients, sampling, distance
            As for :func:`~guetzpy.model.block_features.block_features`.

        Returns
        -------
        tuple of ndarray of float32, shape (blocks_y, blocks_x)
            Weights with a mean of 1 in each component. Before the division by their mean, they are within
            a factor of 2 of their geometric mean.
        """
        result = []
        for c, features in enumerate(block_features(coefficients, sampling, distance)):
            logs = (self.chroma if c else self.luma).logs(features)
            _weights(logs.reshape(-1), np.float32(_RANGE))
            result.append(logs)
        return tuple(result)
