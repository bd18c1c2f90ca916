"""The result of optimising or transcoding one picture."""

from __future__ import annotations

import dataclasses
import io
import math
import os
import sys
import weakref
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from guetzpy import __version__

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Result", "Status", "SupportsWrite"]


class SupportsWrite(Protocol):
    """A binary file that is open for writing."""

    def write(self, data: bytes, /) -> object:
        """Write bytes."""


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
        "optimized": the picture, or its gain map (option ``gainmap``), was quantised anew. "lossless": the
        file has the source's coefficients in other bytes. "kept": ``data`` is the source's. "failed": there
        is no file; ``error`` says why.
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
        The requested target, for example ``{"distance": 1.0}``.
    distance : float, optional
        The smallest distance whose two limits the file meets; 0 if no pixel was changed.
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
        Whether the JPEG is larger than its source, which was not a JPEG, or was changed by ``to_srgb`` or
        ``fit``.
    subsampling : str, optional
        Chroma subsampling such as "444", "420" or "422", or "gray".
    progressive : bool, optional
        Whether the file is progressive.
    effort : str, optional
        The requested effort.
    model : str, optional
        The model that the search used: its name, ``@`` and the first 12 digits of its file's SHA-256. None if
        nothing was searched.
    seconds : float, optional
        Wall time in seconds.
    error : str, optional
        The error message of a failed file of a batch.
    smallest_bytes : int, optional
        For a failed file of a batch whose target was a size: the size in bytes of the smallest file reached.
    removed : tuple of str
        Kinds of metadata of the source that the policy removed.
    version : str, optional
        Version of guetzpy that made the result; None if it is not known.
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
    model: str | None = None
    seconds: float | None = None
    error: str | None = None
    smallest_bytes: int | None = None
    removed: tuple[str, ...] = ()
    version: str | None = __version__
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

    def save(self, path: str | os.PathLike[str] | SupportsWrite) -> None:
        """Write ``data`` to a file. An existing file is replaced atomically.

        Parameters
        ----------
        path : path or binary file
            A file that is open for writing is written to at its position, and stays open.

        Raises
        ------
        ValueError
            The result has no data: the file failed, or a run over many files has written it to ``output``.
        OSError
            The file cannot be written. An existing file is unchanged.
        """
        from guetzpy.output import write

        self._check_data()
        if isinstance(path, (str, os.PathLike)):
            write(path, self.data)
        else:
            path.write(self.data)

    def image(self) -> Image.Image:
        """Return the picture of the file as a Pillow image, decoded.

        It is read from ``data``, or from the file ``output`` if a run over many files has written it there.

        Raises
        ------
        ValueError
            The result has no data.
        OSError
            The file was removed or cannot be decoded.
        """
        from PIL import Image

        if not self.data and self.output is not None and self.status != "failed":
            picture: Image.Image = Image.open(self.output)
        else:
            self._check_data()
            picture = Image.open(io.BytesIO(self.data))
        picture.load()
        return picture

    def _check_data(self) -> None:
        if not self.data:
            where = f"; the file is {self.output}" if self.output else ""
            raise ValueError(f"the result has no data ({self.error or self.status}){where}")

    def remember(self, source: object) -> None:
        """Keep what the result was made of, for notebooks: arrays, images and streams by weak references.

        Bytes have no weak references, so they are kept only in a notebook: elsewhere nobody would see them.
        """
        if isinstance(source, bytes):
            if "ipykernel" in sys.modules:
                object.__setattr__(self, "_source", lambda: source)
        elif not hasattr(source, "read") or hasattr(source, "getvalue"):  # files are found by their names
            with suppress(TypeError):  # paths
                object.__setattr__(self, "_source", weakref.ref(source))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_source"}

    def _repr_html_(self) -> str:
        """Return the pictures before and after with their figures, for Jupyter; at most about 200 kB."""
        from guetzpy.notebook import html

        reference = self.__dict__.get("_source")
        return html(self, reference() if reference is not None else None)

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
