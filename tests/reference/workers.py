"""Functions for worker processes that end in all possible ways; without imports that take long."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any


def nothing(*_: object) -> None:
    """Take the place of the start of a worker."""


def process(task: Any, options: object, delivery: object) -> str:
    """Return the name of a file; die, hang or fail for some names."""
    name = Path(task.input).name
    if name.startswith("dies"):
        os._exit(9)
    if name.startswith("hangs"):
        time.sleep(1000)
    if name.startswith("fails"):
        raise NotImplementedError(name)
    return name
