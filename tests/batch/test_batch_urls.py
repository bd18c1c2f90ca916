"""Copies of other files to and from URLs, outputs below inputs, and clusters of another version."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from guetzpy import batch
from guetzpy.batch import cluster
from guetzpy.errors import GuetzpyError
from guetzpy.options import TranscodeOptions

pytestmark = [pytest.mark.integrations, pytest.mark.filterwarnings("ignore")]

OPTIONS = TranscodeOptions()
NOTE = b"words, many words"


@pytest.fixture(autouse=True)
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: Any) -> bytes:
    """Put a picture and a text below memory://in; return the picture."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    stream = io.BytesIO()
    Image.linear_gradient("L").resize((24, 16)).save(stream, "JPEG", quality=95)
    memory.pipe_file("/in/a.jpg", stream.getvalue())
    memory.pipe_file("/in/sub/note.txt", NOTE)
    return stream.getvalue()


def copied(source: Path | str, goal: Path | str) -> Any:
    """Return the result of the text of a run with copies."""
    results = batch.run(source, goal, OPTIONS, copy_others=True, jobs=1)
    (found,) = [result for result in results if str(result.input).endswith("note.txt")]
    assert (found.status, found.reason) == ("kept", "not a picture; copied")
    assert found.bytes_after == len(NOTE)
    return found


def test_other_files_are_copied_between_urls_and_folders(memory: Any, tmp_path: Path) -> None:
    assert copied("memory://in", "memory://out").output == "memory://out/sub/note.txt"
    assert memory.cat_file("/out/sub/note.txt") == NOTE
    place = tmp_path / "out/sub/note.txt"
    assert copied("memory://out", tmp_path / "out").output == str(place)
    assert place.read_bytes() == NOTE
    node = place.stat().st_ino
    copied("memory://out", tmp_path / "out")
    assert place.stat().st_ino == node  # an equal file is not written again
    assert copied(tmp_path / "out", "memory://back").output == "memory://back/sub/note.txt"
    assert memory.cat_file("/back/sub/note.txt") == NOTE


def test_outputs_below_the_input_are_no_inputs_of_the_next_run(memory: Any) -> None:
    for _ in range(2):
        run = batch.run("memory://in", "memory://in/out", OPTIONS, jobs=1)
        assert [task.input for task in run.tasks] == ["memory://in/a.jpg"]
        list(run)
    assert memory.exists("/in/out/a.jpg")
    assert not memory.exists("/in/out/out")


def test_results_that_are_gone_are_made_again(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some file systems of fsspec raise an error for a folder that does not exist, others list nothing."""
    list(batch.run("memory://in", "memory://out", OPTIONS, jobs=1))
    assert len(batch.run("memory://in", "memory://out", OPTIONS, resume=True)) == 0
    memory.rm("/out", recursive=True)
    real = type(memory).find

    def find(self: Any, path: str, *rest: Any, **more: Any) -> Any:
        if not self.exists(path):
            raise FileNotFoundError(path)
        return real(self, path, *rest, **more)

    monkeypatch.setattr(type(memory), "find", find)
    list(batch.run("memory://in", "memory://out", OPTIONS, resume=True, jobs=1))
    assert memory.exists("/out/a.jpg")


def test_a_cluster_of_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "__version__", "99")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as local:
        words = r"guetzpy 99 is needed on every worker, found \d"
        with pytest.raises(GuetzpyError, match=words), cluster.dask_executor(local.scheduler_address):
            pass
