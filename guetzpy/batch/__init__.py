"""Folders: thousands of files, on one machine or many.

:func:`run` is the entrance; :func:`fit` finds the one distance at which a set fits into a number of bytes.
"""

from __future__ import annotations

from guetzpy.batch.discover import Filter, Skipped, Task
from guetzpy.batch.runner import Run, run

__all__ = ["Filter", "Run", "Skipped", "Task", "run"]
