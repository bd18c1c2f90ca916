"""Folders: thousands of files, on one machine or many; :func:`run` is the entrance."""

from __future__ import annotations

from guetzpy.batch.budget import Fit
from guetzpy.batch.discover import Filter, Skipped, Task
from guetzpy.batch.planning import run
from guetzpy.batch.runner import Run

__all__ = ["Filter", "Fit", "Run", "Skipped", "Task", "run"]
