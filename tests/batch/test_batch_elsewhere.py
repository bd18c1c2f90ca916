"""Runs beyond this machine: URLs, an S3-compatible server, a Dask cluster that loses a worker."""

from __future__ import annotations

import io
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from guetzpy import batch
from guetzpy.batch import cluster, storage, worker
from guetzpy.batch.worker import Done
from guetzpy.cli import app
from guetzpy.errors import GuetzpyError, LimitError
from guetzpy.options import OptimizeOptions, TranscodeOptions

pytestmark = [pytest.mark.integrations, pytest.mark.filterwarnings("ignore")]

fsspec = pytest.importorskip("fsspec")


def jpeg(seed: int) -> bytes:
    stream = io.BytesIO()
    y, x = np.mgrid[0:48, 0:64]
    noise = np.random.default_rng(seed).normal(0, 6, (48, 64, 1))
    picture = noise + np.stack([2 * x + y, 60 + 40 * np.sin(x / (3 + seed)) + y, 200 - 2 * x], axis=-1)
    Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(stream, "JPEG", quality=97)
    return stream.getvalue()


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def below(system: Any, place: str) -> dict[str, bytes]:
    base = system._strip_protocol(place)
    return {name[len(base) :].lstrip("/"): system.cat_file(name) for name in system.find(place)}


NAMES = ["a.jpg", "sub/b.JPG", "sub/deep/c.jpg"]


def test_memory_to_memory_and_resume(memory: Any, state: Path) -> None:
    for i, name in enumerate([*NAMES, ".hidden.jpg", ".git/d.jpg"]):
        memory.pipe_file(f"/in/{name}", jpeg(i))
    memory.pipe_file("/in/notes.txt", b"words, many words")
    run = batch.run("memory://in", "memory://out", TranscodeOptions())
    results = {result.input: result for result in run}
    assert [other.relative for other in run.others] == ["notes.txt"]
    assert {result.status for result in results.values()} == {"lossless"}
    assert sorted(below(memory, "/out")) == NAMES
    sizes = {name: len(data) for name, data in below(memory, "/out").items()}
    assert sizes == {name: results[f"memory://in/{name}"].bytes_after for name in NAMES}
    assert list((state / "guetzpy").glob("*.sqlite")) == [run.manifest]

    memory.rm_file("/out/a.jpg")
    memory.pipe_file("/in/sub/b.JPG", jpeg(7))
    again = batch.run("memory://in", "memory://out", TranscodeOptions(), resume=True)
    assert sorted(task.relative for task in again.tasks) == ["a.jpg", "sub/b.JPG"]
    list(again)
    assert sorted(below(memory, "/out")) == NAMES


def test_folder_to_memory_and_back(memory: Any, tmp_path: Path) -> None:
    for i, name in enumerate(NAMES):
        storage.write(str(tmp_path / "in" / name), jpeg(i))
    list(batch.run(tmp_path / "in", "memory://bucket/deep", TranscodeOptions()))
    list(batch.run("memory://bucket/deep", tmp_path / "out", TranscodeOptions()))
    kept = below(memory, "/bucket/deep")
    assert {name: (tmp_path / "out" / name).read_bytes() for name in NAMES} == kept


def test_in_place_with_backup(memory: Any) -> None:
    originals = {}
    for i, name in enumerate(NAMES):
        originals[name] = jpeg(i)
        memory.pipe_file(f"/in/{name}", originals[name])
    list(batch.run("memory://in", options=TranscodeOptions(), in_place=True, backup="memory://kept"))
    assert below(memory, "/kept") == originals
    done = below(memory, "/in")
    assert all(len(done[name]) < len(originals[name]) for name in NAMES)
    again = batch.run("memory://in", options=TranscodeOptions(), in_place=True, resume=True)
    assert len(again) == 0
    again.close()


