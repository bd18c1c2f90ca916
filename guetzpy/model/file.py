"""Model files: fitted parameters of the search as arrays in a ``.npz`` file without pickles.

A file has the arrays of some parts, each with the part's prefix (``tables/at_1``), ``format`` (the version of
this layout) and ``about`` (JSON text: what the model was made from). A part may be absent: the search then
uses its own constants.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from guetzpy.errors import FormatError, GuetzpyError, LimitError, UnsupportedError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from guetzpy.model.block_weights import WeightsPart
    from guetzpy.model.start import StartPart
    from guetzpy.model.tables import TablesPart

__all__ = ["MAX_BYTES", "Model", "Part", "built_in"]

#: Largest size of a model file, and of its arrays together, in bytes.
MAX_BYTES = 16_000_000

#: Largest number of arrays of a file.
_MAX_ARRAYS = 64

#: Version of the layout.
_FORMAT = 1

#: Module and class of each part. They are imported only when a file is read, since they need NumPy.
_PARTS = {
    "tables": ("guetzpy.model.tables", "TablesPart"),
    "weights": ("guetzpy.model.block_weights", "WeightsPart"),
    "start": ("guetzpy.model.start", "StartPart"),
}

#: Every entry has this date, the earliest of the zip format, so that equal models give equal files.
_DATE = (1980, 1, 1, 0, 0, 0)


class Part(Protocol):
    """Parameters that one step of the search uses."""

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays by name, each with the part's prefix and a slash."""

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Part:
        """Return the part with these arrays; raise FormatError if they are not valid."""


@dataclass(frozen=True, eq=False)
class Model:
    """Fitted parameters of the search. Equal models have equal files.

    Attributes
    ----------
    data : bytes
        The file.
    parts : mapping of str to Part
        The parts that the model has, by name.
    about : mapping
        What the model was made from: its name, guetzpy's version, the pictures, the seed, figures.
    path : str, optional
        The file from which the model was read.
    """

    data: bytes
    parts: Mapping[str, Part]
    about: Mapping[str, Any]
    path: str | None = None

    @classmethod
    def of(cls, parts: Mapping[str, Part], about: Mapping[str, Any]) -> Model:
        """Return a model of some parts; ``about`` must be representable in JSON."""
        arrays: dict[str, npt.NDArray[Any]] = {}
        for part in parts.values():
            arrays |= part.arrays()
        return cls.from_bytes(_packed(arrays, about))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Model:
        """Read a model file.

        Raises
        ------
        FormatError
            The file is damaged, or not a model.
        UnsupportedError
            A newer version of guetzpy made it.
        LimitError
            It has more than 16 MB.
        OSError
            It cannot be read.
        """
        name = os.fspath(path)
        with open(name, "rb") as stream:
            data = stream.read(MAX_BYTES + 1)
        return cls.from_bytes(data, name)

    @classmethod
    def from_bytes(cls, data: bytes, path: str | None = None) -> Model:
        """Return the model of a file's contents; the errors are those of :meth:`load`."""
        try:
            arrays, about = _unpacked(data)
            prefixes = {name.partition("/")[0] for name in arrays}
            if unknown := sorted(prefixes - set(_PARTS)):
                raise FormatError(f"not a model of this version of guetzpy: unknown part {unknown[0]}")
            parts = {
                prefix: _kind(prefix).from_arrays(
                    {name: array for name, array in arrays.items() if name.startswith(f"{prefix}/")}
                )
                for prefix in _PARTS
                if prefix in prefixes
            }
        except GuetzpyError as error:
            error.name = error.name or path
            raise
        return cls(data, parts, about, path)

    @property
    def tables(self) -> TablesPart | None:
        """Parameters of the tables; None if the model has none."""
        return self.parts.get("tables")  # type: ignore[return-value]

    @property
    def weights(self) -> WeightsPart | None:
        """Networks for the weights of blocks; None if the model has none."""
        return self.parts.get("weights")  # type: ignore[return-value]

    @property
    def start(self) -> StartPart | None:
        """Parameters of the first evaluation; None if the model has none."""
        return self.parts.get("start")  # type: ignore[return-value]

    @property
    def digest(self) -> str:
        """SHA-256 of the file, 64 hexadecimal digits."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def label(self) -> str:
        """Name and start of the digest, which name the model in results: ``screens@3fa9c01be2d4``."""
        return f"{self.about.get('name', 'model')}@{self.digest[:12]}"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file. An existing file is replaced atomically."""
        from guetzpy.output import write

        write(path, self.data)

    def __eq__(self, other: object) -> bool:
        return self.data == other.data if isinstance(other, Model) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.data)

    def __reduce__(self) -> tuple[Any, ...]:
        return Model.from_bytes, (self.data, self.path)

    def __repr__(self) -> str:
        return f"Model({self.label})"


