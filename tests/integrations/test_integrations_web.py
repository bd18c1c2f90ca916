"""Integrations into web programs, each run by the program itself."""

from __future__ import annotations

import asyncio
import importlib.util
import io
import json
import logging
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import guetzpy
from guetzpy.batch import runner
from guetzpy.errors import CancelledError
from guetzpy.integrations import _uploads, pelican
from guetzpy.jpeg.reader import read
from guetzpy.jpeg.table_mark import marked_distance


@pytest.fixture(scope="module")
def photo(photo_array: np.ndarray) -> bytes:
    return jpeg_of(Image.fromarray(photo_array))


def jpeg_of(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=95, subsampling=0, comment=b"mine")
    return file.getvalue()


def is_ours(data: bytes) -> bool:
    return marked_distance(read(data)) is not None and b"mine" in data


# What they share


def test_smaller_or_the_same(photo: bytes, caplog: pytest.LogCaptureFixture) -> None:
    assert is_ours(_uploads.smaller(photo, effort="fast"))
    assert _uploads.smaller(b"GIF89a") == b"GIF89a"
    broken = photo[: len(photo) // 3]
    with caplog.at_level(logging.WARNING, "guetzpy"):
        assert _uploads.smaller(broken, "a.jpg") == broken
    assert "a.jpg: left as it is: truncated" in caplog.text
    with pytest.raises(ValueError, match="distance"):
        _uploads.smaller(photo, distance=-1)
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(CancelledError):
        _uploads.smaller(photo, cancel=cancel)


def test_files_are_replaced_only_by_smaller_ones(photo: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(photo)
    _uploads.shrink_file(path, effort="fast", distance=2.0)
    data, state = path.read_bytes(), path.stat()
    assert is_ours(data)
    assert len(data) < len(photo)
    _uploads.shrink_file(path, effort="fast", distance=2.0)
    assert path.read_bytes() == data
    assert path.stat().st_ino == state.st_ino  # the file is not written


@pytest.mark.parametrize("name", ["willow", "thumbor", "django", "nikola", "pelican"])
def test_modules_need_their_program_only_when_used(name: str) -> None:
    code = (
        f"import sys\nsys.modules[{name!r}] = None\nimport guetzpy.integrations.{name} as module\n"
        "assert module.__all__ and module.__doc__"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_thumbor_class_without_thumbor(photo: bytes) -> None:
    from guetzpy.integrations.thumbor import Optimizer

    optimizer = Optimizer(SimpleNamespace(config=SimpleNamespace(GUETZPY_OPTIONS={"distance": 2.0})))
    assert is_ours(optimizer.run_optimizer(".jpg", photo))
    assert optimizer.run_optimizer(".png", b"\x89PNG") == b"\x89PNG"
    assert optimizer.run_optimizer(".jpg", photo[:100]) == photo[:100]


def test_the_site_of_pelican_without_pelican(
    photo: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(runner, "Processes", lambda count, *_: runner.Threads(count))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    good, broken = tmp_path / "site/photo.jpg", tmp_path / "site/broken.jpg"
    good.parent.mkdir()
    good.write_bytes(photo)
    broken.write_bytes(photo[:500])
    settings = {"OUTPUT_PATH": str(good.parent), "GUETZPY_OPTIONS": {"distance": 2.0, "effort": "fast"}}
    with caplog.at_level(logging.WARNING, "guetzpy"):
        pelican._optimize(SimpleNamespace(settings=settings))
    assert is_ours(good.read_bytes())
    assert broken.read_bytes() == photo[:500]
    assert f"{broken}: left as it is: " in caplog.text


# The programs


def need(name: str) -> None:
    """Skip the test if a package is missing. It is not imported, since some packages need settings first."""
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")


WILLOW = """
import io, sys
try:  # where Django is installed, Willow asks its settings
    from django.conf import settings
    settings.configure(WILLOW_OPTIMIZERS=sys.argv[2], SECRET_KEY="x")
except ImportError:
    import os
    os.environ["WILLOW_OPTIMIZERS"] = sys.argv[2]
from willow.image import Image
from willow.registry import registry
from guetzpy.integrations import willow
from guetzpy.jpeg.reader import read
from guetzpy.jpeg.table_mark import marked_distance
registry._registered_optimizers.clear()  # those of other programs
willow.register()
willow.register()  # as reloaders do
image = Image.open(open(sys.argv[1], "rb")).resize((96, 72))
jpeg, png = io.BytesIO(), io.BytesIO()
image.save_as_jpeg(jpeg, quality=95)
image.save_as_png(png)
assert png.getvalue()[1:4] == b"PNG"
assert Image.open(jpeg).get_size() == (96, 72)
print(len(registry._registered_optimizers), marked_distance(read(jpeg.getvalue())) is not None)
"""


@pytest.mark.integrations
@pytest.mark.parametrize("enabled", ["guetzpy", "true", "jpegoptim", "false"])
def test_willow(photo: bytes, enabled: str, tmp_path: Path) -> None:
    need("willow")
    source = tmp_path / "a.jpg"
    source.write_bytes(photo)
    arguments = [sys.executable, "-c", WILLOW, str(source), enabled]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.stdout == ("1 True\n" if enabled in ("guetzpy", "true") else "0 False\n"), done.stderr


WAGTAIL = """
import io, sys
import django
from django.conf import settings

settings.configure(
    SECRET_KEY="x", USE_TZ=True, DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    INSTALLED_APPS=[
        "django.contrib.contenttypes", "django.contrib.auth", "taggit", "wagtail", "wagtail.images",
        "wagtail.search", "wagtail.users", "wagtail.admin",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    MEDIA_ROOT=sys.argv[1], WAGTAILIMAGES_JPEG_QUALITY=95, WILLOW_OPTIMIZERS=["guetzpy"],
    WAGTAIL_SITE_NAME="x", WAGTAILADMIN_BASE_URL="http://x", ROOT_URLCONF="",
    STATIC_URL="/static/", MEDIA_URL="/media/",
)
django.setup()
from guetzpy.integrations import willow
from guetzpy.jpeg.reader import read
from guetzpy.jpeg.table_mark import marked_distance
willow.register()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from django.core.files.images import ImageFile
from wagtail.images.models import Image
data = open(sys.argv[2], "rb").read()
image = Image.objects.create(title="a", file=ImageFile(io.BytesIO(data), name="a.jpg"))
rendition = image.get_rendition("width-64")
written = rendition.file.open().read()
assert marked_distance(read(written)) is not None, written[:100]
print("fine", rendition.width)
"""


@pytest.mark.integrations
def test_wagtail(photo: bytes, tmp_path: Path) -> None:
    need("wagtail")
    source = tmp_path / "a.jpg"
    source.write_bytes(photo)
    arguments = [sys.executable, "-c", WAGTAIL, str(tmp_path / "media"), str(source)]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.stdout == "fine 64\n", done.stderr


DJANGO = """
import io, sys
import django
from django.conf import settings
settings.configure(MEDIA_ROOT=sys.argv[1], USE_TZ=True, SECRET_KEY="x")
django.setup()
from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage
from django.core.files.uploadedfile import SimpleUploadedFile, TemporaryUploadedFile
from guetzpy.engine.inspect import inspect
from guetzpy.integrations.django import OptimizeMixin


class Recording(FileSystemStorage):
    def _save(self, name, content):
        self.kind = getattr(content, "content_type", None), getattr(content, "charset", None)
        return super()._save(name, content)


class MediaStorage(OptimizeMixin, Recording):
    guetzpy_options = {"distance": 2.0, "effort": "fast"}


class Pipe(io.RawIOBase):  # as a request's body is: no seek, and reads may be short
    def __init__(self, data):
        self.data = data

    def readable(self):
        return True

    def readinto(self, buffer):
        piece, self.data = self.data[:min(len(buffer), 1000)], self.data[min(len(buffer), 1000):]
        buffer[:len(piece)] = piece
        return len(piece)


class Text:
    def __init__(self, text):
        self.text = text

    def read(self, size=-1):
        piece, self.text = (self.text, "") if size < 0 else (self.text[:size], self.text[size:])
        return piece


storage = MediaStorage()
data = open(sys.argv[2], "rb").read()
large = TemporaryUploadedFile("c.jpg", "image/pjpeg", len(data), "latin-1")
large.write(data)
uploads = [
    SimpleUploadedFile("a.jpg", data, content_type="image/jpeg"), ContentFile(data, name="b.jpg"), large,
    io.BytesIO(data),
    ContentFile(b"text", name="d.txt"), ContentFile("words", name="e.txt"),
    ContentFile(data[:500], name="f.jpg"), ContentFile(b"", name="g.jpg"),
    File(Pipe(data), "h.jpg"), File(Pipe(b"t" * 5_000_000), "i.txt"), File(Text("w" * 99999), "j.txt"),
]
for upload in uploads:
    name = storage.save(getattr(upload, "name", None) or "x.jpg", upload)
    with storage.open(name) as stream:
        kept = stream.read()
    ours = kept.startswith(b"\\xff\\xd8") and len(kept) > 500 and inspect(kept)["mark"] == 2.0
    print(name, len(kept), ours, *storage.kind)
"""


@pytest.mark.integrations
def test_django_storage(photo: bytes, tmp_path: Path) -> None:
    need("django")
    source = tmp_path / "a.jpg"
    source.write_bytes(photo)
    arguments = [sys.executable, "-c", DJANGO, str(tmp_path / "media"), str(source)]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    rows = {name: (int(size), ours) for name, size, ours, *_ in lines}
    kinds = {name: tuple(kind) for name, _, _, *kind in lines}
    assert kinds["a.jpg"] == ("image/jpeg", "None")
    assert kinds["c.jpg"] == ("image/pjpeg", "latin-1")
    assert kinds["b.jpg"] == ("None", "None")
    for name in ("a.jpg", "b.jpg", "c.jpg", "x.jpg", "h.jpg"):
        assert rows[name][0] < len(photo)
        assert rows[name][1] == "True"
    assert [rows[n][0] for n in ("d.txt", "e.txt", "f.jpg", "g.jpg")] == [4, 5, 500, 0]
    assert [rows[n][0] for n in ("i.txt", "j.txt")] == [5_000_000, 99999]


@pytest.mark.integrations
def test_thumbor(photo: bytes, tmp_path: Path) -> None:
    need("thumbor")
    from thumbor.config import Config
    from thumbor.context import Context, ServerParameters
    from thumbor.handlers import BaseHandler
    from thumbor.importer import Importer

    conf = tmp_path / "thumbor.conf"
    conf.write_text(
        'OPTIMIZERS = ["guetzpy.integrations.thumbor"]\nGUETZPY_OPTIONS = {"distance": 2.0}\n'
        'SECURITY_KEY = "x"\nALLOW_UNSAFE_URL = True\n'
    )
    config = Config.load(str(conf))
    importer = Importer(config)
    importer.import_modules()
    server = ServerParameters(8888, "localhost", str(conf), None, "error", None)
    context = Context(server, config, importer)
    less = BaseHandler.optimize(None, context, ".jpg", photo)
    assert is_ours(less)
    assert len(less) < len(photo)
    assert BaseHandler.optimize(None, context, ".png", b"\x89PNG...") == b"\x89PNG..."


@pytest.mark.integrations
def test_thumbor_serves_smaller_files(photo: bytes, tmp_path: Path) -> None:
    need("thumbor")
    from thumbor.app import ThumborServiceApp
    from thumbor.config import Config
    from thumbor.context import Context, ServerParameters
    from thumbor.importer import Importer
    from tornado.httpclient import AsyncHTTPClient
    from tornado.httpserver import HTTPServer
    from tornado.testing import bind_unused_port

    (tmp_path / "a.jpg").write_bytes(photo)
    config = Config(
        OPTIMIZERS=["guetzpy.integrations.thumbor"], LOADER="thumbor.loaders.file_loader",
        FILE_LOADER_ROOT_PATH=str(tmp_path), STORAGE="thumbor.storages.no_storage", ALLOW_UNSAFE_URL=True,
        SECURITY_KEY="x", QUALITY=95,
    )  # fmt: skip

    async def fetch() -> bytes:
        importer = Importer(config)
        importer.import_modules()
        socket, port = bind_unused_port()
        context = Context(ServerParameters(port, "localhost", "", None, "error", None), config, importer)
        server = HTTPServer(ThumborServiceApp(context))
        server.add_socket(socket)
        try:
            answer = await AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}/unsafe/64x48/a.jpg")
        finally:
            server.stop()
        return bytes(answer.body)

    served = asyncio.run(fetch())
    assert marked_distance(read(served)) is not None
    assert Image.open(io.BytesIO(served)).size == (64, 48)


@pytest.mark.integrations
def test_nikola(photo: bytes, tmp_path: Path) -> None:
    """Nikola builds a site twice. The second build has nothing to do."""
    need("nikola")
    site = tmp_path / "site"

    def nikola(*arguments: str, where: Path) -> str:
        command = [sys.executable, "-m", "nikola", *arguments]
        done = subprocess.run(command, cwd=where, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    nikola("init", "-q", "site", where=tmp_path)
    with (site / "conf.py").open("a") as conf:
        conf.write(
            "\nfrom guetzpy.integrations.nikola import smaller_jpegs\n"
            'FILTERS = {".jpg": [smaller_jpegs(distance=2.0, effort="fast")]}\n'
        )
    (site / "files").mkdir(exist_ok=True)
    (site / "files" / "photo.jpg").write_bytes(photo)
    nikola("build", where=site)
    built = (site / "output" / "photo.jpg").read_bytes()
    assert is_ours(built)
    assert (site / "files" / "photo.jpg").read_bytes() == photo
    assert "copy_files:output/photo.jpg" not in [
        line for line in nikola("build", where=site).splitlines() if not line.startswith("-- ")
    ]


@pytest.mark.integrations
def test_pelican(photo: bytes, tmp_path: Path) -> None:
    need("pelican")
    content = tmp_path / "content"
    (content / "images").mkdir(parents=True)
    (content / "images" / "photo.jpg").write_bytes(photo)
    (content / "images" / "broken.jpg").write_bytes(photo[:500])
    (content / "a.md").write_text("Title: A\nDate: 2026-01-01\n\n![photo]({static}/images/photo.jpg)\n")
    (tmp_path / "pelicanconf.py").write_text(
        'PLUGINS = ["guetzpy.integrations.pelican"]\nGUETZPY_OPTIONS = {"distance": 2.0, "effort": "fast"}\n'
        'SITENAME = "x"\nTIMEZONE = "UTC"\nSTATIC_PATHS = ["images"]\n'
    )
    command = [sys.executable, "-m", "pelican", "content", "-o", "output", "-s", "pelicanconf.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert is_ours((tmp_path / "output" / "images" / "photo.jpg").read_bytes())
    assert (tmp_path / "output" / "images" / "broken.jpg").read_bytes() == photo[:500]
    assert (content / "images" / "photo.jpg").read_bytes() == photo
    assert "broken.jpg: left as it is" in done.stdout + done.stderr


@pytest.mark.integrations
def test_options_are_those_of_optimize(photo: bytes) -> None:
    """Settings are passed on unchanged, so a wrong name gives an error."""
    for wrong in ({"distanc": 1}, {"effort": "lazy"}):
        with pytest.raises((TypeError, ValueError)):
            _uploads.smaller(photo, **wrong)  # type: ignore[arg-type]
    assert json.dumps(guetzpy.optimize(photo, effort="fast").to_dict())