def test_outputs_beside_urls(memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PNG gets another extension. Nothing is written to a local folder named like the URL."""
    monkeypatch.chdir(tmp_path)
    stream = io.BytesIO()
    Image.open(io.BytesIO(jpeg(1))).save(stream, "PNG")
    memory.pipe_file("/in/sub/c.png", stream.getvalue())
    memory.pipe_file("/in/b.jpg", jpeg(2))
    results = list(batch.run("memory://in", options=OptimizeOptions(effort="fast"), suffix="-small"))
    names = {"memory://in/sub/c-small.jpg", "memory://in/b-small.jpg"}
    assert {result.output for result in results} == names
    assert sorted(below(memory, "/in")) == ["b-small.jpg", "b.jpg", "sub/c-small.jpg", "sub/c.png"]
    assert not [path for path in tmp_path.iterdir() if path.name != "state"]


@pytest.mark.parametrize("name", ["memory://in", "memory://in/a.jpg", "nowhere://in/a.jpg", "file:///none"])
def test_a_url_that_does_not_exist_is_named(name: str, memory: Any, tmp_path: Path) -> None:
    with pytest.raises((FileNotFoundError, ValueError)) as caught:
        batch.run(name, tmp_path / "out", TranscodeOptions())
    done = CliRunner().invoke(app, ["transcode", name, "-r", "-o", str(tmp_path / "out")])
    assert done.exit_code in (1, 2)
    shown = name.removeprefix("file://")  # such a URL is taken as the path that it names
    assert (shown in str(caught.value), shown in done.stderr) == (True, True)


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no devices")
def test_devices_and_endless_answers_are_not_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match="not a regular file"):
        storage.read("file:///dev/zero")

    class Endless(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            return len(buffer)

    class Server:
        def info(self, path: str) -> dict[str, Any]:
            return {"name": path, "size": None, "type": "file"}

        def open(self, path: str, mode: str) -> Any:
            return Endless()

    monkeypatch.setattr(storage, "filesystem", lambda url, options=None: (Server(), url))
    with pytest.raises(LimitError, match="--max-input"):
        storage.read("http://localhost/endless", max_input=50_000_000)


def test_originals_kept_at_a_url_are_not_said_to_be_restorable(memory: Any) -> None:
    """No record is written for backups at URLs, so ``guetzpy restore`` would find none."""
    memory.pipe_file("/in/a.jpg", jpeg(1))
    command = ["transcode", "memory://in", "-r", "--in-place", "--backup", "memory://kept", "-j", "1"]
    done = CliRunner().invoke(app, command)
    assert (done.exit_code, "guetzpy restore" in done.stderr) == (0, False)
    assert sorted(below(memory, "/kept")) == ["a.jpg"]


def test_total_over_urls(memory: Any) -> None:
    for i, name in enumerate(NAMES):
        memory.pipe_file(f"/in/{name}", jpeg(i))
    run = batch.run("memory://in", "memory://out", OptimizeOptions(effort="fast"), total_bpp=2.5)
    list(run)
    total = sum(map(len, below(memory, "/out").values()))
    assert run.fit is not None
    assert (run.fit.total, run.fit.limit) == (total, int(2.5 * 3 * 48 * 64 / 8))
    assert total <= run.fit.limit


ODD = [
    "new\nline.jpg",
    "esc\x1b.jpg",
    "a::b.jpg",
    "q?x=1#f.jpg",
    "p%20q.jpg",
    "[1]*.jpg",
    "bad\udce9.jpg",
    "a.mpo",
]


def test_odd_names_in_a_store(memory: Any) -> None:
    for i, name in enumerate(ODD):
        memory.pipe_file(f"/in/{name}", jpeg(i))
    memory.pipe_file("/in/empty.jpg", b"")
    results = {
        result.input: result for result in batch.run("memory://in", "memory://out", TranscodeOptions())
    }
    assert sorted(below(memory, "/out")) == sorted(ODD)
    failed = {name: result.error for name, result in results.items() if result.status == "failed"}
    assert failed == {"memory://in/empty.jpg": "empty file"}
    again = batch.run("memory://in", "memory://out", TranscodeOptions(), resume=True)
    assert len(again.earlier) == len(ODD)
    again.close()


def test_object_that_cannot_be_read_fails_alone(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for i, name in enumerate(NAMES):
        memory.pipe_file(f"/in/{name}", jpeg(i))
    real = type(memory).cat_file

    def refuse(self: Any, path: str, *rest: Any, **more: Any) -> bytes:
        if path.endswith("b.JPG"):
            raise PermissionError("Access Denied")
        return bytes(real(self, path, *rest, **more))

    monkeypatch.setattr(type(memory), "cat_file", refuse)
    results = {
        result.input: result for result in batch.run("memory://in", "memory://out", TranscodeOptions())
    }
    assert results["memory://in/sub/b.JPG"].error == "Access Denied"
    assert [result.status for result in results.values()].count("lossless") == 2


def test_missing_extra_and_misnamed_objects(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    memory.pipe_file("/in/a.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    memory.pipe_file("/in/b.jpg", jpeg(1))
    (failed,) = [
        r for r in batch.run("memory://in", "memory://out", OptimizeOptions(effort="fast")) if r.error
    ]
    assert 'pip install "guetzpy[heic]"' in (failed.error or "")
    memory.pipe_file("/in/text.jpg", b"not yet drawn")
    names = [f"memory://in/{name}" for name in ("b.jpg", "text.jpg", "a.heic")]
    results = {r.input: r for r in batch.run(names, options=TranscodeOptions(), in_place=True)}
    assert [results[name].status for name in names] == ["lossless", "failed", "failed"]
    assert memory.cat_file("/in/text.jpg") == b"not yet drawn"
    with batch.run(names, options=TranscodeOptions(), in_place=True, jpeg_only=True) as run:
        assert (len(run.tasks), len(run.others)) == (1, 2)


def test_urls_of_this_machine_are_paths(tmp_path: Path) -> None:
    """The rules for links also apply to local files whose names are URLs."""
    for name in ("in/a.jpg", "outside/b.jpg"):
        storage.write(str(tmp_path / name), jpeg(1))
    (tmp_path / "in/link.jpg").symlink_to("../outside/b.jpg")
    for scheme in ("file", "local"):
        with batch.run(f"{scheme}://{tmp_path}/in", in_place=True, write=False) as run:
            assert [task.input for task in run.tasks] == [f"{tmp_path}/in/a.jpg"]


def test_manifest_is_a_local_file(memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    memory.pipe_file("/in/a.jpg", jpeg(1))
    with pytest.raises(ValueError, match="local file"):
        batch.run("memory://in", "memory://out", manifest="memory://out/m.sqlite")
    assert os.listdir(tmp_path) == []


def test_home_that_cannot_be_written_matters_only_with_resume(
    memory: Any, tmp_path: Path, state: Path
) -> None:
    state.write_bytes(b"a file, so that no folder can be made of it")
    memory.pipe_file("/in/a.jpg", jpeg(1))
    with pytest.raises(OSError):
        batch.run("memory://in", "memory://out", TranscodeOptions(), resume=True)
    (result,) = batch.run("memory://in", "memory://out", TranscodeOptions())
    assert result.status == "lossless"


def test_stores_without_whole_objects_are_written_by_renaming(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that fails leaves the old file. (fsspec's local files are used in place of SFTP.)"""
    url = f"local://{tmp_path}/x.jpg"
    storage.write(url, b"first")
    system, _ = storage.filesystem(url)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(system), "mv", full)
    with pytest.raises(OSError, match="No space"):
        storage.write(url, b"second")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("x.jpg", b"first")]


