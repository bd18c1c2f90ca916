"""Lossless repacking of one JPEG."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from guetzpy.errors import FormatError, GuetzpyError, SourceTypeError, UnsupportedError
from guetzpy.result import Result

if TYPE_CHECKING:
    from guetzpy.engine.source import Readable
    from guetzpy.jpeg.transcode import Transcoded
    from guetzpy.options import TranscodeOptions
    from guetzpy.progress import Reporter

__all__ = ["NOT_REPACKED", "UNCHANGED", "transcode"]

#: Message for a file that is not a JPEG, which only ``optimize`` accepts.
NOT_REPACKED = "not a JPEG; transcode repacks JPEG files only (use optimize)"

#: Distance and scores of a result whose pixels are those of its source.
UNCHANGED: Any = {"distance": 0.0, "butteraugli_3norm": 0.0, "butteraugli_max": 0.0, "ssimulacra2": 100.0}


def transcode(source: Readable, options: TranscodeOptions, name: str | None, reporter: Reporter) -> Result:
    """Repack a JPEG without loss. The arguments are those of :func:`guetzpy.engine.run.run`."""
    from guetzpy.jpeg.header import frame_of, is_jpeg, is_progressive
    from guetzpy.picture.reading import contents
    from guetzpy.search.plan import check_memory, packing_memory

    if hasattr(source, "getbands") or hasattr(source, "dtype"):
        raise SourceTypeError(f"{type(source).__name__} of pixels: {NOT_REPACKED}")
    data, own_name = contents(source, options.max_input, options.max_memory)
    name = name or own_name
    try:
        if not data:
            raise FormatError("empty file")
        if not is_jpeg(data):
            raise UnsupportedError(NOT_REPACKED)
        _, width, height = frame_of(data)
        check_memory(width * height, packing_memory(width * height), options.max_memory, name)
        reporter.write()
        done = _repacked(data, options)
    except GuetzpyError as error:
        error.name = error.name or name
        raise
    return Result(
        data=done.data,
        status=done.status,
        reason=done.reason or None,
        removed=tuple(done.removed),
        warnings=tuple(done.warnings),
        input=name,
        bytes_before=len(data),
        bytes_after=len(done.data),
        width=(done.image.width if done.image else width) or None,
        height=(done.image.height if done.image else height) or None,
        **UNCHANGED,
        subsampling=done.image.subsampling if done.image else None,
        progressive=is_progressive(done.data),
    )


def _repacked(data: bytes, options: TranscodeOptions) -> Transcoded:
    """Return the repack of a JPEG; if it cannot be read, the file with stripped metadata."""
    from guetzpy.jpeg.metadata.policy import Policy
    from guetzpy.jpeg.reader import Limits
    from guetzpy.jpeg.transcode import strip_bytes, transcode_bytes

    policy = Policy.of(options.keep, options.strip)
    try:
        return transcode_bytes(
            data,
            policy,
            script="auto" if options.progressive else "sequential",
            repair=options.repair,
            limits=Limits(
                options.max_pixels, options.max_scans, options.max_metadata, options.max_directories
            ),
            keep_components=options.keep_components,
            threads=options.threads,
        )
    except UnsupportedError as error:
        if not policy.stripped:
            raise
        return replace(strip_bytes(data, policy), reason=error.reason)
