"""Small pictures and ICC profiles."""

from __future__ import annotations

import struct

import numpy as np

RNG = np.random.default_rng(11)
RGB = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
GRAY = RNG.integers(0, 256, (5, 7), dtype=np.uint8)

P3 = ((0.515121, 0.241196, -0.001053), (0.291977, 0.692245, 0.041885), (0.157104, 0.066574, 0.784073))
SRGB = ((0.436066, 0.222488, 0.013916), (0.385147, 0.716873, 0.097076), (0.143066, 0.060608, 0.714096))


def s15(*values):
    return b"".join(struct.pack(">i", round(v * 65536)) for v in values)


def para(kind, *values):
    return b"para" + bytes(4) + struct.pack(">HH", kind, 0) + s15(*values)


SRGB_PARA = para(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def profile(tags, space=b"RGB ", kind=b"mntr", pcs=b"XYZ "):
    """Return an ICC v4 profile with these tags, a map of signatures to contents."""
    tags = {
        b"desc": b"mluc" + bytes(4) + struct.pack(">II", 0, 12),
        b"wtpt": b"XYZ " + bytes(4) + s15(0.9642, 1, 0.8249),
        **tags,
    }
    table, data = b"", b""
    start = 132 + 12 * len(tags)
    for name, contents in tags.items():
        contents += bytes(-len(contents) % 4)
        table += name + struct.pack(">II", start + len(data), len(contents))
        data += contents
    body = struct.pack(">I", len(tags)) + table + data
    head = struct.pack(">I4sI4s4s4s", 128 + len(body), bytes(4), 0x04300000, kind, space, pcs)
    head += bytes(12) + b"acsp" + bytes(28) + s15(0.9642, 1, 0.8249)
    return head.ljust(128, b"\0") + body


def rgb_profile(columns=SRGB, curve=SRGB_PARA, **changes):
    names = (b"rXYZ", b"gXYZ", b"bXYZ")
    tags = {n: b"XYZ " + bytes(4) + s15(*c) for n, c in zip(names, columns, strict=True)}
    tags |= {n: curve for n in (b"rTRC", b"gTRC", b"bTRC")}
    return profile(tags, **changes)


def table_profile():
    """Return a profile whose A2B0 (lut8Type, to Lab) maps all colours to shades of gray."""
    grid = np.mgrid[0:2, 0:2, 0:2].reshape(3, -1).T
    lab = np.stack([grid.mean(axis=1) * 255, np.full(8, 128), np.full(8, 128)], axis=1)
    ramp = bytes(range(256)) * 3
    head = b"mft1" + bytes(4) + bytes([3, 3, 2, 0]) + s15(1, 0, 0, 0, 1, 0, 0, 0, 1)
    table = head + ramp + np.rint(lab).astype(np.uint8).tobytes() + ramp
    return profile({b"A2B0": table}, pcs=b"Lab ")


def planes(array):
    return np.ascontiguousarray(np.moveaxis(np.atleast_3d(array), 2, 0))
