"""A filter for Nikola that optimises the JPEG files of a site.

In ``conf.py``::

    from guetzpy.integrations.nikola import smaller_jpegs

    smaller = smaller_jpegs(distance=1.4)
    FILTERS = {".jpg": [smaller], ".jpeg": [smaller]}
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from guetzpy.integrations import _uploads

__all__ = ["smaller_jpegs"]


class _Filter:
    """A callable with the same repr in each build. Nikola repeats all tasks if the repr changes."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options

    def __call__(self, path: str) -> None:
        _uploads.shrink_file(path, **self._options)

    def __repr__(self) -> str:
        words = ", ".join(f"{name}={value!r}" for name, value in sorted(self._options.items()))
        return f"smaller_jpegs({words})"


def smaller_jpegs(**options: Any) -> Callable[[str], None]:
    """Return a filter that optimises a JPEG file of the built site in place.

    Parameters
    ----------
    **options
        Options of :func:`guetzpy.optimize`.
    """
    return _Filter(options)
