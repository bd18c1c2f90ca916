"""One-dimensional search for the largest x at which a rising, slightly noisy function is not above 0."""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["Root"]

#: Longest step, and the range to which the ratio of a measured slope to the expected one is limited.
_LONGEST, _SLOPES = 1.5, (0.35, 3.0)


@dataclass(frozen=True)
class Root:
    """A search by secants within the bracket that was found so far.

    Attributes
    ----------
    slope : float
        Expected slope, used until two points are known.
    tolerance : float
        A point with ``-tolerance <= f <= 0`` is good enough.
    aim : float, optional
        The value of f to aim at; default a little inside the tolerance.
    points : tuple of (float, float)
        Measured points (x, f).
    """

    slope: float
    tolerance: float
    aim: float | None = None
    points: tuple[tuple[float, float], ...] = ()

    def with_point(self, x: float, f: float) -> Root:
        """Return the search with one more measured point."""
        return replace(self, points=(*self.points, (x, f)))

    @property
    def done(self) -> bool:
        """Whether some point is good enough."""
        return any(-self.tolerance <= f <= 0.0 for _, f in self.points)

    @property
    def hopeless(self) -> bool:
        """Whether three or more points all fail, and a smaller x hardly reduced f over the last three."""
        if len(self.points) < 3 or any(f <= 0.0 for _, f in self.points):
            return False
        (x0, f0), (x1, f1) = self.points[-3], self.points[-1]
        return x0 - x1 > 0.1 and f0 - f1 < 0.4 * self.slope * (x0 - x1) and f1 > 0.02

    @property
    def flat(self) -> bool:
        """Whether the first two points are far above 0 and hardly differ."""
        if len(self.points) < 2:
            return False
        (x0, f0), (x1, f1) = self.points[:2]
        return min(f0, f1) > 0.2 and abs(f0 - f1) < 0.1 * abs(x0 - x1)

    def propose(self) -> float:
        """Return the x to measure next, within the bracket if there is one."""
        aim = -0.4 * self.tolerance if self.aim is None else self.aim
        x, f = self.points[-1]
        slope = self.slope
        if len(self.points) > 1:
            # The slope through the two points nearest to the aim, limited to _SLOPES times the expected one.
            near = sorted(self.points, key=lambda p: abs(p[1] - aim))[:2]
            (x, f), (x1, f1) = near
            if abs(x - x1) > 1e-9:
                slope = min(max((f - f1) / (x - x1), _SLOPES[0] * self.slope), _SLOPES[1] * self.slope)
        result = x + min(max((aim - f) / slope, -_LONGEST), _LONGEST)
        passing = [p for p, value in self.points if value <= 0.0]
        failing = [p for p, value in self.points if value > 0.0]
        low = max((p for p in passing if not failing or p < min(failing)), default=None)
        high = min((p for p in failing if not passing or p > min(passing)), default=None)
        if low is not None and high is not None and low < high:
            margin = 0.1 * (high - low)
            if not low + margin <= result <= high - margin:
                result = 0.5 * (low + high)
        return result
