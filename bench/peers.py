"""Other encoders, run live: those that install from PyPI or Debian, and those found on PATH.

A peer that is not installed is reported as missing; no figures of another one replace it. An encoder
can be available in two forms: ``cjpegli`` on PATH or the ajpegli package; mozjpeg's ``cjpeg`` or the one in
pyvips' wheels. Their files differ by a few bytes only. Every result says which one ran.

    pip install ajpegli pyvips-binary pyvips imagecodecs pillow-heif mozjpeg-lossless-optimization
    apt install guetzli jpegoptim
"""

from __future__ import annotations

import argparse
import io
import re
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, features

from bench.provenance import package

Picture = npt.NDArray[np.uint8]  # (height, width, 3)


@dataclass(frozen=True)
class Peer:
    """An encoder with all but one of its settings fixed.

    Attributes
    ----------
    kind, title : str
        Name in tables; title.
    settings : tuple of float
        Values of the setting that cover the useful range, in order of quality.
    encode, decode : callable
        Picture and setting to bytes; bytes to picture.
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


def decode(data: bytes) -> Picture:
    """Decode a file by Pillow; JPEG files by libjpeg-turbo with default settings."""
    with Image.open(io.BytesIO(data)) as image:
        return np.array(image.convert("RGB"))


def by_pillow(picture: Picture, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, form, **options)
    return file.getvalue()


def _turbo(subsampling: int) -> Callable[[Picture, float], bytes]:
    return lambda picture, quality: by_pillow(
        picture, "JPEG", quality=int(quality), subsampling=subsampling, optimize=True, progressive=True
    )


def _turbo_version() -> str:
    return f"Pillow {package('pillow')}, libjpeg-turbo {features.version('libjpeg_turbo')}"


def _jpegli(subsampling: str) -> Callable[[Picture, float], bytes]:
    def encode(picture: Picture, distance: float) -> bytes:
        if which("cjpegli"):
            arguments = ["-d", f"{distance:g}", "-p", "2", f"--chroma_subsampling={subsampling}"]
            return _by_program(picture, ["cjpegli", "{in}", "{out}", *arguments])
        import ajpegli

        return ajpegli.encode(picture, distance=distance, subsampling=subsampling, progressive=2)

    return encode


@cache
def _jpegli_version() -> str | None:
    if which("cjpegli"):
        return "cjpegli on PATH"
    found = package("ajpegli")
    if found is None:
        return None
    import ajpegli

    return f"ajpegli {found} (jpegli {str(ajpegli.jpegli_commit())[:8]})"


def _mozjpeg(subsampling: str) -> Callable[[Picture, float], bytes]:
    def encode(picture: Picture, quality: float) -> bytes:
        if _mozjpeg_program():
            sample = {"444": "1x1", "420": "2x2"}[subsampling]
            command = ["cjpeg", "-quality", f"{quality:g}", "-sample", sample, "-outfile", "{out}", "{in}"]
            return _by_program(picture, command)
        data: bytes = _vips_image(picture).jpegsave_buffer(
            Q=int(quality),
            subsample_mode={"444": "off", "420": "on"}[subsampling],
            optimize_coding=True,
            interlace=True,
            trellis_quant=True,
            overshoot_deringing=True,
            optimize_scans=True,
            quant_table=3,
            keep="none",
        )
        return data

    return encode


def _vips_image(picture: Picture) -> Any:
    import pyvips

    return pyvips.Image.new_from_array(picture)


@cache
def _mozjpeg_program() -> str | None:
    """Return the version of ``cjpeg`` if it is mozjpeg's, not libjpeg-turbo's."""
    if not which("cjpeg"):
        return None
    done = subprocess.run(["cjpeg", "-version"], capture_output=True, text=True)
    said = (done.stdout + done.stderr).strip().splitlines()
    return said[0] if said and "mozjpeg" in said[0].lower() else None


@cache
def _mozjpeg_version() -> str | None:
    found = _mozjpeg_program()
    if found:
        return f"cjpeg on PATH: {found}"
    try:
        import pyvips
    except (ImportError, OSError):
        return None
    # libvips without mozjpeg ignores trellis_quant, which shows in the bytes.
    noise = np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8)
    image = pyvips.Image.new_from_array(noise)
    sizes = {len(image.jpegsave_buffer(Q=75, optimize_coding=True, trellis_quant=t)) for t in (False, True)}
    if len(sizes) == 1:
        return None
    numbers = ".".join(str(pyvips.version(i)) for i in range(3))
    return f"pyvips {package('pyvips')} (libvips {numbers} with mozjpeg)"


def _guetzli(picture: Picture, quality: float) -> bytes:
    command = ["guetzli", "--nomemlimit", "--quality", f"{quality:g}", "{in}", "{out}"]
    data = _by_program(picture, command, suffix=".png", timeout=7200)
    return repack_mozjpeg(data) if package("mozjpeg-lossless-optimization") else data


@cache
def _guetzli_version() -> str | None:
    if not which("guetzli"):
        return None
    repacked = package("mozjpeg-lossless-optimization")
    then = f", repacked by mozjpeg-lossless-optimization {repacked}" if repacked else ""
    return f"guetzli{_debian('guetzli')}{then}"


def _debian(name: str) -> str:
    if not which("dpkg-query"):
        return ""
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", name], capture_output=True, text=True)
    return f" {done.stdout.strip()} (Debian)" if done.returncode == 0 and done.stdout.strip() else ""


def _webp(picture: Picture, quality: float) -> bytes:
    return by_pillow(picture, "WEBP", quality=int(quality), method=6, use_sharp_yuv=True)


def _webp_version() -> str | None:
    return (
        f"Pillow {package('pillow')}, libwebp {features.version('webp')}" if features.check("webp") else None
    )


def _avif(picture: Picture, quality: float) -> bytes:
    return by_pillow(picture, "AVIF", quality=int(quality), subsampling="4:4:4", speed=4)


def _avif_version() -> str | None:
    return (
        f"Pillow {package('pillow')}, libavif {features.version('avif')}" if features.check("avif") else None
    )


def _jxl(picture: Picture, distance: float) -> bytes:
    import imagecodecs

    return bytes(imagecodecs.jpegxl_encode(picture, distance=distance, effort=7, numthreads=1))


def _jxl_decode(data: bytes) -> Picture:
    import imagecodecs

    return np.ascontiguousarray(imagecodecs.jpegxl_decode(data), dtype=np.uint8)


@cache
def _jxl_version() -> str | None:
    try:
        import imagecodecs
    except ImportError:
        return None
    if not imagecodecs.JPEGXL.available:
        return None
    return f"imagecodecs {package('imagecodecs')}, {imagecodecs.jpegxl_version()}"


def _hevc(picture: Picture, quality: float) -> bytes:
    import pillow_heif

    file = io.BytesIO()
    found = pillow_heif.from_bytes("RGB", (picture.shape[1], picture.shape[0]), picture.tobytes())
    found.save(file, quality=int(quality), chroma=444, matrix_coefficients=1)
    return file.getvalue()


def _hevc_decode(data: bytes) -> Picture:
    import pillow_heif

    found = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=True)
    return np.ascontiguousarray(np.asarray(found)[..., :3])


@cache
def _hevc_version() -> str | None:
    try:
        import pillow_heif
    except ImportError:
        return None
    return f"pillow-heif {package('pillow-heif')}, {pillow_heif.libheif_info()['HEIF']}"


def _by_program(picture: Picture, command: list[str], suffix: str = ".ppm", timeout: float = 600) -> bytes:
    """Run an encoder on a file; ``{in}`` and ``{out}`` in the command are replaced by paths."""
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name) / f"in{suffix}", Path(name) / "out.jpg"
        Image.fromarray(picture).save(source)
        paths = {"{in}": str(source), "{out}": str(target)}
        done = subprocess.run([paths.get(c, c) for c in command], capture_output=True, timeout=timeout)
        if done.returncode != 0 or not target.exists():
            raise RuntimeError(f"{command[0]}: {done.stderr.decode(errors='replace').strip()[-400:]}")
        return target.read_bytes()


_FINE_444 = (0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6)

PEERS = {
    peer.kind: peer
    for peer in (
        Peer("jpegli444", "jpegli 4:4:4", _FINE_444, _jpegli("444"), _jpegli_version, decode),
        Peer(
            "jpegli420", "jpegli 4:2:0", (1, 1.4, 2, 2.8, 4, 5.6, 8), _jpegli("420"), _jpegli_version, decode
        ),
        Peer(
            "moz444",
            "mozjpeg 4:4:4",
            (50, 65, 75, 82, 86, 90, 93, 96),
            _mozjpeg("444"),
            _mozjpeg_version,
            decode,
        ),
        Peer(
            "moz420",
            "mozjpeg 4:2:0",
            (30, 40, 50, 60, 70, 80, 85, 90),
            _mozjpeg("420"),
            _mozjpeg_version,
            decode,
        ),
        Peer(
            "turbo444",
            "libjpeg-turbo 4:4:4, progressive",
            (60, 75, 85, 90, 94, 97),
            _turbo(0),
            _turbo_version,
            decode,
        ),
        Peer(
            "turbo420",
            "libjpeg-turbo 4:2:0, progressive",
            (30, 45, 60, 75, 85, 90, 95),
            _turbo(2),
            _turbo_version,
            decode,
        ),
        Peer(
            "pillow",
            "Pillow's default",
            (30, 45, 60, 75, 85, 90, 95),
            lambda picture, quality: by_pillow(picture, "JPEG", quality=int(quality)),
            _turbo_version,
            decode,
        ),
        Peer("guetzli", "guetzli, repacked", (84, 90, 95), _guetzli, _guetzli_version, decode, slow=True),
        Peer(
            "webp",
            "WebP, method 6, sharp YUV",
            (20, 40, 60, 75, 85, 90, 95, 98),
            _webp,
            _webp_version,
            decode,
            jpeg=False,
        ),
        Peer(
            "avif",
            "AVIF 4:4:4, speed 4",
            (30, 45, 60, 70, 80, 88, 94),
            _avif,
            _avif_version,
            decode,
            jpeg=False,
        ),
        Peer("jxl", "JPEG XL, effort 7", _FINE_444, _jxl, _jxl_version, _jxl_decode, jpeg=False),
        Peer(
            "hevc",
            "HEVC intra 4:4:4 (x265)",
            (20, 30, 40, 50, 60, 70, 80, 90),
            _hevc,
            _hevc_version,
            _hevc_decode,
            jpeg=False,
        ),
    )
}


def repack_mozjpeg(data: bytes) -> bytes:
    """Repack a JPEG without loss by mozjpeg's transcoder from PyPI; metadata is removed."""
    import mozjpeg_lossless_optimization

    return bytes(mozjpeg_lossless_optimization.optimize(data))


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


#: Lossless repackers: title -> (bytes to bytes, version or None).
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