def test_unknown_scheme() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        batch.run("nonsense://a", "memory://out")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Start an S3-compatible server in this process; yield the options for fsspec."""
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(port=0)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server.start()
    host, port = server.get_host_and_port()
    options = {"client_kwargs": {"endpoint_url": f"http://{host}:{port}"}}
    system = fsspec.filesystem("s3", **options)
    system.mkdir("photos")
    yield system, options
    server.stop()


def test_s3_by_worker_processes(bucket: tuple[Any, dict[str, Any]]) -> None:
    system, options = bucket
    for i, name in enumerate(NAMES):
        system.pipe_file(f"photos/in/{name}", jpeg(i))
    wishes: dict[str, Any] = {"storage_options": options, "jobs": 2}
    results = list(batch.run("s3://photos/in", "s3://photos/out", TranscodeOptions(), **wishes))
    assert [result.error for result in results] == [None] * 3
    system.invalidate_cache()
    done = below(system, "photos/out")
    assert sorted(done) == NAMES
    assert all(np.array_equal(pixels(done[name]), pixels(jpeg(i))) for i, name in enumerate(NAMES))
    again = batch.run("s3://photos/in", "s3://photos/out", TranscodeOptions(), resume=True, **wishes)
    assert len(again) == 0
    again.close()


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def slow(task: Any, options: Any, delivery: Any) -> Done:
    """Process a file on the cluster, with a delay in which the worker can be killed."""
    time.sleep(0.2)
    return worker.process(task, options, delivery)


def test_dask_cluster_that_loses_a_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed")
    names = [f"{i:02}.jpg" for i in range(40)]
    for i, name in enumerate(names):
        storage.write(str(tmp_path / "in" / name), jpeg(i))
    monkeypatch.setattr("guetzpy.batch.pool.process", slow)
    here = os.path.dirname(__file__)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, preload=None
    ) as local:
        with distributed.Client(local.scheduler_address) as client:
            client.run(lambda: __import__("sys").path.insert(0, here))
            pids = client.run(os.getpid)
        with cluster.dask_executor(local.scheduler_address) as executor:
            results = []
            run = batch.run(tmp_path / "in", tmp_path / "out", TranscodeOptions(), executor=executor)
            for result in run:
                results.append(result)
                if len(results) == 5:
                    os.kill(next(iter(pids.values())), signal.SIGKILL)
    assert {result.error for result in results} == {None}
    assert {path.name for path in (tmp_path / "out").glob("*.jpg")} == set(names)
    expected = batch.run(tmp_path / "in", None, TranscodeOptions(), jobs=1)
    for result in expected:
        assert (tmp_path / "out" / Path(result.input or "").name).read_bytes() == result.data


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "_PATIENCE", 1)
    with (
        pytest.raises(GuetzpyError, match="no Dask scheduler answers"),
        cluster.dask_executor("tcp://127.0.0.1:9"),
    ):
        pass
