"""The contents of a JPEG file as plain data classes.

Within a block, all arrays are in natural (row-major) order, as in libjpeg, and not in zigzag order:
``coefficients[y, x, 8 * v + u]`` is the quantised coefficient of vertical frequency v and horizontal
frequency u.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = ["NATURAL_ORDER", "ZIGZAG_ORDER", "Component", "JpegImage", "ScanHeader", "Segment"]

#: NATURAL_ORDER[k] is the natural index of the k-th coefficient in zigzag order (T.81 figure A.6).
NATURAL_ORDER: npt.NDArray[np.int64] = np.array(
    [
        0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5,
        12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
        35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
        58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
    ],
    dtype=np.int64,
)  # fmt: skip

#: ZIGZAG_ORDER[n] is the position in zigzag order of the coefficient with natural index n.
ZIGZAG_ORDER: npt.NDArray[np.int64] = np.argsort(NATURAL_ORDER).astype(np.int64)


@dataclass
class Component:
    """One colour component.

    Attributes
    ----------
    identifier : int
        Component id of the frame header, 0..255.
    h, v : int
        Sampling factors, 1..4.
    qtable : ndarray of uint16, shape (64,)
        Quantiser steps in natural order, 1..65535.
    coefficients : ndarray of int16, shape (blocks_y, blocks_x, 64)
        Quantised coefficients in natural order, for the blocks that the component's own size needs (T.81
        A.2.3). The padding blocks of interleaved scans have no visible sample; the reader drops them and
        the writer adds new ones.
    """

    identifier: int
    h: int
    v: int
    qtable: npt.NDArray[np.uint16]
    coefficients: npt.NDArray[np.int16]


@dataclass
class Segment:
    """An APPn or COM segment.

    Attributes
    ----------
    marker : int
        Second byte of the marker, 0xE0..0xEF or 0xFE.
    payload : bytes
        The segment's bytes after the length field.
    """

    marker: int
    payload: bytes


@dataclass(frozen=True)
class ScanHeader:
    """Parameters of one scan (T.81 B.2.3).

    Attributes
    ----------
    components : tuple of int
        Indices into ``JpegImage.components`` (not component identifiers).
    ss, se, ah, al : int
        Spectral selection and successive approximation; 0, 63, 0, 0 in sequential files.
    """

    components: tuple[int, ...]
    ss: int = 0
    se: int = 63
    ah: int = 0
    al: int = 0


@dataclass
class JpegImage:
    """A JPEG file with its coefficients.

    Attributes
    ----------
    width, height : int
        Size of the stored picture in pixels, without regard to the orientation, 1..65535.
    components : list of Component
        1 to 4 components.
    colorspace : str
        "gray", "ycbcr", "rgb", "cmyk" or "ycck". As in libjpeg, the JFIF segment decides, then the Adobe
        segment, then the component identifiers.
    sof : int
        Frame marker of the file read: 0xC0 baseline, 0xC1 extended, 0xC2 progressive.
    segments : list of Segment
        APPn and COM segments in file order, including those between frame header and scans.
    trailing : bytes
        All bytes after EOI.
    restart_interval : int
        Restart interval in MCUs at the first scan; 0 for no restart markers.
    scans : list of ScanHeader
        Scans of the file read, in order; empty for a new picture.
    scan_bytes : list of int
        Entropy-coded bytes of each scan of the file read, including stuffing.
    complete : bool
        False if data is missing before EOI, if a progressive file does not send all coefficients down to
        Al = 0, or if a component's quantisation table changes between its scans. Such a file can be copied,
        but not encoded anew.
    eoi : bool
        False if the EOI marker is missing.
    mcu_rows_read : int
        Number of MCU rows with complete data, in the scan with the fewest. For a file without missing data
        it is the number of MCU rows of the picture.
    warnings : list of str
        Deviations from the standard that the reader accepted.
    """

    width: int
    height: int
    components: list[Component]
    colorspace: str
    sof: int = 0xC0
    segments: list[Segment] = field(default_factory=list)
    trailing: bytes = b""
    restart_interval: int = 0
    scans: list[ScanHeader] = field(default_factory=list)
    scan_bytes: list[int] = field(default_factory=list)
    complete: bool = True
    eoi: bool = True
    mcu_rows_read: int = 0
    warnings: list[str] = field(default_factory=list)

    @property
    def progressive(self) -> bool:
        """Whether the frame read was progressive (SOF2)."""
        return self.sof == 0xC2

    @property
    def subsampling(self) -> str:
        """Usual name of the chroma sampling ("gray", "444", "422", "420", ...), or the sampling factors.

        The names count chroma samples in two rows of four pixels (J:a:b).
        """
        if len(self.components) == 1:
            return "gray"
        first, *rest = self.components
        names: dict[tuple[float, float], str] = {
            (1, 1): "444",
            (2, 1): "422",
            (2, 2): "420",
            (1, 2): "440",
            (4, 1): "411",
            (4, 2): "410",
        }
        ratios = {(first.h / c.h, first.v / c.v) for c in rest[:2]}
        if len(ratios) == 1 and (name := names.get(ratios.pop())):
            return name
        return " ".join(f"{c.h}x{c.v}" for c in self.components)

    @property
    def h_max(self) -> int:
        """Largest horizontal sampling factor."""
        return max(component.h for component in self.components)

    @property
    def v_max(self) -> int:
        """Largest vertical sampling factor."""
        return max(component.v for component in self.components)

    def component_size(self, index: int) -> tuple[int, int]:
        """Return (height, width) in samples of a component (T.81 A.1.1)."""
        component = self.components[index]
        height = -(-self.height * component.v // self.v_max)
        width = -(-self.width * component.h // self.h_max)
        return height, width
