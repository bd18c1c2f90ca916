"""Lossless transcoding: read a JPEG file, apply the metadata policy, write it in fewer bytes, verify it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal, NamedTuple

import numpy as np

from guetzpy._runtime.threads import each
from guetzpy.errors import FormatError, GuetzpyError, UnsupportedError
from guetzpy.jpeg.anatomy import survey
from guetzpy.jpeg.further import with_packed_pictures
from guetzpy.jpeg.gray import WRITTEN_AS_GRAY, carried_as_gray, coefficients_as_gray
from guetzpy.jpeg.markers import SOF0
from guetzpy.jpeg.metadata.appended import places, stray_ranges
from guetzpy.jpeg.metadata.declared import colour_of_jpeg
from guetzpy.jpeg.metadata.policy import Policy, kind_of
from guetzpy.jpeg.metadata.preservation import Carried, carry, settle, splice
from guetzpy.jpeg.reader import Limits, read
from guetzpy.jpeg.structure import Component, JpegImage
from guetzpy.jpeg.thumbnail import with_packed_thumbnail
from guetzpy.jpeg.writer import write
from guetzpy.picture.pillow import guarded, opened_jpeg

__all__ = ["Transcoded", "bare", "same_coefficients", "same_pixels", "strip_bytes", "transcode_bytes"]

_EOI = b"\xff\xd9"

_INSEPARABLE = "metadata cannot be separated from the picture's data, so nothing is stripped"

#: Pixels per byte of the file above which a picture is sparse (0.25 bits per pixel; a uniform baseline 4:2:0
#: file has 64 pixels per byte).
SPARSE = 32

# Largest sparse picture that is repacked, in pixels. The decodes that verify a file take 20 bytes per pixel,
# so that a hostile file of few bytes could otherwise take gigabytes of memory.
_PACKED_PIXELS = 1 << 24

_NO_LIMITS = Limits(
    65535**2, max_scans=10_000, max_metadata=2**40, max_directories=2**40, max_block_visits=2**62
)


@dataclass(frozen=True)
class Transcoded:
    """Result of a lossless transcode.

    Attributes
    ----------
    data : bytes
        The file. It is not larger than its source, unless the source was repaired or the script is
        "sequential".
    status : str
        "lossless" if the picture data was coded anew or metadata was removed, "kept" if ``data`` is the
        source.
    reason : str
        Why the source or its picture data was kept, or why the file is larger; empty otherwise.
    removed : list of str
        Kinds of metadata that the policy removed.
    warnings : list of str
        Deviations from the standard in the source, and metadata that could not be preserved.
    image : JpegImage
        The source's image; None after ``strip_bytes``.
    packed : tuple of (bytes, JpegImage), optional
        The source with smaller gain maps, further pictures and thumbnail, and its image. None if that is the
        source itself, and after ``strip_bytes``.
    """

    data: bytes
    status: Literal["lossless", "kept"]
    reason: str
    removed: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    image: JpegImage | None = field(default=None, repr=False)
    packed: tuple[bytes, JpegImage] | None = field(default=None, repr=False)


def transcode_bytes(
    source: bytes,
    policy: Policy = Policy(),  # noqa: B008 (frozen)
    *,
    script: Literal["auto", "sequential"] = "auto",
    restart_interval: int = 0,
    repair: bool = False,
    limits: Limits = Limits(),  # noqa: B008 (frozen)
    keep_components: bool = False,
    threads: int | None = None,
    further: bool = True,
) -> Transcoded:
    """Encode a JPEG file anew, with the same coefficients, in fewer bytes.

    The result is verified: libjpeg-turbo decodes it and the source, and all pixels must be equal. If they
    differ, or if libjpeg-turbo cannot decode the source, the picture data is copied. The metadata that the
    policy strips is removed in any case.

    Parameters
    ----------
    source : bytes
        A JPEG file.
    policy : Policy
        Metadata to remove; by default none.
    script : "auto" or "sequential"
        As for :func:`guetzpy.jpeg.writer.write`.
    restart_interval : int
        MCUs between restart markers; 0 for none.
    repair : bool
        Accept a damaged source, and encode what can be decoded of it.
    limits : Limits
        Upper bounds of what the source may contain.
    keep_components : bool
        Whether to keep three components if their coefficients show a gray picture.
    threads : int, optional
        Number of threads; the bytes do not depend on it.
    further : bool
        Whether gain maps, other pictures of the MPF index and the thumbnail are encoded anew too.

    Raises
    ------
    FormatError, UnsupportedError, LimitError
        If the source cannot be read.
    """
    image, repaired = _read(source, limits, repair)
    if not further or repaired:
        return _transcoded(
            source, image, policy, script, restart_interval, repaired, keep_components, threads
        )

    def repack(picture: bytes, script: Literal["auto", "sequential"] = script) -> bytes | None:
        try:
            return transcode_bytes(
                picture, script=script, limits=limits, keep_components=True, threads=threads, further=False
            ).data
        except GuetzpyError:
            return None

    packed = with_packed_pictures(source, image, repack, policy.stripped)
    packed = with_packed_thumbnail(*packed, partial(repack, script="sequential"), policy.stripped)
    done = _transcoded(*packed, policy, script, restart_interval, False, keep_components, threads)
    if packed[0] is source:
        return done
    return replace(done, status="lossless", packed=packed)


def _transcoded(
    source: bytes,
    image: JpegImage,
    policy: Policy,
    script: Literal["auto", "sequential"],
    restart_interval: int,
    repaired: bool,
    keep_components: bool,
    threads: int | None,
) -> Transcoded:
    """Encode an image anew under a policy; see :func:`transcode_bytes`."""
    carried = carry(source, image, policy)
    # A file that is not baseline is no valid result for "sequential", even if it is smaller.
    rewritten = repaired or (script == "sequential" and image.sof != SOF0)
    warnings = [*image.warnings, *colour_of_jpeg(image).warnings]
    gray = None if keep_components else coefficients_as_gray(image)
    own = carried_as_gray(source, image, carried) if gray is not None else ""
    if gray is not None and isinstance(own, Carried):
        own = replace(own, segments=[*own.segments, *gray.segments[len(image.segments) :]])  # a mark
        written, reason = _repacked(source, gray, own, repaired, rewritten, script, restart_interval, threads)
        if written is not None:
            warnings += own.warnings
            return Transcoded(written, "lossless", WRITTEN_AS_GRAY, own.removed, warnings, gray)
    written, reason = _repacked(
        source, image, carried, repaired, rewritten, script, restart_interval, threads
    )
    if isinstance(own, str) and own:
        reason = f"{reason}; {own}" if reason else own
    spliced = splice(source, image, carried) if carried.removed else None
    if carried.removed and spliced is None and written is None:
        raise UnsupportedError(f"{_INSEPARABLE}; {reason}")
    if spliced is not None and (written is None or (len(spliced) < len(written) and not rewritten)):
        reason = reason or "picture data is already optimal"
        written = spliced
    if written is None:
        return Transcoded(source, "kept", reason, image=image, warnings=[*warnings, *carried.notes])
    return Transcoded(written, "lossless", reason, carried.removed, [*warnings, *carried.warnings], image)


def strip_bytes(source: bytes, policy: Policy) -> Transcoded:
    """Remove metadata from a JPEG file of any process: edit its segments and copy its other bytes.

    Parameters
    ----------
    source : bytes
        A JPEG file, which need not be supported by :func:`guetzpy.jpeg.reader.read`.
    policy : Policy
        The kinds of metadata to remove and to keep.

    Returns
    -------
    Transcoded
        The result without ``image``. Its status is "kept" if the file has no metadata to remove.

    Raises
    ------
    UnsupportedError
        If segments and picture data cannot be separated.
    """
    try:
        parts = survey(source)
    except FormatError as error:
        raise UnsupportedError(f"{_INSEPARABLE}: {error.reason}") from None
    if parts.frame is None:  # JPEG-LS stuffs bits, not bytes, so its data may contain markers
        raise UnsupportedError(f"{_INSEPARABLE}: it has no frame header of T.81")
    trailing = source[len(source) - parts.trailing :]
    frame = parts.frame
    components = [
        Component(c.identifier, c.h, c.v, np.ones(64, np.uint16), np.empty((0, 0, 64), np.int16))
        for c in frame.components
    ]
    bare = JpegImage(frame.width, frame.height, components, "", segments=parts.segments, trailing=trailing)
    carried = carry(source, bare, policy)
    if not carried.removed:
        return Transcoded(source, "kept", "", warnings=carried.notes)
    data = splice(source, bare, carried)
    if data is None or _skeleton(data, len(carried.trailing)) != _skeleton(source, len(trailing)):
        raise UnsupportedError(_INSEPARABLE)
    return Transcoded(data, "lossless", "", carried.removed, carried.warnings)


def _skeleton(data: bytes, trailing: int) -> bytes:
    """Return a file without APPn and COM segments, stray bytes of the header, and data after EOI."""
    end = len(data) - trailing
    ranges = [(place.start, place.end) for place in places(data, 0, end)] + stray_ranges(data, end)
    pieces, at = [], 0
    for start, after in sorted(ranges):
        pieces.append(data[at:start])
        at = after
    return b"".join((*pieces, data[at:end]))


def _read(source: bytes, limits: Limits, repair: bool) -> tuple[JpegImage, bool]:
    """Return the image and whether it is damaged and was repaired."""
    image = None
    try:
        image = read(source, limits=limits)
        if image.complete or not repair:
            return image, False
    except FormatError:
        if not repair:
            raise
    repaired = read(source, limits=limits, repair=True)
    # Repair does not help a file that is valid but incomplete, such as one with scans left out on purpose.
    return (repaired, True) if image is None or repaired.complete else (image, False)


def _repacked(
    source: bytes,
    image: JpegImage,
    carried: Carried,
    repaired: bool,
    rewritten: bool,
    script: Literal["auto", "sequential"],
    restart_interval: int,
    threads: int | None,
) -> tuple[bytes | None, str]:
    """Encode the file anew and verify it.

    Returns the file and an empty string, or a note if the file is larger than its source, which only
    ``rewritten`` allows. If the source's picture data must be kept, returns None and the reason.
    """
    pixels = image.width * image.height
    if pixels > max(_PACKED_PIXELS, SPARSE * len(source)) and not repaired:
        return None, f"{len(source)} bytes for {pixels / 1e6:.0f} megapixels: too large a picture to repack"
    if not image.complete:
        return None, image.warnings[0] if image.warnings else "not all coefficients are sent in full"
    carrier = replace(image, segments=carried.segments, trailing=carried.trailing)
    written = write(carrier, script=script, restart_interval=restart_interval, threads=threads)
    data = settle(written, carried)
    if len(data) >= len(source) and not rewritten:
        return None, "already optimal"
    whole = source if image.eoi else source[: len(source) - len(image.trailing)] + _EOI
    profile_changes = "icc" in carried.removed or carried.profile_added
    objection = _objection(whole, image, data, repaired, profile_changes, threads)
    larger = "the baseline file, as asked for, is larger than its source"
    return (None, objection) if objection else (data, "" if repaired or len(data) <= len(source) else larger)


def _objection(
    source: bytes, image: JpegImage, data: bytes, repaired: bool, profile_changes: bool, threads: int | None
) -> str:
    """Return why the file written anew must be rejected; empty if it decodes to the same picture."""
    same = False
    shown: dict[bytes, _Shown | None] = {}

    def decode_and_read(what: bytes | None) -> None:
        nonlocal same
        if what is None:
            same = _reads_as(data, image)
        else:
            shown[what] = _show(what)

    each(decode_and_read, [data, None, source], threads)
    if not same:
        return "the new file does not have the same coefficients"
    before, after = shown[source], shown[data]
    if repaired and before is None:
        return ""
    if before is None:
        return "libjpeg-turbo cannot decode it"
    if after is None or not _same_shown(before, after):
        return "libjpeg-turbo would decode other pixels"
    # Pillow reads ICC profiles from segments before the frame header only. The writer puts all there.
    if before.profile != after.profile and not profile_changes:
        return "Pillow would read another ICC profile"
    return ""


def _same_shown(before: _Shown, after: _Shown) -> bool:
    """Return whether two files decode to the same picture; three equal components equal one gray one."""
    (mode, size, samples), (mode_after, size_after, samples_after) = before.picture, after.picture
    if (mode, mode_after) != ("RGB", "L"):
        return before.picture == after.picture
    colours = np.frombuffer(samples, np.uint8).reshape(-1, 3)
    gray = np.frombuffer(samples_after, np.uint8)
    return size == size_after and all(np.array_equal(colours[:, i], gray) for i in range(3))


def _reads_as(data: bytes, image: JpegImage) -> bool:
    try:
        return same_coefficients(image, read(data, limits=_NO_LIMITS))
    except GuetzpyError:
        return False


def same_coefficients(first: JpegImage, second: JpegImage) -> bool:
    """Return whether two images have equal components, tables and coefficients."""
    if (first.width, first.height, first.colorspace, len(first.components)) != (
        second.width,
        second.height,
        second.colorspace,
        len(second.components),
    ):
        return False
    return all(
        (a.identifier, a.h, a.v) == (b.identifier, b.h, b.v)
        and np.array_equal(a.qtable, b.qtable)
        and np.array_equal(a.coefficients, b.coefficients)
        for a, b in zip(first.components, second.components, strict=True)
    )


def same_pixels(first: bytes, second: bytes) -> bool | None:
    """Return whether libjpeg-turbo decodes two files to equal pixels; None if it cannot decode the first."""
    before, after = _show(first), _show(second)
    return None if before is None else after is not None and before.picture == after.picture


class _Shown(NamedTuple):
    """A file as Pillow decodes it."""

    picture: tuple[str, tuple[int, int], bytes]  # mode, size, samples
    profile: bytes | None


def _show(data: bytes) -> _Shown | None:
    try:
        with guarded("libjpeg-turbo"), opened_jpeg(bare(data)) as picture:
            picture.load()
            return _Shown((picture.mode, picture.size, picture.tobytes()), picture.info.get("icc_profile"))
    except FormatError:
        return None


def bare(data: bytes) -> bytes:
    """Return a JPEG file without the segments that do not affect its pixels or colours.

    Pillow would parse these segments, which is slow and causes warnings. It also refuses files for segments
    that libjpeg ignores: JFIF and Adobe segments that are too short (``examine_app0`` and
    ``examine_app14`` of jdmarker.c), and pieces of ICC profiles without a number.
    """
    pieces, at = [], 0
    for place in places(data, header_only=True):
        kind = kind_of(place.segment)
        if kind not in _LEAST or len(place.segment.payload) < _LEAST[kind]:
            pieces.append(data[at : place.start])
            at = place.end
    return b"".join((*pieces, data[at:]))


#: Smallest number of bytes of payload with which a segment affects pixels or colours.
_LEAST = {"jfif": 14, "adobe": 12, "icc": 14}
