"""Options as objects, results in memory, pictures of any kind in processes, and the metrics' background."""

from __future__ import annotations

import copy
import io
import json
import os
import pickle
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import guetzpy
from guetzpy import batch, metrics, notebook
from guetzpy._option import options_of
from guetzpy._runtime.processes import Worker
from guetzpy.batch.manifest import options_hash
from guetzpy.engine import stream
from guetzpy.options import METADATA_KINDS, OptimizeOptions, TranscodeOptions

FAST = OptimizeOptions(effort="fast")


@pytest.fixture(scope="module")
def small() -> np.ndarray:
    y, x = np.mgrid[0:40, 0:56]
    return np.stack([4 * x + y, 5 * y, 200 - 3 * x], axis=-1).astype(np.uint8)


def jpeg(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "JPEG", quality=96)
    return stream.getvalue()


def test_options_by_position(small: np.ndarray) -> None:
    options = OptimizeOptions(distance=2.0, effort="fast")
    first = guetzpy.optimize(small, options)
    assert first.data == guetzpy.optimize(small, options=options).data
    assert first.target == {"distance": 2.0}
    assert guetzpy.transcode(jpeg(small), TranscodeOptions(progressive=False)).status == "lossless"
    with pytest.raises(TypeError, match="expected OptimizeOptions"):
        guetzpy.optimize(small, TranscodeOptions())  # type: ignore[arg-type]


@given(
    target=st.one_of(
        st.builds(lambda v: {"distance": v}, st.floats(0.1, 25)),
        st.builds(lambda v: {"quality": v}, st.integers(1, 100)),
        st.builds(lambda v: {"max_bytes": v}, st.integers(1, 10**9)),
    ),
    keep=st.sets(st.sampled_from(METADATA_KINDS)),
    background=st.sampled_from([None, "white", (1, 2, 3)]),
    threads=st.sampled_from([None, 1, 8]),
)
def test_dict_and_back(target: dict[str, Any], keep: set[str], background: Any, threads: Any) -> None:
    """Options survive the conversion to JSON and back. The number of threads does not change their hash."""
    options = OptimizeOptions(**target, keep=tuple(keep), background=background, threads=threads)
    again = OptimizeOptions.from_dict(json.loads(json.dumps(options.to_dict())))
    assert again == options
    assert set(options.to_dict()) == set(options_of(OptimizeOptions))
    assert again.stable_hash() == options.stable_hash() == options_hash(options)
    assert options.replace(threads=3).stable_hash() == options.stable_hash()
    assert options.replace(effort="max").stable_hash() != options.stable_hash()


def test_from_dict_refuses_unknown_names() -> None:
    with pytest.raises(ValueError, match="unknown option 'distanse'; did you mean distance"):
        OptimizeOptions.from_dict({"distanse": 1})
    assert TranscodeOptions.from_dict({}) == TranscodeOptions()


def test_result_in_memory(small: np.ndarray, tmp_path: Path) -> None:
    result = guetzpy.optimize(small, FAST)
    assert result.version == guetzpy.__version__ == result.to_dict()["version"]
    assert result.image().size == (56, 40)
    stream = io.BytesIO(b"before")
    stream.seek(0, 2)
    result.save(stream)
    assert stream.getvalue() == b"before" + result.data
    with (tmp_path / "x.jpg").open("wb") as file:
        result.save(file)
        assert not file.closed
    assert (tmp_path / "x.jpg").read_bytes() == result.data
    failed = guetzpy.Result(status="failed", error="broken")
    for call in (failed.image, lambda: failed.save(tmp_path / "y.jpg")):
        with pytest.raises(ValueError, match=r"no data \(broken\)"):
            call()
    assert not (tmp_path / "y.jpg").exists()


def test_image_of_a_written_file(small: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg(small))
    (result,) = batch.run(tmp_path / "a.jpg", tmp_path / "out", TranscodeOptions(), jobs=1)
    assert result.data == b""
    assert result.image().size == (56, 40)
    with pytest.raises(ValueError, match="the file is "):
        result.save(tmp_path / "copy.jpg")


def test_notebook(small: np.ndarray, tmp_path: Path) -> None:
    """The HTML has both pictures and the figures, is of bounded size, and escapes names."""
    result = guetzpy.optimize(small, FAST)
    html = result._repr_html_()
    assert html.count("data:image/jpeg;base64,") == 2
    assert f"{result.bytes_after:,} bytes" in html
    assert pickle.loads(pickle.dumps(result)) == result == copy.deepcopy(result)
    large = np.random.default_rng(1).integers(0, 256, (1500, 2000, 3), np.uint8)
    path = tmp_path / "<b>.jpg"
    path.write_bytes(jpeg(large))
    html = guetzpy.transcode(path)._repr_html_()
    assert html.count("data:image/jpeg;base64,") == 2
    assert len(html) < 200_000
    assert "<b>" not in html
    path.unlink()
    assert guetzpy.Result(status="failed", error="<i>")._repr_html_().count("<i>") == 0
    deep = (small.astype(np.uint16) * 257)[..., :1]
    assert guetzpy.optimize(deep, FAST)._repr_html_().count("base64") == 2


