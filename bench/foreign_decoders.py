"""Whether other decoders show a file and its transcoded file as the same picture.

    python -m bench.foreign_decoders PATH...               pictures before and after, bit for bit
    python -m bench.foreign_decoders --searched PATH...    searched 4:4:4 files: difference to Pillow

Decoders: Pillow (libjpeg-turbo), ffmpeg, ImageMagick, Java ImageIO, Chromium, jpeg-js (Node), Go's
image/jpeg. All but jpeg-js are Debian packages (ffmpeg, imagemagick, default-jdk-headless, chromium,
nodejs, golang-go). For jpeg-js run ``npm install jpeg-js`` and set NODE_PATH to its node_modules. The output
names decoders that are missing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL.JpegImagePlugin import JpegImageFile

from guetzpy.errors import GuetzpyError
from guetzpy.jpeg.transcode import transcode_bytes

HERE = Path(__file__).resolve().parent / "decoders"

Picture = npt.NDArray[np.uint8]  # (height, width, channels)
Decode = Callable[[list[Path]], dict[Path, Picture]]


def by_pillow(paths: list[Path]) -> dict[Path, Picture]:
    """Decode with libjpeg-turbo."""
    found = {}
    for path in paths:
        try:
            with JpegImageFile(path) as picture:
                found[path] = np.atleast_3d(
                    np.asarray(picture.convert("RGB") if picture.mode == "L" else picture)
                )
        except OSError as error:
            print(f"Pillow: {path.name}: {error}", file=sys.stderr)
    return found


def by_ffmpeg(paths: list[Path]) -> dict[Path, Picture]:
    """Decode with ffmpeg's own decoder; its scaler converts to RGB with its most accurate options."""
    found = {}
    for path in paths:
        command = [
            "ffmpeg",
            "-v",
            "error",
            "-noautorotate",
            "-f",
            "jpeg_pipe",
            "-i",
            str(path),
            "-frames:v",
            "1",
        ]
        command += ["-sws_flags", "accurate_rnd+full_chroma_int+full_chroma_inp+bitexact"]
        command += ["-c:v", "ppm", "-pix_fmt", "rgb24", "-f", "image2pipe", "-"]
        picture = _ppm(_output(command))
        if picture is not None:
            found[path] = picture
    return found


def by_imagemagick(paths: list[Path]) -> dict[Path, Picture]:
    """Decode with ImageMagick (Debian's is linked to libjpeg-turbo, but reads the file by its own code)."""
    program = "magick" if shutil.which("magick") else "/usr/bin/convert"
    found = {}
    for path in paths:
        picture = _ppm(_output([program, f"{path}[0]", "-strip", "-depth", "8", "ppm:-"]))
        if picture is not None:
            found[path] = picture
    return found


def by_java(paths: list[Path]) -> dict[Path, Picture]:
    """Decode with Java's ImageIO."""
    return _by_program(["java", "-Xmx2g", str(HERE / "Decode.java")], paths)


def by_jpeg_js(paths: list[Path]) -> dict[Path, Picture]:
    """Decode with jpeg-js."""
    return _by_program(["node", "--max-old-space-size=4096", str(HERE / "decode.js")], paths)


