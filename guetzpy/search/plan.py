"""How a picture is searched, depending on its size, and the memory that the search takes.

This module has all thresholds of size. Memory was measured as the growth of the process at its peak, with two
threads, at 2.5, 12, 24 and 100 megapixels (4:4:4). A search that needs too much is refused before it begins.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from guetzpy._runtime.memory_limits import (
    FEW_BYTES,
    FOR_FEW_BYTES,
    check_few_bytes,
    check_memory,
    few,
    rounded,
    sufficient,
    too_much,
)
from guetzpy.errors import LimitError
from guetzpy.jpeg.transcode import SPARSE
from guetzpy.metrics.base import Resources

__all__ = [
    "EFFORTS", "Effort", "Plan", "TileLayout", "check_comparing", "check_decoding", "check_memory",
    "comparing_memory", "decoding_memory", "least_memory", "packing_memory", "plan_search",
    "search_memory", "too_sparse",
]  # fmt: skip

#: Pixels up to which metrics and candidates are computed side by side, each on one thread. On two threads
#: this is 8 to 25 % faster than one after the other.
_SIDE_BY_SIDE = 600_000

#: Number of pixels from which the open loop compares candidates on sample tiles.
_OPEN_LOOP_TILES = 460_800

#: Number of pixels from which a picture is very large. Its weights are computed from tiles, and tiles predict
#: the distances at which it is evaluated. Butteraugli's data of the reference are computed again for each of
#: the few evaluations: to allocate memory for them would take as long.
_VERY_LARGE = 6 << 20

#: Number of pixels from which the metrics keep no data of the reference.
_NOTHING_KEPT = 12_500_000

#: Pixels of a strip, if coefficients are computed strip by strip; rows that Butteraugli works on at a time,
#: if the search spares memory.
_STRIP, _ROWS = 1 << 19, 128
#: Smallest number of rows of a strip: four times the number of rows around it, which are computed twice.
_FEWEST_ROWS = 64

#: Peak memory of a search. Each row: megapixels up to which it applies, bytes per pixel, bytes per pixel for
#: the rounds of effort max, and bytes added to all. Measured: tests/search/test_plan.py.
_FAST = ((12.5, 220, 40, 0), (float("inf"), 46, 40, 700_000_000))
_SEARCH = ((2.7, 400, 40, 0), (12.5, 220, 80, 75_000_000), (float("inf"), 46, 40, 900_000_000))
#: The same for a JPEG, whose coefficients are searched.
_FAST_OF_JPEG = ((12.5, 220, 40, 30_000_000), _FAST[1])
_OF_JPEG = (
    (2.7, 400, 70, 0), (6.2915, 245, 80, 110_000_000), _SEARCH[1], (float("inf"), 74, 40, 330_000_000),
)  # fmt: skip
#: Bytes per pixel for the weights of several rounds, if the search spares memory.
_ROUNDS = 40
#: Bytes per pixel of a lossless repack and its checks: coefficients three times, pixels four times.
_PACKING = 36
#: Bytes per pixel of 8-bit pixels that are decoded and converted: Pillow's, and two copies.
_DECODING = 12
#: Bytes per pixel, and bytes added to them, of a comparison of two pictures; measured with JPEG files of 8
#: and 12 megapixels.
_COMPARING = 33, 40_000_000
#: Memory of a bounded search: bytes per pixel, bytes added to them (90 MB of these for the sample tiles),
#: bytes per pixel of Butteraugli's windows, and rows of these windows with margins. Measured, in MB, with
#: colour: 407 at 65,500 x 1, 413 at 65,500 x 10, 368 at 40,000 x 20, 423 at 12,000 x 200, 214 at 1800 x 1200,
#: 462 at 3840 x 2160 and 385 at 3000 x 3000. The estimate is up to 8 % less than these.
_BOUNDED = 32, 110_000_000, 75, 202
#: SSIMULACRA 2 works on bands of whole rows: bytes per column, bytes per sample of a column, and smallest and
#: largest number of rows. For wide pictures of few rows this is more than Butteraugli's windows take.
#: Measured with the pictures above.
_BY_COLUMN, _BY_BAND_ROW, _BAND_ROWS = 2600, 220, (8, 64)
#: The same as _BOUNDED for a search of a JPEG's coefficients, whose metrics keep no data of the reference;
#: measured at 2 and 4 megapixels.
_OF_COEFFICIENTS = 66, 83_000_000, 250, 276
#: Condition for the search of a file of few bytes with gradients, by metrics that keep no data of the
#: reference: the columns of SSIMULACRA 2 take at most this number of bytes.
_GRADIENTS_FOR_COLUMNS = 100_000_000

#: Largest number of pixels of a file of few bytes that is not a JPEG. Its search then ends within ten
#: seconds.
_MOST_FOR_FEW_BYTES = 9_000_000
#: Limits for a file of few bytes, by ``search_memory``, which does not include the memory of the libraries.
#: Up to the first number of bytes the usual search is made; up to the second, a search whose metrics keep no
#: data of the reference.
_USUAL_FOR_FEW_BYTES, _GRADIENTS_FOR_FEW_BYTES = 370_000_000, 500_000_000

#: Factor on the estimated memory for a file of few bytes: the estimate can be too small, and the
#: documentation promises the limit.
_MARGIN = 1.06

#: JPEG files of at most this many pixels are always searched, however few bytes they have.
_DENSE_PIXELS = 1 << 20


@dataclass(frozen=True)
class Effort:
    """How long to search.

    Attributes
    ----------
    rounds : int
        Number of times that weights are computed from gradients; 0 is the open loop.
    probes : int
        Number of evaluations of the whole picture after the weights are final.
    tuned : bool
        Whether the shape of the tables is searched as well.
    warm : int
        Number of quantisations before the first evaluation, which provide the costs of symbols if none are
        known.
    """

    rounds: int
    probes: int
    tuned: bool = False
    warm: int = 2


EFFORTS = {"fast": Effort(0, 2), "balanced": Effort(1, 3), "max": Effort(4, 6, tuned=True)}


@dataclass(frozen=True)
class TileLayout:
    """Sample tiles: their number in a row and in a column, and their side in pixels."""

    across: int
    side: int


#: Tiles for the comparison of candidates; for the search of the shape of tables and for predictions of where
#: to evaluate very large pictures; for the open loop; for the weights of very large pictures; and for a
#: bounded search (these are wider than the blurs of the metrics).
_CHOICE, _LARGER, _OPEN, _WEIGHTS, _BOUNDED_TILES = (
    TileLayout(4, 128),
    TileLayout(3, 240),
    TileLayout(4, 80),
    TileLayout(3, 512),
    TileLayout(3, 240),
)


@dataclass(frozen=True)
class Plan:
    """How a picture is searched.

    Attributes
    ----------
    resources : Resources
        Memory and threads of the judge of the whole picture.
    side_by_side : bool
        Whether metrics and candidates are computed at the same time, each on one thread.
    choice_tiles : TileLayout or None
        Tiles on which candidates are compared; None: on the whole picture. A picture of less than twice the
        pixels of the tiles is not cut into tiles.
    weight_tiles : TileLayout or None
        Tiles from which the weights are computed; None: from the whole picture.
    scouted : bool
        Whether tiles predict where to evaluate the whole picture next.
    bounded : bool
        Whether coefficients are computed strip by strip, without weights and with few evaluations.
    strip_rows : int
        Rows of such a strip, a multiple of 16.
    memory : int
        Bytes that the search takes at its peak.
    unbounded : int
        Bytes that the search would take at its peak if it spared no memory. With a ``ceiling`` of this or
        more, it spares none.
    """

    resources: Resources
    side_by_side: bool
    choice_tiles: TileLayout | None
    weight_tiles: TileLayout | None
    scouted: bool
    bounded: bool
    strip_rows: int
    memory: int
    unbounded: int

    def of_tiles(self, pixels: int) -> Plan:
        """Return the plan for sample tiles of this many pixels."""
        return replace(
            self,
            resources=Resources(self.resources.threads),
            side_by_side=pixels <= _SIDE_BY_SIDE,
            choice_tiles=None,
            weight_tiles=None,
            scouted=False,
            bounded=False,
        )


def plan_search(
    width: int,
    height: int,
    effort: str = "balanced",
    *,
    threads: int | None = None,
    ceiling: int | None = None,
    file_size: int | None = None,
    coefficients: bool = False,
    name: str | None = None,
) -> Plan:
    """Return how a picture is searched.

    The plan uses less memory if a ceiling is given, and for files of few bytes, which have a low ceiling by
    default. The memory of the machine does not change the plan: a picture that needs more is refused.

    Parameters
    ----------
    width, height : int
        Size of the picture, in pixels.
    effort : {"fast", "balanced", "max"}
        Effort of the search.
    threads : int, optional
        Number of threads; default: the processors available.
    ceiling : int, optional
        Bytes of memory that may be taken.
    file_size : int, optional
        Bytes of the file; None for pictures that are not from a file.
    coefficients : bool
        Whether the picture is a JPEG whose coefficients are searched. Such coefficients are always kept in
        memory.
    name : str, optional
        Name of the file, for messages.

    Raises
    ------
    LimitError
        The search would take too much memory.
    """
    pixels = width * height
    usual = search_memory(_whole(width) * _whole(height), effort, coefficients)
    spared = _spared_memory(width, height, effort, coefficients)
    spares = _must_spare(pixels, usual, spared, ceiling, file_size, coefficients, name)
    gradients = ceiling is None and usual <= _GRADIENTS_FOR_FEW_BYTES
    gradients = gradients and width * _column_memory(height) <= _GRADIENTS_FOR_COLUMNS
    bounded = spares and not coefficients and not gradients
    very_large = pixels >= _VERY_LARGE
    threaded = Resources(threads)
    if spares:
        resources = replace(threaded, keep="nothing", rows=_ROWS)
    elif pixels > _NOTHING_KEPT:
        resources = replace(threaded, keep="nothing")
    else:
        resources = replace(threaded, keep="some") if very_large else threaded
    tiles: TileLayout | None
    if bounded:
        tiles = _BOUNDED_TILES
    elif effort == "fast":
        tiles = _CHOICE if very_large else _OPEN if pixels >= _OPEN_LOOP_TILES else None
    else:
        tiles = _LARGER if very_large or effort == "max" else _CHOICE
    return Plan(
        resources=resources,
        side_by_side=pixels <= _SIDE_BY_SIDE and not spares,
        choice_tiles=tiles,
        weight_tiles=_WEIGHTS if very_large and not bounded else None,
        scouted=very_large and not bounded,
        bounded=bounded,
        strip_rows=max(_STRIP // width // 16 * 16, _FEWEST_ROWS),
        memory=spared if spares else usual,
        unbounded=rounded(usual),
    )


def _must_spare(
    pixels: int,
    usual: int,
    spared: int,
    ceiling: int | None,
    file_size: int | None,
    coefficients: bool,
    name: str | None,
) -> bool:
    """Return whether the search must spare memory; raise LimitError if it would still take too much."""
    enough = min(usual, spared)
    if ceiling is not None or file_size is None or file_size >= FEW_BYTES:
        spares = ceiling is not None and usual > ceiling
        check_memory(pixels, spared if spares else usual, ceiling, name, enough=enough)
        return spares
    if usual <= _USUAL_FOR_FEW_BYTES:
        return False
    if pixels > _MOST_FOR_FEW_BYTES and not coefficients:
        error = LimitError(
            f"{pixels / 1e6:.1f} megapixels are more than the {_MOST_FOR_FEW_BYTES / 1e6:g} that are searched"
            f" {few(file_size)}: {sufficient(enough)}"
        )
        error.name = name
        raise error
    wanted = int(_MARGIN * spared)
    if wanted > FOR_FEW_BYTES:
        raise too_much(pixels, wanted, FOR_FEW_BYTES, few(file_size), enough, name)
    check_memory(pixels, spared, None, name, enough=enough)
    return True


def search_memory(pixels: int, effort: str, coefficients: bool = False) -> int:
    """Return the peak memory, in bytes, of a search that does not spare memory.

    ``coefficients`` is whether the picture is a JPEG whose coefficients are searched.
    """
    fast, other = (_FAST_OF_JPEG, _OF_JPEG) if coefficients else (_FAST, _SEARCH)
    table = fast if effort == "fast" else other
    by_pixel, rounds, besides = next(row[1:] for row in table if pixels <= row[0] * 1e6)
    return int(pixels * (by_pixel + (rounds if effort == "max" else 0)) + besides)


def _spared_memory(width: int, height: int, effort: str, coefficients: bool) -> int:
    """Return the peak memory, in bytes, of a search that spares memory."""
    by_pixel, besides, by_window, rows = _OF_COEFFICIENTS if coefficients else _BOUNDED
    if coefficients and effort == "max":
        by_pixel += _ROUNDS
    windows = max(min(_whole(height), rows) * by_window, _column_memory(height))
    return width * _whole(height) * by_pixel + besides + width * windows


def _whole(side: int) -> int:
    """Return a side rounded up to a multiple of 16, as metrics and MCUs extend it.

    Without this, the estimate would be far too low for a picture of a few rows.
    """
    return side + -side % 16


def _column_memory(height: int) -> int:
    """Return the bytes that SSIMULACRA 2 takes for each column of a picture."""
    least, most = _BAND_ROWS
    return _BY_COLUMN + _BY_BAND_ROW * min(max(height, least), most)


def packing_memory(pixels: int) -> int:
    """Return the bytes that a lossless repack takes at its peak."""
    return pixels * _PACKING


def decoding_memory(pixels: int) -> int:
    """Return the bytes that a picture takes at its peak while it is decoded and converted."""
    return pixels * _DECODING


def comparing_memory(width: int, height: int) -> int:
    """Return the bytes that a comparison of two pictures takes at its peak."""
    by_pixel, besides = _COMPARING
    return width * height * by_pixel + besides + width * _column_memory(height)


def least_memory(width: int, height: int, effort: str, coefficients: bool = False) -> int:
    """Return the smallest ``ceiling`` with which :func:`plan_search` accepts a picture."""
    usual = search_memory(_whole(width) * _whole(height), effort, coefficients)
    return min(usual, _spared_memory(width, height, effort, coefficients))


def check_decoding(
    pixels: int, file_size: int | None, ceiling: int | None = None, *, enough: int | None = None
) -> None:
    """Raise LimitError if decoding and converting a picture takes too much memory.

    Files of few bytes have a low limit, as for :func:`plan_search`. ``enough`` is as for
    :func:`check_memory`.
    """
    check_few_bytes(pixels, decoding_memory(pixels), file_size, ceiling, enough)


def check_comparing(width: int, height: int, file_size: int | None, ceiling: int | None = None) -> None:
    """Raise LimitError if two pictures take too much memory to be compared; see :func:`check_decoding`.

    Parameters
    ----------
    width, height : int
        Size of each picture, in pixels.
    file_size : int, optional
        Bytes of the larger file; None if one of the pictures is not from a file.
    ceiling : int, optional
        Bytes of memory that may be taken.
    """
    check_few_bytes(width * height, comparing_memory(width, height), file_size, ceiling)


def too_sparse(width: int, height: int, file_size: int) -> str | None:
    """Return why a JPEG is not searched, if it has too few bytes for its pixels.

    Blank pages and hostile files have few bytes and many pixels. The time and memory of a search grow with
    the pixels, and such a file can save few bytes.
    """
    if width * height <= max(_DENSE_PIXELS, SPARSE * file_size):
        return None
    return f"{file_size} bytes for {width * height / 1e6:.1f} megapixels: only repacked without loss"
