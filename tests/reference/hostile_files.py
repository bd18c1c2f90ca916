"""Helpers of the tests of hostile files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from fuzz import mutation
from hypothesis import strategies as st
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

SEEDS = mutation.seeds()


def shown(data: bytes) -> np.ndarray:
    with JpegImageFile(io.BytesIO(data)) as opened:
        return np.asarray(opened)


# Options and pictures


@st.composite
def pictures(draw: st.DrawFn) -> tuple[Any, int | None]:
    """Return a tiny picture of any kind, and the size of the file if it is a JPEG."""
    width, height = draw(st.integers(1, 21)), draw(st.integers(1, 21))
    flat = draw(st.booleans())
    random_ = np.random.default_rng(draw(st.integers(0, 99)))
    high = 1 if flat else 256
    kind = draw(
        st.sampled_from(["rgb", "gray", "deep", "float", "pil", "png", "jpeg", "progressive", "cmyk"])
    )
    codes = random_.integers(0, high, (height, width, 3)).astype(np.uint8)
    if kind == "gray":
        return codes[..., 0].copy(), None
    if kind == "deep":
        return codes.astype(np.uint16) * 257, None
    if kind == "float":
        return codes.astype(np.float32) / 255, None
    if kind == "rgb":
        return codes, None
    image = Image.fromarray(codes)
    if kind == "pil":
        return image, None
    if kind == "cmyk":
        image = image.convert("CMYK")
    buffer = io.BytesIO()
    if kind == "png":
        image.save(buffer, "PNG")
        return buffer.getvalue(), None
    image.save(buffer, "JPEG", quality=draw(st.integers(30, 100)), progressive=kind == "progressive")
    return buffer.getvalue(), len(buffer.getvalue())


def memory(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise AssertionError(name)