def test_notebook_shows_the_source_of_any_kind(
    small: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The picture before is shown for open files, streams and, in notebooks, bytes too."""
    data, path = jpeg(small), tmp_path / "a.jpg"
    path.write_bytes(data)
    stream = io.BytesIO(data)
    with path.open("rb") as file:
        for source in (file, stream):
            assert guetzpy.optimize(source, FAST)._repr_html_().count("base64") == 2
    assert guetzpy.optimize(data, FAST)._repr_html_().count("base64") == 1
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    for result in (guetzpy.optimize(data, FAST), guetzpy.transcode(data)):
        assert result._repr_html_().count("base64") == 2
        assert pickle.loads(pickle.dumps(result)) == result == copy.deepcopy(result)


@pytest.mark.parametrize("jobs", [1, 2])
def test_pictures_of_any_kind(small: np.ndarray, jobs: int) -> None:
    """Each result equals that of a single call. A bad picture gives a failed result."""
    pictures = {
        "array": small,
        "image": Image.fromarray(small),
        "bytes": jpeg(small),
        "file": io.BytesIO(jpeg(small)),
        "bad": b"nonsense",
        "what": 3.5,
    }
    results = {r.input: r for r in batch.run(pictures.items(), options=FAST, jobs=jobs)}
    assert set(results) == set(pictures)
    assert {name for name, result in results.items() if result.status == "failed"} == {"bad", "what"}
    alone = guetzpy.optimize(small, FAST).data
    assert results["array"].data == results["image"].data == alone
    assert results["file"].data == results["bytes"].data == guetzpy.optimize(jpeg(small), FAST).data
    assert {r.input for r in batch.run([small, jpeg(small)], options=FAST, jobs=jobs)} == {"0", "1"}


@pytest.mark.parametrize("jobs", [1, 2])
def test_pictures_are_taken_as_needed(small: np.ndarray, jobs: int) -> None:
    taken = []

    def endless() -> Iterator[np.ndarray]:
        while True:
            taken.append(1)
            yield small

    with batch.run(endless(), options=FAST, jobs=jobs) as run:
        next(run)
    assert len(taken) <= 2 * jobs + 1


def test_workers_end_with_a_run_that_is_left(small: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that ends because the run is closed is not replaced by a new one."""
    begun: list[Worker] = []

    class Known(Worker):
        def __init__(self) -> None:
            super().__init__()
            begun.append(self)

    monkeypatch.setattr(stream, "Worker", Known)
    with batch.run([small] * 40, options=FAST, jobs=2) as run:
        next(run)
    assert len(begun) == 2
    assert not any(worker.is_alive() for worker in begun)


def test_pictures_to_a_destination(small: np.ndarray, tmp_path: Path) -> None:
    pairs = [("a/b.png", small), ("../c.jpg", small)]
    results = {r.input: r for r in batch.run(pairs, tmp_path / "out", FAST, jobs=1)}
    mapped = {r.input: r.data for r in batch.run(dict(pairs), options=FAST, jobs=1)}
    assert mapped["a/b.png"] == guetzpy.optimize(small, FAST).data
    assert results["a/b.png"].output == str(tmp_path / "out" / "a" / "b.jpg")
    assert Path(str(results["a/b.png"].output)).read_bytes() == guetzpy.optimize(small, FAST).data
    assert results["../c.jpg"].status == "failed"
    assert os.listdir(tmp_path) == ["out"]
    with pytest.raises(ValueError, match="need names"):
        list(batch.run([small], tmp_path / "out", FAST, jobs=1))


def test_an_empty_name_is_no_name_of_a_file(small: np.ndarray, tmp_path: Path) -> None:
    results = list(batch.run({"": small, "sub/": small}, tmp_path / "out", FAST, jobs=1))
    assert [result.error for result in results] == [
        "'': is no name of a file",
        "'sub/': is no name of a file",
    ]
    assert not list(tmp_path.rglob("*.jpg"))


@pytest.mark.parametrize("goal", ["out", "memory://guetzpy-clash"])
def test_pictures_whose_files_have_the_same_name(
    small: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, goal: str
) -> None:
    """The second one fails, instead of replacing the first one's file."""
    if "://" in goal:
        pytest.importorskip("fsspec")
    monkeypatch.chdir(tmp_path)
    pairs = [("a.png", small), ("a.jpg", small[::-1]), ("b", small)]
    results = list(batch.run(pairs, goal, FAST, jobs=1))
    assert [result.status for result in results] == ["optimized", "failed", "optimized"]
    assert results[1].error == f"{goal}/a.jpg: has the picture a.png; give each picture a name of its own"


def test_what_pictures_do_not_take(small: np.ndarray) -> None:
    with pytest.raises(ValueError, match="in_place, resume: for files only"):
        batch.run([small], in_place=True, resume=True)
    for single in (small, jpeg(small)):
        with pytest.raises(TypeError, match="put a single one into a list"):
            batch.run(single)  # type: ignore[arg-type]
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(guetzpy.CancelledError):
        list(batch.run([small], options=FAST, cancel=cancel, jobs=2))


def test_largest_norm(small: np.ndarray) -> None:
    other = np.asarray(Image.open(io.BytesIO(jpeg(small))))
    assert metrics.butteraugli(small, other, norm=float("inf")) == metrics.butteraugli(
        small, other, norm="max"
    )
    score, diffmap = metrics.butteraugli(small, other, norm=float("inf"), full=True)
    assert score == diffmap.max()


@pytest.mark.parametrize("metric", [metrics.butteraugli, metrics.ssimulacra2, metrics.cvvdp, metrics.iwssim])
def test_background(small: np.ndarray, metric: Any) -> None:
    """Transparent pictures are composited before the comparison, so the score depends on the background."""
    alpha = np.full((40, 56, 1), 128, np.uint8)
    clear = np.concatenate([small, alpha], axis=2)
    white = np.rint(small * (128 / 255) + 255 * (1 - 128 / 255)).astype(np.uint8)
    with pytest.raises(guetzpy.UnsupportedError, match="transparent"):
        metric(clear, small)
    assert metric(clear, small, background="white") == metric(white, small)
    assert metric(Image.fromarray(clear), small, background="white") == metric(white, small)
    assert metric(clear, small, background="black") != metric(white, small)
    assert metric(small, small, background="white") == metric(small, small)


@pytest.mark.parametrize("call", [guetzpy.optimize, guetzpy.transcode])
def test_a_keyword_with_a_typing_error_gets_a_suggestion(call: Any) -> None:
    with pytest.raises(TypeError, match=r"unknown option 'stirp'; did you mean strip\?"):
        call(b"", stirp="gps")


class Unsendable:
    def __reduce__(self) -> Any:
        raise TypeError("cannot be sent")


class Deadly:
    """An object whose copy ends the process that unpickles it."""

    def __reduce__(self) -> Any:
        return signal.raise_signal, (signal.SIGTERM,)


def test_pictures_that_cannot_be_sent_fail_alone(small: np.ndarray) -> None:
    pictures = {"first": small, "unsendable": Unsendable(), "deadly": Deadly(), "last": small}
    results = {r.input: r for r in batch.run(pictures, options=FAST, jobs=2)}
    assert results["unsendable"].error == "TypeError: cannot be sent"
    assert results["deadly"].error == "the process that worked on it died"
    assert results["first"].data == results["last"].data
    alone = batch.run({"only": Deadly()}, options=FAST, jobs=3)
    assert [result.status for result in alone] == ["failed"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_files_that_cannot_be_read_fail_alone(small: np.ndarray, jobs: int) -> None:
    """Open files are read in this process if others do the work."""
    closed = io.BytesIO()
    closed.close()
    pictures = [closed, io.StringIO("text"), small]
    results = {result.input: result for result in batch.run(pictures, options=FAST, jobs=jobs)}
    assert [results[name].status for name in "012"] == ["failed", "failed", "optimized"]
    assert 'open it with mode "rb"' in str(results["1"].error)


@pytest.mark.parametrize("options", [FAST, TranscodeOptions()])
def test_objects_that_are_no_pictures_are_no_internal_errors(
    small: np.ndarray, options: OptimizeOptions | TranscodeOptions
) -> None:
    pictures: list[Any] = [small.astype(int), 5, io.StringIO("text")]
    errors = [str(result.error) for result in batch.run(pictures, options=options, jobs=1)]
    assert all(errors)
    assert not [error for error in errors if "internal error" in error]
    with pytest.raises(TypeError, match="not a JPEG; transcode repacks JPEG files only"):
        guetzpy.transcode(small)


def test_options_and_keywords_exclude_each_other(small: np.ndarray) -> None:
    with pytest.raises(ValueError, match="options and distance: give either options or keywords"):
        guetzpy.optimize(small, FAST, distance=2.0)


def test_pictures_that_a_notebook_cannot_show(monkeypatch: pytest.MonkeyPatch) -> None:
    assert notebook._small(b"no picture") is None
    assert notebook._small_file("missing.jpg", 5) is None
    np.testing.assert_array_equal(notebook._bytes_of(np.array([-1.0, 0.5, 2.0])), [0, 128, 255])
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    assert str(notebook._small(noise)).startswith("data:image/jpeg;base64,")
    monkeypatch.setattr(notebook, "_MOST_BYTES", 10)
    assert notebook._small(noise) is None
