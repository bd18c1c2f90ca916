"""Processing of many files on one machine or several. The entry point is :func:`run`."""

from __future__ import annotations

from guetzpy.batch.budget import Fit
from guetzpy.batch.planning import run
from guetzpy.batch.runner import Run
from guetzpy.batch.tasks import Filter, Skipped, Task

__all__ = ["Filter", "Fit", "Run", "Skipped", "Task", "run"]