def by_go(paths: list[Path]) -> dict[Path, Picture]:
    """Decode with Go's image/jpeg."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "decode"
        subprocess.run(["go", "build", "-o", str(program), str(HERE / "decode.go")], check=True)
        return _by_program([str(program)], paths)


def by_chromium(paths: list[Path]) -> dict[Path, Picture]:
    """Decode with Chromium, headless, from a page served on this machine."""
    found: dict[Path, Picture] = {}
    by_name = {path.name: path for path in paths}
    done = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/":
                self.answer((HERE / "decode.html").read_bytes(), "text/html")
            elif self.path == "/list":
                self.answer(json.dumps(list(by_name)).encode(), "application/json")
            else:
                path = by_name.get(self.path.removeprefix("/file/"))
                self.answer(path.read_bytes() if path else b"", "image/jpeg")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.answer(b"", "text/plain")
            if self.path == "/done":
                done.set()
            elif self.path.startswith("/raw/"):
                name, size = self.path.removeprefix("/raw/").split("?")
                width, height = map(int, size.split("x"))
                picture = np.frombuffer(body, np.uint8).reshape(height, width, 4)
                found[by_name[name]] = np.ascontiguousarray(picture[..., :3])

        def answer(self, body: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as profile:
        command = [_chromium() or "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
        command += [f"--user-data-dir={profile}", "--force-color-profile=srgb"]
        command += ["--remote-debugging-port=0", f"http://127.0.0.1:{server.server_port}/"]
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            done.wait(timeout=600)
        finally:
            browser.terminate()
            browser.wait()
            server.shutdown()
    return found


def _chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def _has_jpeg_js() -> bool:
    command = ["node", "-e", "require('jpeg-js')"]
    return shutil.which("node") is not None and subprocess.run(command, capture_output=True).returncode == 0


DECODERS: dict[str, tuple[Decode, Callable[[], bool]]] = {
    "Pillow": (by_pillow, lambda: True),
    "ffmpeg": (by_ffmpeg, lambda: shutil.which("ffmpeg") is not None),
    "ImageMagick": (by_imagemagick, lambda: any(map(shutil.which, ("magick", "/usr/bin/convert")))),
    "Java ImageIO": (by_java, lambda: shutil.which("java") is not None),
    "Chromium": (by_chromium, lambda: _chromium() is not None),
    "jpeg-js": (by_jpeg_js, _has_jpeg_js),
    "Go image/jpeg": (by_go, lambda: shutil.which("go") is not None),
}


def _output(command: list[str]) -> bytes:
    return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=300).stdout


def _ppm(data: bytes) -> Picture | None:
    """Read binary PPM or PGM of 8 bits."""
    fields = data.split(maxsplit=4)[:4]
    if len(fields) < 4 or fields[0] not in (b"P6", b"P5") or fields[3] != b"255":
        return None
    width, height, channels = int(fields[1]), int(fields[2]), 3 if fields[0] == b"P6" else 1
    samples = np.frombuffer(data[-width * height * channels :], np.uint8).reshape(height, width, channels)
    return np.repeat(samples, 3, axis=2) if channels == 1 else samples


def _by_program(command: list[str], paths: list[Path]) -> dict[Path, Picture]:
    """Run a program that writes FILE.raw beside each file."""
    subprocess.run([*command, *map(str, paths)], capture_output=True, timeout=1800)
    found = {}
    for path in paths:
        raw = path.with_name(path.name + ".raw")
        if raw.exists():
            head, samples = raw.read_bytes().split(b"\n", 1)
            width, height, channels = map(int, head.split())
            found[path] = np.frombuffer(samples, np.uint8).reshape(height, width, channels)
            raw.unlink()
    return found


@dataclass
class Row:
    """Results of one decoder."""

    decoder: str
    same: int = 0
    different: list[str] = field(default_factory=list)
    only_before: list[str] = field(default_factory=list)
    only_after: list[str] = field(default_factory=list)
    neither: int = 0


def compare_lossless(pairs: list[tuple[str, Path, Path]], batch: int = 24) -> Iterator[Row]:
    """Let each decoder decode both files of each pair, and compare the two pictures."""
    for name, (decode, present) in DECODERS.items():
        if not present():
            print(f"missing: {name}", file=sys.stderr)
            continue
        row = Row(name)
        for start in range(0, len(pairs), batch):
            part = pairs[start : start + batch]
            pictures = decode([path for _, before, after in part for path in (before, after)])
            for title, before, after in part:
                a, b = pictures.get(before), pictures.get(after)
                if a is None and b is None:
                    row.neither += 1
                elif b is None:
                    row.only_before.append(title)
                elif a is None:
                    row.only_after.append(title)
                elif np.array_equal(a, b):
                    row.same += 1
                else:
                    row.different.append(title)
        yield row


def transcoded(paths: list[Path], folder: Path) -> list[tuple[str, Path, Path]]:
    """Write pairs of files with plain names: before and after transcoding."""
    pairs = []
    for number, path in enumerate(paths):
        data = path.read_bytes()
        try:
            result = transcode_bytes(data)
        except GuetzpyError:
            continue
        if result.status == "lossless":
            before, after = folder / f"{number}_before.jpg", folder / f"{number}_after.jpg"
            before.write_bytes(data)
            after.write_bytes(result.data)
            pairs.append((path.name, before, after))
    return pairs


def searched(paths: list[Path], folder: Path, distance: float) -> list[Path]:
    """Encode files by guetzpy's search in 4:4:4, write them to ``folder``, and return their paths."""
    import guetzpy

    found = []
    for number, path in enumerate(paths):
        after = folder / f"{number}_searched.jpg"
        after.write_bytes(guetzpy.optimize(path, distance=distance, subsampling="444").data)
        found.append(after)
    return found


