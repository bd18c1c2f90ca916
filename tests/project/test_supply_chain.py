"""At run time, guetzpy uses no network, starts no programs, and runs no code from files."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import numba
import pytest
from reference.jpeg_files import picture

import guetzpy

PACKAGE = Path(guetzpy.__file__).parent

#: Runs the functions on files; prints Python's audit events about networks, programs and pickles.
SCRIPT = """
import io, json, sys

sys.path.insert(0, sys.argv[1])
outside, unpickled = [], set()


def watch(event, arguments):
    if event.split(".")[0] in ("socket", "urllib", "http", "ftplib", "smtplib", "webbrowser", "subprocess"):
        outside.append(event)
    elif event in ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "pty.spawn"):
        outside.append(event)
    elif event == "pickle.find_class":
        frame = sys._getframe()
        loads = ("load", "kernel_cache.py")
        while frame and (frame.f_code.co_name, frame.f_code.co_filename.rpartition("/")[2]) != loads:
            frame = frame.f_back
        unpickled.add((arguments[0].split(".")[0], frame is not None))


sys.addaudithook(watch)

import numpy as np
from PIL import Image

import guetzpy
from guetzpy import metrics
from guetzpy.engine import inspect as inspection
from reference.jpeg_files import picture

codes = np.random.default_rng(0).integers(0, 256, (24, 31, 3)).astype(np.uint8)
for kind in ("PNG", "TIFF", "WEBP", "GIF", "BMP"):
    file = io.BytesIO()
    Image.fromarray(codes).save(file, kind)
    guetzpy.optimize(file.getvalue(), effort="fast")
data = picture(60, 50, quality=97)
guetzpy.optimize(data, distance=3.0)
guetzpy.transcode(data, strip="all")
inspection.inspect(data)
metrics.butteraugli(codes, codes[::-1].copy())
print(json.dumps([outside, sorted(unpickled)]))
"""


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled, nothing kept")
def test_no_network_no_program_no_pickle_but_the_cache() -> None:
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(Path(__file__).parents[1])]
    for _ in range(2):  # the first run may compile kernels
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        outside, unpickled = json.loads(done.stdout.splitlines()[-1])
        assert outside == []
        if unpickled:
            break
    assert all(from_cache for _, from_cache in unpickled), unpickled
    assert {module for module, _ in unpickled} <= {
        "builtins", "collections", "copyreg", "functools", "guetzpy", "llvmlite", "numba", "numpy",
        "operator", "types",
    }  # fmt: skip
    assert unpickled  # the audit hook works: kernels were loaded


def test_a_pickle_for_a_picture(tmp_path: Path) -> None:
    trap = b"cos\nsystem\n(S'touch %s'\ntR." % str(tmp_path / "pwned").encode()
    data = picture()
    guetzpy.optimize(data[:2] + b"\xff\xe5" + (len(trap) + 2).to_bytes(2, "big") + trap + data[2:])
    with pytest.raises(guetzpy.FormatError):
        guetzpy.optimize(trap)
    assert not (tmp_path / "pwned").exists()


#: Files that may import modules that run or load code.
ALLOWED = {
    "pickle": {"kernel_cache.py", "processes.py"},  # cache files with a digest; calls from the parent
    "marshal": set(),
    "ctypes": {"memory.py"},  # mallopt() of the C library, which is already loaded
    "socket": set(),
    "urllib.request": set(),
    "http": set(),
    "shelve": set(),
    "dill": set(),
}


def test_sources_import_nothing_that_runs_what_it_reads() -> None:
    for path in PACKAGE.rglob("*.py"):
        if path.parent.name == "integrations":  # these are run by web frameworks
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("eval", "exec", "compile", "__import__"), path
            for name in names:
                assert path.name in ALLOWED.get(name, {path.name}), (path, name)