@cache
def built_in() -> Model:
    """Return the model that a search uses if none is given."""
    return Model.from_bytes(Path(__file__).with_name("builtin.npz").read_bytes())


def _kind(name: str) -> type[Part]:
    module, kind = _PARTS[name]
    found: type[Part] = getattr(importlib.import_module(module), kind)
    return found


def _packed(arrays: Mapping[str, npt.NDArray[Any]], about: Mapping[str, Any]) -> bytes:
    """Return a file of arrays; equal arrays give equal bytes."""
    import zipfile

    import numpy as np

    text = json.dumps(about, sort_keys=True, allow_nan=False).encode("ascii")
    members = {"about": np.array(text), "format": np.array(_FORMAT, "<i8"), **arrays}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in sorted(members.items()):
            content = io.BytesIO()
            little = np.asarray(array).astype(array.dtype.newbyteorder("<"), order="C")
            np.lib.format.write_array(content, little, version=(1, 0), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _DATE), content.getvalue())
    return file.getvalue()


def _unpacked(data: bytes) -> tuple[dict[str, npt.NDArray[Any]], Mapping[str, Any]]:
    """Return two things: the arrays of a model's parts by name, and the content of ``about``."""
    import zipfile

    import numpy as np

    if len(data) > MAX_BYTES:
        raise LimitError(f"more than {MAX_BYTES} bytes, the limit for a model")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if len(entries) > _MAX_ARRAYS or sum(entry.file_size for entry in entries) > MAX_BYTES:
                raise LimitError(f"more than {_MAX_ARRAYS} arrays, or {MAX_BYTES} bytes of arrays")
            arrays = {entry.filename: _array(entry.filename, archive.read(entry)) for entry in entries}
    except GuetzpyError:
        raise
    except Exception as error:  # zipfile raises many kinds of errors for damaged, encrypted and unknown files
        raise FormatError(f"not a model of guetzpy, or damaged: {error}") from None
    found = {name.removesuffix(".npy"): array for name, array in arrays.items()}
    version, text = found.pop("format", None), found.pop("about", None)
    if version is None or version.dtype != np.dtype("<i8") or version.shape:
        text = None
    if version is None or text is None or text.dtype.kind != "S":
        raise FormatError("not a model of guetzpy: it has no format or no description")
    if int(version) != _FORMAT:
        raise UnsupportedError(
            f"a model of format {int(version)}; this version of guetzpy reads format {_FORMAT}: install a "
            "newer one"
        )
    try:
        about = json.loads(text.tobytes())
    except ValueError:
        about = None
    if not isinstance(about, dict):
        raise FormatError("not a model of guetzpy, or damaged: its description is no JSON object")
    return found, about


def _array(name: str, content: bytes) -> npt.NDArray[Any]:
    """Return the array of an entry. Its header must describe exactly the bytes that follow."""
    import numpy as np

    stream = io.BytesIO(content)
    try:
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ValueError("not an array of version 1.0 of NumPy's format")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
        kind: np.dtype[Any] = np.dtype(dtype)
        if kind.hasobject or kind.kind not in "iufS" or fortran:
            raise ValueError(f"an array of {kind}")
        values = np.frombuffer(content, kind, offset=stream.tell())
        return values.reshape(shape)
    except (ValueError, TypeError, OverflowError, SyntaxError) as error:
        reason = " ".join(str(error).split())[:200]
        raise FormatError(f"not a model of guetzpy, or damaged: {name}: {reason}") from None
