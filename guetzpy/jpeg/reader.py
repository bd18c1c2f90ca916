"""Reading of baseline, extended and progressive Huffman files of 8 bits into coefficients (ITU-T T.81).

For files that deviate from the standard, the reference is libjpeg-turbo: a file that it decodes without a
warning yields the same coefficients here. libjpeg-turbo conceals missing data and lost restart markers with
a warning. Here, such damage raises :class:`FormatError` if the file also ends without EOI. If the file has
its EOI, it is decoded as libjpeg-turbo decodes it, but the image is marked as not ``complete``: callers copy
such a file and do not encode it anew. With ``repair``, the decoded coefficients of both kinds of files can
be written.
"""

from __future__ import annotations

from dataclasses import replace

from guetzpy.errors import FormatError, LimitError, UnsupportedError
from guetzpy.jpeg import markers
from guetzpy.jpeg.entropy.standard_tables import STANDARD_HUFFMAN_TABLES
from guetzpy.jpeg.metadata import exif, mpf
from guetzpy.jpeg.metadata.policy import exif_groups, kind_of
from guetzpy.jpeg.picture_reader import FileState, Limits, PictureReader
from guetzpy.jpeg.structure import JpegImage, Segment

__all__ = ["Limits", "read"]

_DEFAULT_LIMITS = Limits()


def read(data: bytes, *, limits: Limits = _DEFAULT_LIMITS, repair: bool = False) -> JpegImage:
    """Read a JPEG file into its coefficients.

    Parameters
    ----------
    data : bytes
        The whole file.
    limits : Limits
        Upper bounds of what the file may contain.
    repair : bool
        Accept a damaged file. Its coefficients are those that libjpeg-turbo decodes; blocks without data are
        zero. The image is then ``complete``, unless its coefficients or tables cannot be written.

    Returns
    -------
    JpegImage
        If the image is not ``complete``, the first of its ``warnings`` says why.

    Raises
    ------
    FormatError
        If the data is not a JPEG file, or is damaged and ``repair`` is false.
    UnsupportedError
        If the file is valid but uses a feature that is not supported; the message names the feature.
    LimitError
        If the file exceeds one of the limits.
    """
    return _Reader(FileState(bytes(data), limits, repair)).read()


