"""Encoders and decoders of other projects, as functions, and the versions that are installed here."""

from __future__ import annotations

import io
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, features

from bench.provenance import package

Picture = npt.NDArray[np.uint8]  # (height, width, 3)


def decode(data: bytes) -> Picture:
    """Decode a file by Pillow; JPEG files by libjpeg-turbo with default settings."""
    with Image.open(io.BytesIO(data)) as image:
        return np.array(image.convert("RGB"))


def by_pillow(picture: Picture, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, form, **options)
    return file.getvalue()


def turbo(subsampling: int) -> Callable[[Picture, float], bytes]:
    return lambda picture, quality: by_pillow(
        picture, "JPEG", quality=int(quality), subsampling=subsampling, optimize=True, progressive=True
    )


def turbo_version() -> str:
    return f"Pillow {package('pillow')}, libjpeg-turbo {features.version('libjpeg_turbo')}"


def jpegli(subsampling: str) -> Callable[[Picture, float], bytes]:
    def encode(picture: Picture, distance: float) -> bytes:
        if which("cjpegli"):
            arguments = ["-d", f"{distance:g}", "-p", "2", f"--chroma_subsampling={subsampling}"]
            return by_program(picture, ["cjpegli", "{in}", "{out}", *arguments])
        import ajpegli

        return ajpegli.encode(picture, distance=distance, subsampling=subsampling, progressive=2)

    return encode


@cache
def jpegli_version() -> str | None:
    if which("cjpegli"):
        return "cjpegli on PATH"
    found = package("ajpegli")
    if found is None:
        return None
    import ajpegli

    return f"ajpegli {found} (jpegli {str(ajpegli.jpegli_commit())[:8]})"


def mozjpeg(subsampling: str) -> Callable[[Picture, float], bytes]:
    def encode(picture: Picture, quality: float) -> bytes:
        if mozjpeg_program():
            sample = {"444": "1x1", "420": "2x2"}[subsampling]
            command = ["cjpeg", "-quality", f"{quality:g}", "-sample", sample, "-outfile", "{out}", "{in}"]
            return by_program(picture, command)
        data: bytes = vips_image(picture).jpegsave_buffer(
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


def vips_image(picture: Picture) -> Any:
    import pyvips

    return pyvips.Image.new_from_array(picture)


@cache
def mozjpeg_program() -> str | None:
    """Return the version of ``cjpeg`` if it is mozjpeg's, not libjpeg-turbo's."""
    if not which("cjpeg"):
        return None
    done = subprocess.run(["cjpeg", "-version"], capture_output=True, text=True)
    said = (done.stdout + done.stderr).strip().splitlines()
    return said[0] if said and "mozjpeg" in said[0].lower() else None


@cache
def mozjpeg_version() -> str | None:
    found = mozjpeg_program()
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


def guetzli(picture: Picture, quality: float) -> bytes:
    command = ["guetzli", "--nomemlimit", "--quality", f"{quality:g}", "{in}", "{out}"]
    data = by_program(picture, command, suffix=".png", timeout=7200)
    return repack_mozjpeg(data) if package("mozjpeg-lossless-optimization") else data


@cache
def guetzli_version() -> str | None:
    if not which("guetzli"):
        return None
    repacked = package("mozjpeg-lossless-optimization")
    then = f", repacked by mozjpeg-lossless-optimization {repacked}" if repacked else ""
    return f"guetzli{debian('guetzli')}{then}"


def debian(name: str) -> str:
    if not which("dpkg-query"):
        return ""
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", name], capture_output=True, text=True)
    return f" {done.stdout.strip()} (Debian)" if done.returncode == 0 and done.stdout.strip() else ""


def webp(picture: Picture, quality: float) -> bytes:
    return by_pillow(picture, "WEBP", quality=int(quality), method=6, use_sharp_yuv=True)


def webp_version() -> str | None:
    return (
        f"Pillow {package('pillow')}, libwebp {features.version('webp')}" if features.check("webp") else None
    )


def avif(picture: Picture, quality: float) -> bytes:
    return by_pillow(picture, "AVIF", quality=int(quality), subsampling="4:4:4", speed=4)


def avif_version() -> str | None:
    return (
        f"Pillow {package('pillow')}, libavif {features.version('avif')}" if features.check("avif") else None
    )


def jxl(picture: Picture, distance: float) -> bytes:
    import imagecodecs

    return bytes(imagecodecs.jpegxl_encode(picture, distance=distance, effort=7, numthreads=1))


def jxl_decode(data: bytes) -> Picture:
    import imagecodecs

    return np.ascontiguousarray(imagecodecs.jpegxl_decode(data), dtype=np.uint8)


@cache
def jxl_version() -> str | None:
    try:
        import imagecodecs
    except ImportError:
        return None
    if not imagecodecs.JPEGXL.available:
        return None
    return f"imagecodecs {package('imagecodecs')}, {imagecodecs.jpegxl_version()}"


def hevc(picture: Picture, quality: float) -> bytes:
    import pillow_heif

    file = io.BytesIO()
    found = pillow_heif.from_bytes("RGB", (picture.shape[1], picture.shape[0]), picture.tobytes())
    found.save(file, quality=int(quality), chroma=444, matrix_coefficients=1)
    return file.getvalue()


def hevc_decode(data: bytes) -> Picture:
    import pillow_heif

    found = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=True)
    return np.ascontiguousarray(np.asarray(found)[..., :3])


@cache
def hevc_version() -> str | None:
    try:
        import pillow_heif
    except ImportError:
        return None
    return f"pillow-heif {package('pillow-heif')}, {pillow_heif.libheif_info()['HEIF']}"


def by_program(picture: Picture, command: list[str], suffix: str = ".ppm", timeout: float = 600) -> bytes:
    """Run an encoder on a file; ``{in}`` and ``{out}`` in the command are replaced by paths."""
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name) / f"in{suffix}", Path(name) / "out.jpg"
        Image.fromarray(picture).save(source)
        paths = {"{in}": str(source), "{out}": str(target)}
        done = subprocess.run([paths.get(c, c) for c in command], capture_output=True, timeout=timeout)
        if done.returncode != 0 or not target.exists():
            raise RuntimeError(f"{command[0]}: {done.stderr.decode(errors='replace').strip()[-400:]}")
        return target.read_bytes()


def repack_mozjpeg(data: bytes) -> bytes:
    """Repack a JPEG without loss by mozjpeg's transcoder from PyPI; metadata is removed."""
    import mozjpeg_lossless_optimization

    return bytes(mozjpeg_lossless_optimization.optimize(data))
