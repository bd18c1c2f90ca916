"""What the comparators of all metrics share: checks of their input, rows of light, scores and gradients."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from guetzpy.picture.planes import planes_of
from guetzpy.picture.transform import Codes, Floats, Transform

__all__ = [
    "CACHED_PIXELS",
    "TRACED_PIXELS",
    "CodesComparator",
    "LightComparator",
    "Local",
    "Rows",
    "check_sizes",
    "linear_planes",
]

#: Data of larger references are not kept. They are computed again for each score, part by part.
CACHED_PIXELS = 12_500_000
#: Gradients of larger pictures are computed part by part, and no data are kept for them.
TRACED_PIXELS = 5 << 19


class Rows:
    """Linear light of one scale, returned in rows. Codes are converted when their rows are requested."""

    def __init__(self, planes: Codes | Floats, transform: Transform | None = None) -> None:
        self.planes: Codes | Floats = planes
        self.transform: Transform | None = transform
        self.height: int = planes.shape[1]
        self.width: int = planes.shape[2]

    def rows(self, start: int, stop: int, local: Local) -> tuple[Floats, int]:
        """Return planes that contain the rows ``start`` to ``stop``, and the row that they begin with."""
        if self.transform is None:
            return self.planes, 0  # type: ignore[return-value]
        out = local.array("linear", (3, stop - start, self.width))
        return self.transform.linear(self.planes[:, start:stop], threads=1, out=out), start


class Local(threading.local):
    """Scratch arrays that belong to one thread."""

    def array(self, name: str, shape: tuple[int, ...]) -> Floats:
        """Return the array of this name, with undefined contents; make a new one if the shape differs."""
        array: Floats | None = getattr(self, name, None)
        if array is None or array.shape != shape:
            array = np.empty(shape, np.float32)
            setattr(self, name, array)
        return array


class CodesComparator(ABC):
    """A metric with one reference that takes codes.

    Attributes
    ----------
    shape : (int, int)
        Height and width of the reference.
    """

    shape: tuple[int, int]
    _threads: int | None
    _background: Any = None

    def score(self, distorted: Any) -> float:
        """Return the score of a picture, an array or PIL image as for the constructor.

        Raises
        ------
        ValueError
            The sizes differ.
        """
        return self.score_codes(*planes_of(distorted, background=self._background))

    @abstractmethod
    def score_codes(self, codes: Codes, transform: Transform) -> float:
        """Return the score of codes; see ``from_codes``."""

    def gradient(self, distorted: Any) -> tuple[float, Floats]:
        """Return the score of a picture and its gradient.

        Parameters
        ----------
        distorted : ndarray or PIL image
            Picture as for the constructor.

        Returns
        -------
        score : float
            As :meth:`gradient_codes` returns it.
        gradient : ndarray of float32, shape (1, H, W) or (3, H, W)
            Derivatives of the score per code on the 0..255 scale, whatever the depth of the picture.
        """
        score, rows = self.gradient_codes(*planes_of(distorted, background=self._background))
        return score, rows(0, self.shape[0])

    @abstractmethod
    def gradient_codes(
        self, codes: Codes, transform: Transform
    ) -> tuple[float, Callable[[int, int], Floats]]:
        """Return the score of codes, and a function that returns rows of the gradient with respect to them.

        Parameters
        ----------
        codes, transform
            Codes and conversion as for ``from_codes``. The returned function keeps the codes.

        Returns
        -------
        score : float
            Score; see the notes of the class.
        rows : callable
            ``rows(first, last)`` returns float32 (1, last - first, W) or (3, last - first, W), per code on
            the 0..255 scale.
        """


class LightComparator(CodesComparator):
    """A metric that compares pictures with one reference, and is computed from their linear light."""

    @abstractmethod
    def _score(self, level: Rows) -> float:
        """Return the score of a picture."""

    @abstractmethod
    def _score_and_gradient(self, level: Rows) -> tuple[float, Callable[[int, int], Floats]]:
        """Return the score, and a function that returns rows of its derivatives for linear light."""

    def score_linear(self, planes: Floats) -> float:
        """Return the score of linear light: float32 (3, H, W), sRGB primaries, 1.0 = white."""
        return self._score(Rows(linear_planes(planes)))

    def score_codes(self, codes: Codes, transform: Transform) -> float:
        """Return the score of codes; see ``from_codes``."""
        return self._score(Rows(codes, transform))

    def gradient_linear(self, planes: Floats) -> tuple[float, Floats]:
        """Return the score of linear light and its gradient.

        Parameters
        ----------
        planes : ndarray of float32, shape (3, H, W)
            sRGB primaries, 1.0 = white.

        Returns
        -------
        score : float
            Score; see the notes of the class.
        gradient : ndarray of float32, shape (3, H, W)
            Derivatives with respect to ``planes``; zero for identical pictures.
        """
        score, rows = self._score_and_gradient(Rows(linear_planes(planes)))
        return score, np.ascontiguousarray(rows(0, self.shape[0]))

    def gradient_codes(
        self, codes: Codes, transform: Transform
    ) -> tuple[float, Callable[[int, int], Floats]]:
        """Return the score and the rows of the gradient; see :meth:`CodesComparator.gradient_codes`.

        For pictures above 2.6 megapixels only the rows that are asked for are computed, and the rows above
        and below that they depend on.
        """
        score, by_light = self._score_and_gradient(Rows(codes, transform))

        def rows(first: int, last: int) -> Floats:
            part: Any = codes[:, first:last]
            return transform.pull_back(by_light(first, last), part, threads=self._threads)

        return score, rows


def check_sizes(reference: tuple[int, int], distorted: tuple[int, int]) -> None:
    """Raise ValueError with both sizes (width x height) if the sizes differ."""
    if reference != distorted:
        raise ValueError(
            f"pictures of different sizes: reference {reference[1]}x{reference[0]}, "
            f"distorted {distorted[1]}x{distorted[0]}"
        )


def linear_planes(planes: Floats) -> Floats:
    """Return planes of linear light as a contiguous array; raise ValueError if the shape is not (3, H, W)."""
    if not isinstance(planes, np.ndarray) or planes.ndim != 3 or planes.shape[0] != 3 or planes.size == 0:
        raise ValueError(f"expected linear planes of shape (3, H, W), got {np.shape(planes)}")
    return np.require(planes, np.float32, ["C", "W"])