def files(arguments: list[Path], limit: int) -> list[Path]:
    """Return the given files and those in the given folders: at most ``limit``, at equal intervals."""
    found = [p for a in arguments for p in (sorted(a.rglob("*")) if a.is_dir() else [a]) if p.is_file()]
    return found if len(found) <= limit else [found[i * len(found) // limit] for i in range(limit)]


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    parser.add_argument("--searched", action="store_true", help="search, and compare decoders with Pillow")
    parser.add_argument("--distance", type=float, default=1.0)
    parser.add_argument("--limit", type=int, default=60, help="largest number of files")
    options = parser.parse_args()
    if "NODE_PATH" not in os.environ:
        os.environ["NODE_PATH"] = str(HERE / "node_modules")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.searched:
            report_searched(searched(files(options.paths, options.limit), folder, options.distance))
        else:
            report_lossless(
                transcoded([p for p in files(options.paths, options.limit) if _is_jpeg(p)], folder)
            )


def _is_jpeg(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(3) == b"\xff\xd8\xff"


def report_lossless(pairs: list[tuple[str, Path, Path]]) -> None:
    """Print how many transcoded files each decoder shows as the same picture as the original file."""
    print(f"{len(pairs)} transcoded files\n")
    print("| decoder | bit-identical | different | fails on both | on the new one | on the old one |")
    print("|---|---|---|---|---|---|")
    rows = list(compare_lossless(pairs))
    for row in rows:
        counts = len(row.different), row.neither, len(row.only_before), len(row.only_after)
        print(f"| {row.decoder} | {row.same} | {' | '.join(map(str, counts))} |")
    for row in rows:
        for what in ("different", "only_before", "only_after"):
            for title in getattr(row, what):
                print(f"{row.decoder}: {what.replace('_', ' ')}: {title}")


def report_searched(paths: list[Path]) -> None:
    """Print the difference of each decoder's pictures from Pillow's."""
    expected = by_pillow(paths)
    print(f"{len(paths)} searched files, 4:4:4\n")
    print("| decoder | decoded | mean difference to Pillow | of the worst file | largest difference |")
    print("|---|---|---|---|---|")
    for name, (decode, present) in DECODERS.items():
        if not present():
            print(f"missing: {name}", file=sys.stderr)
            continue
        pictures = decode(paths)
        differences = [
            np.abs(pictures[p].astype(int) - expected[p].astype(int)) for p in paths if p in pictures
        ]
        means = [float(d.mean()) for d in differences]
        largest = max((int(d.max()) for d in differences), default=0)
        mean, worst = sum(means) / max(len(means), 1), max(means, default=0.0)
        print(f"| {name} | {len(pictures)} | {mean:.3f} | {worst:.3f} | {largest} |")


if __name__ == "__main__":
    main()
