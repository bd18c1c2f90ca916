"""What came of it."""

from __future__ import annotations

import dataclasses
import math
import os
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

__all__ = ["Result", "Status"]

Status: TypeAlias = Literal["optimized", "lossless", "kept", "failed"]


@dataclass(frozen=True, kw_only=True)
class Result:
    """The outcome for one picture.

    Attributes
    ----------
    data : bytes
        The JPEG file; empty only for a failed file of a batch.
    status : {"optimized", "lossless", "kept", "failed"}
        Encoded anew; the same coefficients in fewer bytes; the input's bytes; nothing.
    reason : str, optional
        Why, where it is not plain: why a file was kept, for instance, or searched otherwise than asked for.
    input, output : str, optional
        Files read and written, as named.
    bytes_before : int, optional
        Size of the input file; None for arrays and PIL images.
    bytes_after : int, optional
        Size of ``data``.
    width, height : int, optional
        Size in pixels as stored, Orientation not applied.
    target : dict, optional
        What was asked for, e.g. ``{"distance": 1.0}``.
    distance : float, optional
        The distance achieved: the smallest whose two limits both hold; 0 for unchanged pixels.
    butteraugli_3norm, butteraugli_max, ssimulacra2 : float, optional
        Scores of the file as libjpeg-turbo decodes it; 0, 0 and 100 for unchanged pixels.
    limited_by_format : bool
        Whether no 8-bit JPEG of this picture reaches the limits that the target stands for, so that
        they were relaxed to the best that one reaches.
    butteraugli_wanted, ssimulacra2_wanted : float, optional
        The limits that the target stands for, before any relaxing.
    larger_than_source : bool
        Whether the JPEG is larger than the file, not a JPEG, that it was made from.
    subsampling : str, optional
        "444", "420", "422", ..., or "gray".
    progressive : bool, optional
        Whether the file is progressive.
    effort : str, optional
        As asked.
    seconds : float, optional
        Wall time.
    error : str, optional
        What went wrong, for a failed file of a batch.
    smallest_bytes : int, optional
        Of a failed file of a batch for which a size was asked: bytes of the smallest file that was reached.
    removed : tuple of str
        Kinds of metadata that were there and that the policy took out.
    warnings : tuple of str
        What was tolerated in the source, and what its metadata could not keep.
    """

    data: bytes = field(default=b"", repr=False)
    status: Status
    reason: str | None = None
    input: str | None = None
    output: str | None = None
    bytes_before: int | None = None
    bytes_after: int | None = None
    width: int | None = None
    height: int | None = None
    target: dict[str, float] | None = None
    distance: float | None = None
    butteraugli_3norm: float | None = None
    butteraugli_max: float | None = None
    ssimulacra2: float | None = None
    limited_by_format: bool = False
    butteraugli_wanted: float | None = None
    ssimulacra2_wanted: float | None = None
    larger_than_source: bool = False
    subsampling: str | None = None
    progressive: bool | None = None
    effort: str | None = None
    seconds: float | None = None
    error: str | None = None
    smallest_bytes: int | None = None
    removed: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @classmethod
    def of_failure(
        cls, error: BaseException, message: str, name: str, target: dict[str, float] | None
    ) -> Result:
        """Return the result of a file of a batch that failed with an error, told by a message."""
        smallest = getattr(error, "smallest_bytes", None)
        return cls(status="failed", input=name, error=message, target=target, smallest_bytes=smallest)

    @property
    def saving(self) -> float | None:
        """Share of the input's bytes that was saved; negative if the file grew, None if unknown."""
        if not self.bytes_before or self.bytes_after is None:
            return None
        return 1.0 - self.bytes_after / self.bytes_before

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file; whatever ``path`` held is replaced whole or not at all.

        Raises
        ------
        OSError
            It cannot be written; what was there is untouched.
        """
        from guetzpy.output import write

        write(path, self.data)

    def to_dict(self) -> dict[str, Any]:
        """Return all but ``data``, for JSON: numbers that JSON cannot hold become None."""
        return {
            item.name: _plain(getattr(self, item.name))
            for item in dataclasses.fields(self)
            if item.name != "data"
        }


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
