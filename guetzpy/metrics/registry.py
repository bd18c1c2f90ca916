"""The metrics that take part in a search."""

from __future__ import annotations

from guetzpy.metrics.base import Metric
from guetzpy.metrics.distance import DEFINING
from guetzpy.metrics.guides import CVVDP

__all__ = ["register", "registered", "unregister"]

_metrics: dict[str, Metric] = {metric.name: metric for metric in (*DEFINING, CVVDP)}


def register(metric: Metric) -> None:
    """Add a metric to those of every search that begins after this call.

    Raises
    ------
    ValueError
        Another metric has its name.
    """
    if metric.name in _metrics:
        raise ValueError(f"a metric named {metric.name} is registered already")
    _metrics[metric.name] = metric


def unregister(name: str) -> None:
    """Remove a metric from later searches; KeyError if there is none of that name."""
    del _metrics[name]


def registered() -> tuple[Metric, ...]:
    """Return the metrics of a search in the order of their registration."""
    return tuple(_metrics.values())