class _Reader:
    """State of reading one file, marker by marker."""

    def __init__(self, state: FileState) -> None:
        self.state = state
        self.data, self.limits, self.repair = state.data, state.limits, state.repair
        self.segments, self.warnings = state.segments, state.warnings
        self.position = 2
        self.metadata = 0
        self.frame: markers.FrameHeader | None = None
        self.picture: PictureReader | None = None

    def read(self) -> JpegImage:
        if self.data[:2] != b"\xff\xd8":
            raise FormatError("not a JPEG file: it does not begin with FF D8")
        eoi = self._read_markers()
        if self.picture is None or not self.picture.scans:
            raise FormatError("no picture: the file ends before its first scan")
        self._check_directories()
        image = self.picture.finish(eoi)
        image.segments = self.segments
        image.warnings = self.warnings
        image.trailing = self.data[self.position :]
        return image

    def _check_directories(self) -> None:
        most = self.limits.max_directories
        structures = [
            b"".join(self.segments[i].payload[len(exif.HEADER) :] for i in group)
            for group in exif_groups(self.segments)
        ]
        if any(exif.count_directories(tiff, most + 1) > most for tiff in structures):
            raise LimitError(f"more than {most} EXIF directories: --max-directories (max_directories)")
        for segment in self.segments:
            index = mpf.read_index(segment.payload) if kind_of(segment) == "mpf" else None
            if index is not None and len(index.pictures) > most:
                raise LimitError(f"more than {most} MPF pictures: --max-directories (max_directories)")

    def _read_markers(self) -> bool:
        """Read the markers; return True at EOI, False if the file ends, or is abandoned, before EOI."""
        while True:
            found = markers.find_marker(self.data, self.position)
            if found is None:
                self.position = len(self.data)
                return False
            marker, begin, after = found
            if begin > self.position:
                self.warnings.append(f"{begin - self.position} bytes skipped before marker FF {marker:02X}")
            if marker == markers.EOI:
                self.position = after
                return True
            try:
                self._read_segment(marker, after)
            except FormatError as error:
                if self.picture is None or not self.picture.scans:
                    raise
                if self.picture.whole():
                    self.warnings.append(
                        f"EOI is missing; the data after the last scan counts as trailing data: {error}"
                    )
                elif self.repair:
                    self.picture.damaged = True
                    self.warnings.append(f"the rest of the file is ignored: {error}")
                else:
                    raise
                self.position = begin
                return False

    def _read_segment(self, marker: int, after: int) -> None:
        self.position = after
        if marker == markers.TEM or markers.RST0 <= marker <= markers.RST7:
            return
        if marker == markers.SOI:
            if self.frame is not None:
                raise FormatError("a second SOI marker within the picture")
            self.warnings.append("SOI marker repeated")
            self.state.restart_interval = 0
            return
        if marker in markers.UNSUPPORTED:
            raise UnsupportedError(f"{markers.UNSUPPORTED[marker]} is not supported")
        if marker < markers.SOF0 or 0xF0 <= marker < markers.COM:
            raise FormatError(f"unknown marker FF {marker:02X}")
        payload, self.position = markers.read_payload(self.data, after)
        if marker == markers.COM or marker >= markers.APP0:
            self.metadata += len(payload)
            if self.metadata > self.limits.max_metadata:
                raise LimitError(
                    f"more than {self.limits.max_metadata} bytes of metadata: --max-metadata (max_metadata)"
                )
            self.segments.append(Segment(marker, payload))
        elif marker == markers.DQT:
            self.state.quantisers.update(markers.parse_dqt(payload))
        elif marker == markers.DHT:
            for table_class, slot, table in markers.parse_dht(payload):
                self.state.huffman[table_class, slot] = table
        elif marker == markers.DRI:
            self.state.restart_interval = markers.parse_dri(payload)
        elif marker in (markers.SOF0, markers.SOF1, markers.SOF2):
            self._read_frame(marker, payload)
        elif marker == markers.SOS:
            self._read_scan(markers.parse_sos(payload))
        # DAC concerns arithmetic coding only; _find_height has read any DNL that is needed.

    def _read_frame(self, marker: int, payload: bytes) -> None:
        if self.frame is not None:
            raise FormatError("a second frame header")
        frame = markers.parse_sof(marker, payload)
        if frame.precision == 12:
            raise UnsupportedError("12-bit samples are not supported")
        if frame.precision != 8:
            raise FormatError(f"sample precision {frame.precision} is not allowed")
        if len(frame.components) not in (1, 3, 4):
            raise UnsupportedError(f"{len(frame.components)} components are not supported")
        self._check_pixels(frame)
        self.frame = frame

    def _check_pixels(self, frame: markers.FrameHeader) -> None:
        if frame.width * frame.height > self.limits.max_pixels:
            raise LimitError(
                f"{frame.width} x {frame.height} pixels are more than the limit of"
                f" {self.limits.max_pixels}: --max-pixels (max_pixels)"
            )

    def _read_scan(self, scan: markers.ScanParameters) -> None:
        if self.frame is None:
            raise FormatError("a scan without a frame header")
        if self.picture is None:
            if self.frame.height == 0:
                self.frame = replace(self.frame, height=self._find_height())
                self._check_pixels(self.frame)
            if self.frame.sof != markers.SOF2:  # as libjpeg does for Motion JPEG, which omits DHT
                self.state.huffman = STANDARD_HUFFMAN_TABLES | self.state.huffman
            self.picture = PictureReader(self.state, self.frame)
        self.position = self.picture.read_scan(scan, self.position)

    def _find_height(self) -> int:
        """Return the height from the DNL segment that follows the first scan (T.81 B.2.5)."""
        position = self.position
        while (found := markers.find_marker(self.data, position)) is not None:
            marker, _, position = found
            if marker == markers.DNL:
                return markers.parse_dnl(markers.read_payload(self.data, position)[0])
            if not markers.RST0 <= marker <= markers.RST7:
                break
        raise FormatError("height 0 without a DNL segment after the first scan")
