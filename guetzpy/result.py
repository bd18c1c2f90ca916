"""The result of optimising or transcoding one picture."""

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
    """The result of optimising or transcoding one picture.

    Attributes
    ----------
    data : bytes
        The contents of the JPEG file. Empty for a failed file, and for the files of a batch that has a
        destination or replaces its sources.
    status : {"optimized", "lossless", "kept", "failed"}
        "optimized": the picture was quantised anew. "lossless": the file has the source's coefficients in
        other bytes. "kept": ``data`` is the source's. "failed": there is no file; ``error`` says why.
    reason : str, optional
        An explanation of the status where it needs one, such as why a file was kept or which setting was not
        followed.
    input, output : str, optional
        Names of the files read and written.
    bytes_before : int, optional
        Size of the input file in bytes; None for arrays and PIL images.
    bytes_after : int, optional
        Size of the output file in bytes.
    width, height : int, optional
        Size in pixels as stored; the Orientation tag is not applied.
    target : dict, optional
        The target that was asked for, for example ``{"distance": 1.0}``.
    distance : float, optional
        The smallest distance of which the file meets both limits; 0 if no pixel was changed.
    source_distance : float, optional
        The distance at which a JPEG source was probably encoded, by its quantisation tables. ``distance``
        counts from the source, so it does not contain this loss. None if the source is not a JPEG, or is a
        JPEG that was kept because it cannot be searched.
    butteraugli_3norm, butteraugli_max, ssimulacra2 : float, optional
        Scores of the file as libjpeg-turbo decodes it; 0, 0 and 100 if no pixel was changed.
    limited_by_format : bool
        Whether the limits of the target were relaxed because no 8-bit JPEG of this picture meets them.
    butteraugli_wanted, ssimulacra2_wanted : float, optional
        The limits of the target for Butteraugli's 3-norm and SSIMULACRA 2, before they were relaxed.
    larger_than_source : bool
        Whether the JPEG is larger than its source, which was not a JPEG.
    subsampling : str, optional
        Chroma subsampling such as "444", "420" or "422", or "gray".
    progressive : bool, optional
        Whether the file is progressive.
    effort : str, optional
        The effort that was asked for.
    seconds : float, optional
        Wall time in seconds.
    error : str, optional
        The error message of a failed file of a batch.
    smallest_bytes : int, optional
        For a failed file of a batch whose target was a size: the size in bytes of the smallest file reached.
    removed : tuple of str
        Kinds of metadata of the source that the policy removed.
    warnings : tuple of str
        Faults of the source that were tolerated, and metadata or colour declarations that could not be kept.
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
    source_distance: float | None = None
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
        """Return the result of a file of a batch that failed with ``error``, described by ``message``."""
        smallest = getattr(error, "smallest_bytes", None)
        return cls(status="failed", input=name, error=message, target=target, smallest_bytes=smallest)

    @property
    def saving(self) -> float | None:
        """Share of the input's bytes that was saved; negative if the file grew, None if a size is unknown."""
        if not self.bytes_before or self.bytes_after is None:
            return None
        return 1.0 - self.bytes_after / self.bytes_before

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write ``data`` to a file. An existing file is replaced atomically.

        Raises
        ------
        OSError
            The file cannot be written. An existing file is unchanged.
        """
        from guetzpy.output import write

        write(path, self.data)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields except ``data`` as JSON can hold them: infinities and NaN become None."""
        return {
            item.name: _plain(getattr(self, item.name))
            for item in dataclasses.fields(self)
            if item.name != "data"
        }


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
