"""Decoding of the scans of a file; :mod:`guetzpy.jpeg.reader` describes which damage is accepted."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from guetzpy.errors import FormatError, LimitError
from guetzpy.jpeg import markers
from guetzpy.jpeg.entropy import decode as entropy_decode
from guetzpy.jpeg.entropy.huffman import HuffmanTable
from guetzpy.jpeg.entropy.huffman_decode import build_tables
from guetzpy.jpeg.entropy.scan_data import restart_bounds, split_scan
from guetzpy.jpeg.header import colorspace
from guetzpy.jpeg.structure import Component, JpegImage, ScanHeader, Segment
from guetzpy.options import MAX_DIRECTORIES, MAX_METADATA, MAX_PIXELS, MAX_SCANS

__all__ = ["FileState", "Limits", "PictureReader"]

# A picture of more blocks (128 MB of coefficients) is refused if its file has too few bits for its blocks.
_UNFILLED_BLOCKS = 1 << 20

# Coefficients may take _FREELY bytes in any file, and _BLOW_UP bytes per byte of the file in a large file. A
# file of a uniform picture has about 500 bytes of coefficients per byte.
_FREELY, _BLOW_UP = 450_000_000, 900


@dataclass(frozen=True)
class Limits:
    """Upper bounds of what a file may contain; each is checked before memory or time is spent.

    Attributes
    ----------
    max_pixels : int
        Width times height of the picture, in pixels.
    max_scans : int
        Number of scans. Encoders write up to about 20.
    max_metadata : int
        Bytes of the payloads of all APPn and COM segments together.
    max_directories : int
        Number of directories of one EXIF structure, and of pictures in one MPF index.
    max_block_visits : int
        Blocks decoded in all scans together, each of which takes 10 to 50 ns. It bounds the time of a small
        file that has many scans of a large picture.
    """

    max_pixels: int = MAX_PIXELS
    max_scans: int = MAX_SCANS
    max_metadata: int = MAX_METADATA
    max_directories: int = MAX_DIRECTORIES
    max_block_visits: int = 200_000_000


@dataclass
class FileState:
    """What the segments of a file have defined so far. The reader changes it from segment to segment.

    Attributes
    ----------
    data : bytes
        The whole file.
    limits : Limits
        Upper bounds of what the file may contain.
    repair : bool
        Whether a damaged file is accepted.
    segments : list of Segment
        APPn and COM segments.
    warnings : list of str
        Messages to the user.
    restart_interval : int
        In MCUs; 0 if there are no restart markers.
    quantisers : dict
        Quantisation tables by slot, shape (64,), in natural order.
    huffman : dict
        Huffman tables by (class, slot).
    """

    data: bytes
    limits: Limits
    repair: bool
    segments: list[Segment] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    restart_interval: int = 0
    quantisers: dict[int, npt.NDArray[np.uint16]] = field(default_factory=dict)
    huffman: dict[tuple[int, int], HuffmanTable] = field(default_factory=dict)


class PictureReader:
    """The picture of a file while its scans are read.

    The rows of ``coefficients`` are the blocks of all components, and one spare row at the end.
    """

    def __init__(self, file: FileState, frame: markers.FrameHeader) -> None:
        self.file = file
        self.frame = frame
        self.restart_interval = file.restart_interval
        self.colorspace = colorspace(frame, file.segments)
        self.v_max = max(c.v for c in frame.components)
        self.h_max = max(c.h for c in frame.components)
        self.mcu_rows = -(-frame.height // (8 * self.v_max))
        self.mcu_rows_read = self.mcu_rows
        self.blocks = [  # T.81 A.1.1 and A.2.3
            (-(-frame.height * c.v // (8 * self.v_max)), -(-frame.width * c.h // (8 * self.h_max)))
            for c in frame.components
        ]
        sizes = [rows * columns for rows, columns in self.blocks]
        self.offsets = [sum(sizes[:i]) for i in range(len(sizes) + 1)]
        self.data = np.array(np.frombuffer(file.data, np.uint8))  # kernels take writable arrays only
        self.coefficients: npt.NDArray[np.int16] | None = None
        self.qtables: dict[int, npt.NDArray[np.uint16]] = {}
        self.sent = np.full(
            (len(frame.components), 64), -1
        )  # Al of each coefficient, -1 before its first scan
        self.scans: list[ScanHeader] = []
        self.scan_bytes: list[int] = []
        self.visits = 0
        self.complete = True
        self.within_scan = False
        self.shortfall = ""  # how much data is missing, in the scan with the fewest complete MCU rows
        self.disorder = ""  # the first scan whose restart markers are missing or out of order
        self.damaged = False  # repair has left something out
        self.usable = True  # the coefficients and tables are within the ranges that a JPEG file can hold

    @property
    def progressive(self) -> bool:
        """Whether the picture is progressive (T.81 annex G)."""
        return self.frame.sof == markers.SOF2

    def _new_coefficients(self) -> npt.NDArray[np.int16]:
        """Return zeros for all blocks and one spare block, shape (blocks + 1, 64)."""
        blocks, size = self.offsets[-1] + 1, len(self.data)
        if 128 * blocks > max(_FREELY, _BLOW_UP * size):
            raise LimitError(f"{size} bytes for {self.frame.width * self.frame.height / 1e6:.0f} megapixels")
        return np.zeros((blocks, 64), np.int16)

    def all_sent(self) -> bool:
        """Whether every coefficient has been sent with all its bits."""
        return bool((self.sent == 0).all())

    def whole(self) -> bool:
        """Whether all coefficients were sent and no scan was abandoned."""
        return self.all_sent() and not self.within_scan

    def read_scan(self, parameters: markers.ScanParameters, position: int) -> int:
        """Decode the scan whose data begins at ``position``; return where the data ends."""
        file = self.file
        if not self.progressive and self.scans and len(self.scans[0].components) == len(self.sent):
            raise FormatError("a second scan of the components of a sequential picture")
        self.within_scan = True
        header = self._header(parameters)
        mode = self._mode(header)
        if len(self.scans) == file.limits.max_scans:
            raise LimitError(f"more than {file.limits.max_scans} scans: --max-scans (max_scans)")
        self.visits += sum(self.blocks[c][0] * self.blocks[c][1] for c in header.components)
        if self.visits > file.limits.max_block_visits:
            most = file.limits.max_block_visits
            raise LimitError(f"{len(self.scans) + 1} scans have more than {most} blocks in total")
        self._latch_quantisers(header)
        tables = self._tables(parameters, mode)
        components, rows, columns = self._layout(header)
        mcus = rows * columns
        interval = min(file.restart_interval, mcus) or mcus
        intervals = -(-mcus // interval)

        capacity = 0
        if file.restart_interval:
            capacity = min(len(self.data) - position, intervals * (64 if file.repair else 1) + 64)
        scan = split_scan(self.data, position, capacity=capacity)
        self._check_enough(header, mode, len(scan.clean), len(self.data) - position)
        if self.coefficients is None:
            self.coefficients = self._new_coefficients()
        bounds, regular = restart_bounds(scan, intervals)
        name = f"scan {len(self.scans) + 1}"
        if not regular:
            self.disorder = self.disorder or f"restart markers of {name} are out of order"
        report = entropy_decode.decode_scan(
            mode,
            scan.clean,
            bounds,
            entropy_decode.mcu_blocks(components),
            tables,
            self.coefficients,
            interval=interval,
            mcus=mcus,
            mcus_per_row=columns,
            band=(header.ss, header.se, header.al),
        )
        self.scans.append(header)
        self.scan_bytes.append(scan.end - position)
        if report.short >= 0:
            step = self.frame.components[header.components[0]].v if len(components) == 1 else 1
            read = report.short // columns // step
            if read < self.mcu_rows_read or not self.shortfall:
                self.mcu_rows_read = read
                self.shortfall = f"truncated: {read} of {self.mcu_rows} MCU rows" + self._of(name)
        if report.bad_codes:
            self._hold(f"{report.bad_codes} invalid Huffman codes in {name}")
            self.damaged = file.repair
        if report.out_of_range:
            self._hold(f"{report.out_of_range} coefficients in {name} are beyond the range of 8-bit samples")
            self.usable = False
        if report.overruns:
            self._warn(f"{report.overruns} coefficients beyond their band in {name}")
        if report.left_over or scan.markers >= intervals:
            self._warn(f"unused data in {name}")
        self.within_scan = False
        return scan.end

    def _of(self, name: str) -> str:
        """Return ``name`` as a suffix of a message, or nothing if the picture has a single scan."""
        return f" of {name}" if self.progressive or len(self.scans) > 1 else ""

    def _warn(self, message: str) -> None:
        self.file.warnings.append(message)

    def _hold(self, message: str) -> None:
        """Mark the image as not complete and put the reason before the other warnings."""
        self.complete = False
        self.file.warnings.insert(0, message)

    def _damage(self, message: str) -> None:
        """Raise FormatError; with ``repair``, add the message to the warnings."""
        if not self.file.repair:
            raise FormatError(message)
        self.damaged = True
        self._warn(message)

    def _header(self, scan: markers.ScanParameters) -> ScanHeader:
        """Find the components of a scan, in the order of the frame (T.81 B.2.3).

        Several components may have the same identifier. As in libjpeg's ``get_sos``, a component matches
        only if its index is not below the number of components chosen so far.
        """
        chosen: list[int] = []
        for wanted in scan.components:
            for index, component in enumerate(self.frame.components):
                if component.identifier == wanted.identifier and index >= len(chosen):
                    break
            else:
                raise FormatError(f"scan of component {wanted.identifier}, which is missing or out of order")
            if index in chosen:
                raise FormatError(f"scan of component {wanted.identifier} twice")
            chosen.append(index)
        if self.progressive:
            return ScanHeader(tuple(chosen), scan.ss, scan.se, scan.ah, scan.al)
        if (scan.ss, scan.se, scan.ah, scan.al) != (0, 63, 0, 0):
            self._warn("scan header of a sequential picture with progressive parameters")
        return ScanHeader(tuple(chosen))

    def _mode(self, header: ScanHeader) -> int:
        """Return the decoder's mode for a scan; check and record the progression (T.81 G.1.1.1)."""
        sent = self.sent[list(header.components), header.ss : header.se + 1]
        if not self.progressive:
            self.sent[list(header.components)] = 0
            return entropy_decode.SEQUENTIAL
        if (
            (header.se != 0 if header.ss == 0 else len(header.components) != 1)
            or not header.ss <= header.se <= 63
            or (header.ah != 0 and header.al != header.ah - 1)
            or header.al > 13
        ):
            raise FormatError(
                f"invalid progressive scan: Ss={header.ss} Se={header.se} Ah={header.ah} Al={header.al}"
            )
        without_dc = header.ss > 0 and self.sent[header.components[0], 0] < 0
        if without_dc or not (np.maximum(sent, 0) == header.ah).all():
            self._hold(f"scan {len(self.scans) + 1} does not continue the scans before it")
        self.sent[list(header.components), header.ss : header.se + 1] = header.al
        if header.ss == 0:
            return entropy_decode.DC_REFINE if header.ah else entropy_decode.DC_FIRST
        return entropy_decode.AC_REFINE if header.ah else entropy_decode.AC_FIRST

    def _latch_quantisers(self, header: ScanHeader) -> None:
        """Store each component's quantisation table at its first scan, as libjpeg does."""
        for index in header.components:
            table = self.file.quantisers.get(self.frame.components[index].tq)
            if index not in self.qtables:
                if table is None:
                    raise FormatError("a component without a quantisation table")
                self.qtables[index] = table.copy()
            elif table is None or not np.array_equal(table, self.qtables[index]):
                # T.81 B.2.4.1 forbids it, and decoders differ in the table that they use
                self._hold("a quantisation table changes between the scans of its component")

    def _tables(
        self, scan: markers.ScanParameters, mode: int
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Build the Huffman tables of a scan: row 2 i for DC and 2 i + 1 for AC of its i-th component."""
        needs = {
            entropy_decode.SEQUENTIAL: (True, True),
            entropy_decode.DC_FIRST: (True, False),
            entropy_decode.DC_REFINE: (False, False),
        }.get(mode, (False, True))
        values = mode != entropy_decode.AC_REFINE
        unused = HuffmanTable((0,) * 16, b"")
        rows = []
        for component in scan.components:
            for table_class, slot in enumerate((component.td, component.ta)):
                table = self.file.huffman.get((table_class, slot)) if needs[table_class] else unused
                if table is None:
                    raise FormatError(f"{('DC', 'AC')[table_class]} Huffman table {slot} is not defined")
                rows.append((table, table_class == 0, values))
        return build_tables(rows)

    def _layout(self, header: ScanHeader) -> tuple[list[tuple[int, int, int, int, int, int, int]], int, int]:
        """Return the components as ``mcu_blocks`` takes them, and the rows and columns of MCUs (T.81 A.2)."""
        single = len(header.components) == 1
        layout = []
        for i, index in enumerate(header.components):
            component = self.frame.components[index]
            v, h = (1, 1) if single else (component.v, component.h)
            layout.append((v, h, *self.blocks[index], self.offsets[index], 2 * i, 2 * i + 1))
        if single:
            return layout, *self.blocks[header.components[0]]
        count = sum(v * h for v, h, *_ in layout)
        if count > 10:
            raise FormatError(f"an MCU of {count} blocks; T.81 allows 10")
        return layout, self.mcu_rows, -(-self.frame.width // (8 * self.h_max))

    def _check_enough(self, header: ScanHeader, mode: int, size: int, remaining: int) -> None:
        """Refuse a scan of a large picture if its data has fewer bits than the blocks need.

        Each block needs at least one bit in a DC scan, and two in a sequential scan (one per code). ``size``
        is the bytes of the scan's data, ``remaining`` the bytes from the start of that data to the file's
        end.
        """
        if mode in (entropy_decode.AC_FIRST, entropy_decode.AC_REFINE):
            return  # an end-of-band run codes up to 32767 blocks, so no such bound exists
        if self.offsets[-1] <= _UNFILLED_BLOCKS:
            return
        least = 2 if mode == entropy_decode.SEQUENTIAL else 1
        needed = least * sum(self.blocks[c][0] * self.blocks[c][1] for c in header.components)
        available = 8 * size
        if self.coefficients is None and 8 * remaining * needed < available * least * self.offsets[-1]:
            # The scans of the other components follow, so the whole picture has a bound too.
            needed, available = least * self.offsets[-1], 8 * remaining
        if available < needed:
            read = available * self.mcu_rows // needed
            raise FormatError(f"truncated: at most {read} of {self.mcu_rows} MCU rows")

    def finish(self, eoi: bool) -> JpegImage:
        """Return the image; called after the last scan."""
        assert self.coefficients is not None
        concealed = [message for message in (self.shortfall, self.disorder) if message]
        if self.file.repair or not eoi:
            for message in concealed:
                self._damage(message)
        if not eoi and not self.all_sent() and not self.damaged:
            self._damage(
                f"truncated: {self.mcu_rows} of {self.mcu_rows} MCU rows of {len(self.scans)} scans;"
                " further scans and EOI are missing"
            )
        if not self.all_sent():
            self._hold("some coefficients are not sent in full")
        if colorspace(self.frame, self.file.segments) != self.colorspace:
            self._hold("a JFIF or Adobe segment after the first scan contradicts the colour space")
        components = []
        for index, component in enumerate(self.frame.components):
            table = self.qtables.get(index)
            if table is None:  # no scan has this component
                table = self.file.quantisers.get(component.tq, np.ones(64, np.uint16)).copy()
            blocks = self.coefficients[self.offsets[index] : self.offsets[index + 1]]
            shaped = blocks.reshape(*self.blocks[index], 64)
            components.append(Component(component.identifier, component.h, component.v, table, shaped))
        if not all(component.qtable.all() for component in components):
            self._hold("a quantisation table has a step of 0")
            self.usable = False
        if not self.file.repair:
            for message in reversed(concealed):
                self._hold(message)
        return JpegImage(
            width=self.frame.width,
            height=self.frame.height,
            components=components,
            colorspace=self.colorspace,
            sof=self.frame.sof,
            restart_interval=self.restart_interval,
            scans=self.scans,
            scan_bytes=self.scan_bytes,
            complete=(self.complete or self.damaged) and self.usable,
            eoi=eoi,
            mcu_rows_read=self.mcu_rows_read,
        )
