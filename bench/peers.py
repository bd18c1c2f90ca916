"""Other encoders, run live: those that install from PyPI or Debian, and those found on PATH.

A peer that is not installed is reported as missing; no other peer takes its place. An encoder
can be available in two forms: ``cjpegli`` on PATH or the ajpegli package; mozjpeg's ``cjpeg`` or the one in
pyvips' wheels. Their files differ by a few bytes only. Every result says which one ran.

    pip install ajpegli pyvips-binary pyvips imagecodecs pillow-heif mozjpeg-lossless-optimization
    apt install guetzli jpegoptim
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shutil import which

from bench import peer_encoders as encoders
from bench.peer_encoders import Picture, by_pillow, decode, repack_mozjpeg
from bench.provenance import package


@dataclass(frozen=True)
class Peer:
    """An encoder with all but one of its settings fixed.

    Attributes
    ----------
    kind, title : str
        Name of the encoder with its fixed settings, in results; its title in tables.
    settings : tuple of float
        Values of the setting that cover the useful range, in order of quality.
    encode, decode : callable
        ``encode(picture, setting)`` returns a file, ``decode(file)`` a picture.
    version : callable
        Returns the version that runs here as text, or None if it is missing.
    jpeg : bool
        Whether it writes JPEG files.
    slow : bool
        Whether it runs only if it is requested by name.
    """

    kind: str
    title: str
    settings: tuple[float, ...]
    encode: Callable[[Picture, float], bytes]
    version: Callable[[], str | None]
    decode: Callable[[bytes], Picture]
    jpeg: bool = True
    slow: bool = False


_FINE_444 = (0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6)

PEERS = {
    peer.kind: peer
    for peer in (
        Peer("jpegli444", "jpegli 4:4:4", _FINE_444, encoders.jpegli("444"), encoders.jpegli_version, decode),
        Peer(
            "jpegli420",
            "jpegli 4:2:0",
            (1, 1.4, 2, 2.8, 4, 5.6, 8),
            encoders.jpegli("420"),
            encoders.jpegli_version,
            decode,
        ),
        Peer(
            "moz444",
            "mozjpeg 4:4:4",
            (50, 65, 75, 82, 86, 90, 93, 96),
            encoders.mozjpeg("444"),
            encoders.mozjpeg_version,
            decode,
        ),
        Peer(
            "moz420",
            "mozjpeg 4:2:0",
            (30, 40, 50, 60, 70, 80, 85, 90),
            encoders.mozjpeg("420"),
            encoders.mozjpeg_version,
            decode,
        ),
        Peer(
            "turbo444",
            "libjpeg-turbo 4:4:4, progressive",
            (60, 75, 85, 90, 94, 97),
            encoders.turbo(0),
            encoders.turbo_version,
            decode,
        ),
        Peer(
            "turbo420",
            "libjpeg-turbo 4:2:0, progressive",
            (30, 45, 60, 75, 85, 90, 95),
            encoders.turbo(2),
            encoders.turbo_version,
            decode,
        ),
        Peer(
            "pillow",
            "Pillow's default",
            (30, 45, 60, 75, 85, 90, 95),
            lambda picture, quality: by_pillow(picture, "JPEG", quality=int(quality)),
            encoders.turbo_version,
            decode,
        ),
        Peer(
            "guetzli",
            "guetzli, repacked",
            (84, 90, 95),
            encoders.guetzli,
            encoders.guetzli_version,
            decode,
            slow=True,
        ),
        Peer(
            "webp",
            "WebP, method 6, sharp YUV",
            (20, 40, 60, 75, 85, 90, 95, 98),
            encoders.webp,
            encoders.webp_version,
            decode,
            jpeg=False,
        ),
        Peer(
            "avif",
            "AVIF 4:4:4, speed 4",
            (30, 45, 60, 70, 80, 88, 94),
            encoders.avif,
            encoders.avif_version,
            decode,
            jpeg=False,
        ),
        Peer(
            "jxl",
            "JPEG XL, effort 7",
            _FINE_444,
            encoders.jxl,
            encoders.jxl_version,
            encoders.jxl_decode,
            jpeg=False,
        ),
        Peer(
            "hevc",
            "HEVC intra 4:4:4 (x265)",
            (20, 30, 40, 50, 60, 70, 80, 90),
            encoders.hevc,
            encoders.hevc_version,
            encoders.hevc_decode,
            jpeg=False,
        ),
    )
}


def repack_jpegoptim(data: bytes) -> bytes:
    """Repack a JPEG without loss by jpegoptim; metadata is removed."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "file.jpg"
        path.write_bytes(data)
        command = ["jpegoptim", "--strip-all", "--all-progressive", "--quiet", str(path)]
        subprocess.run(command, capture_output=True, check=True, timeout=600)
        return path.read_bytes()


def _jpegoptim_version() -> str | None:
    if not which("jpegoptim"):
        return None
    said = subprocess.run(["jpegoptim", "--version"], capture_output=True, text=True).stdout
    found = re.search(r"v([\d.]+)", said)
    return f"jpegoptim {found.group(1) if found else ''}"


def _moz_lossless_version() -> str | None:
    found = package("mozjpeg-lossless-optimization")
    return f"mozjpeg-lossless-optimization {found}" if found else None


#: Lossless repackers: title -> (function from a file to a file, function that returns the version or None).
REPACKERS: dict[str, tuple[Callable[[bytes], bytes], Callable[[], str | None]]] = {
    "mozjpeg lossless": (repack_mozjpeg, _moz_lossless_version),
    "jpegoptim": (repack_jpegoptim, _jpegoptim_version),
}


def available(kinds: list[str] | None = None) -> tuple[dict[str, Peer], list[str]]:
    """Return the peers that are installed, and the titles of those that are missing.

    Parameters
    ----------
    kinds : list of str, optional
        Peers to consider; default: all but the slow ones.
    """
    unknown = sorted(set(kinds or ()) - set(PEERS))
    if unknown:
        raise SystemExit(f"unknown peers: {', '.join(unknown)}; known: {', '.join(PEERS)}")
    asked = [p for k, p in PEERS.items() if (k in kinds if kinds is not None else not p.slow)]
    here = {p.kind: p for p in asked if p.version()}
    return here, [p.title for p in asked if p.kind not in here]


def versions(peers: dict[str, Peer]) -> dict[str, str]:
    return {kind: str(peer.version()) for kind, peer in peers.items()}


def main(arguments: list[str] | None = None) -> None:
    """List the peers and the versions that run here."""
    parser = argparse.ArgumentParser(prog="python -m bench peers", description=main.__doc__)
    parser.parse_args(arguments)
    for peer in PEERS.values():
        print(f"{peer.kind:10} {peer.title:34} {peer.version() or 'missing'}")
    for title, (_, version) in REPACKERS.items():
        print(f"{'':10} {title:34} {version() or 'missing'}")


if __name__ == "__main__":
    main()
