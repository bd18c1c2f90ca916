"""Training: the same model for every number of processes and wherever the run was stopped."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden import photo
from PIL import Image
from typer.testing import CliRunner

from guetzpy.cli import app
from guetzpy.errors import FormatError
from guetzpy.model.file import Model, built_in
from guetzpy.model.start import StartPart
from guetzpy.train import block_weights, pictures, start, tables
from guetzpy.train.run import Outcome, Run, read_checkpoint
from guetzpy.train.train import PARTS, Settings, train

SETTINGS = Settings(3, 64, quick=True)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with three small pictures; make the fit use few encodes, and keep its part always."""
    place = tmp_path / "set"
    place.mkdir()
    for n in range(3):
        Image.fromarray(photo(96 + 16 * n, 80, seed=n)).save(place / f"{n}.png")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    monkeypatch.setattr(block_weights, "_CASES", [("444", 1.0), ("420", 1.0)])
    monkeypatch.setattr(block_weights, "_QUICK_STEPS", 20)
    monkeypatch.setattr(tables, "_CASES", [("444", 1.0), ("420", 1.0)])
    monkeypatch.setattr(tables, "_PAIRS", 1)
    monkeypatch.setattr(tables, "_QUICK_ROUNDS", 2)
    monkeypatch.setattr("guetzpy.train.train._FITS", {"tables": tables.fit})
    monkeypatch.setattr(tables, "_WORSE", 0.0)  # few encodes give no part that is better by all metrics
    real = tables._held_out
    monkeypatch.setattr(tables, "_held_out", lambda *task: real(*task) | {"loss": -1.0})
    return place


def test_deterministic_and_resumed(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train(str(folder), str(tmp_path / "m.npz"), SETTINGS)
    assert not (tmp_path / "m.npz.checkpoint").exists()
    assert whole.tables is not None
    assert np.abs(whole.tables.at_1).max() > 0

    stopped = 0

    def stop(stage: str, done: int, total: int) -> None:
        nonlocal stopped
        if stage == "tables, round 2" and done == 1:
            stopped += 1
            raise KeyboardInterrupt

    output = tmp_path / "again" / "m.npz"
    output.parent.mkdir()
    with pytest.raises(KeyboardInterrupt):
        train(str(folder), str(output), SETTINGS, progress=stop)
    assert stopped
    checkpoint = Path(f"{output}.checkpoint")
    with checkpoint.open("ab") as stream:
        stream.write(b'["tables, round 2", 1, [[7.')  # a line that a power cut left
    told: list[str] = []
    measured = []
    real = tables.measure
    monkeypatch.setattr(tables, "measure", lambda *task: (measured.append(task), real(*task))[1])
    again = train(str(folder), str(output), SETTINGS, tell=told.append)
    assert again.data == whole.data
    assert len(measured) == 2  # one picture of the second round, and the one that is held out
    assert "tasks are done already" in told[0]

    other = train(str(folder), str(tmp_path / "again" / "m.npz"), Settings(3, 64, quick=True, seed=1))
    assert other.data != whole.data


def test_jobs_do_not_matter(tmp_path: Path) -> None:
    codes = np.ascontiguousarray(photo(64, 64).transpose(2, 0, 1))
    tasks = [(codes, [["420", distance, [0.0] * 12]]) for distance in (0.7, 1.0, 2.0)]
    alone = Run(()).map("a", tables.measure, tasks)
    assert repr(Run((), jobs=2).map("a", tables.measure, tasks)) == repr(alone)  # some are NaN


def test_late_tasks_are_left_out() -> None:
    run = Run((), deadline=0.0)
    assert run.late
    assert run.map("a", int, [("1",), ("2",)], optional=True) == []
    assert run.map("b", int, [("1",), ("2",)]) == [1, 2]
    assert Run((), jobs=2, deadline=0.0).map("a", int, [("1",)], optional=True) == []


def test_errors_of_workers_are_raised() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        Run((), jobs=2).map("a", int, [("1",), ("x",)])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"nonsense\n", "not a checkpoint"),
        (b'["guetzpy train 1", "other"]\n', "of other pictures, settings"),
        (b'["other program", "key"]\n', "not a checkpoint"),
        (b'["guetzpy train 1", "key"]\n[1]\n', "not a checkpoint"),
        (b'{"a": 1}\n', "not a checkpoint"),
        (b"\n", "not a checkpoint"),
    ],
)
def test_other_checkpoints_are_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "c").write_bytes(content)
    with pytest.raises(FormatError, match=words):
        read_checkpoint(str(tmp_path / "c"), "key")


def test_pictures(tmp_path: Path) -> None:
    """The middle parts of pictures of any kind are taken, at equal intervals; a message names others."""
    for n in range(7):
        Image.fromarray(photo(100, 90, seed=n)).save(tmp_path / f"{n}.jpg", quality=95)
    Image.fromarray(photo(100, 90)[..., 0]).save(tmp_path / "8.png")
    Image.fromarray(photo(200, 20)).save(tmp_path / "7.png")
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "9.jpg").write_bytes(b"\xff\xd8\xff broken")
    told: list[str] = []
    found = pictures.find(str(tmp_path), 100, 80, told.append)
    assert [picture.name for picture in found] == [f"{n}.jpg" for n in range(7)] + ["8.png"]
    assert [picture.held_out for picture in found] == [n % 5 == 4 for n in range(8)]
    assert {picture.codes.shape for picture in found} == {(3, 80, 80)}
    assert len(told) == 2
    assert "20 pixels" in told[0]
    assert pictures.digest(found) != pictures.digest(found[1:])
    deep = np.repeat(photo(80, 80)[..., 0].astype(np.uint16) * 257, 1, axis=0)
    Image.fromarray(deep).save(tmp_path / "8.png")
    (*_, last) = pictures.find(str(tmp_path), 100, 80)
    np.testing.assert_array_equal(last.codes, np.stack([photo(80, 80)[..., 0]] * 3))
    few = pictures.find(str(tmp_path), 3, 512)
    assert len(few) == 3
    assert [picture.held_out for picture in few] == [False, False, True]
    with pytest.raises(FormatError, match="needs two or more"):
        pictures.find(str(tmp_path / "8.png"), 3, 512)


def test_command_line(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "mine.npz"
    line = ["train", str(folder), "-o", str(output), "--quick", "--size", "64", "--jobs", "1"]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 0, done.output
    assert "tables, round 1: 2 of 2" in done.stderr
    model = Model.load(output)
    about: dict[str, Any] = dict(model.about)
    assert (about["name"], about["set"], about["pictures"], about["held_out"]) == ("mine", "set", 3, 1)
    assert about["settings"] == {"size": 64, "quick": True, "seed": 0, "cut_short": False}
    assert json.dumps(about)
    assert model.label in done.stderr
    done = CliRunner().invoke(app, ["train", str(tmp_path / "none"), "-o", str(output)])
    assert done.exit_code == 1
    assert "none" in done.stderr


@pytest.mark.parametrize("terminal", [True, False])
def test_a_fit_that_is_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    """On a terminal one line shows the progress, and it is erased at the end."""

    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return terminal

    asked: list[Settings] = []

    def interrupted(folder: str, output: str, chosen: Settings, **how: Any) -> Model:
        asked.append(chosen)
        for done in range(3):
            how["progress"]("tables, round 1", done, 9)
        raise KeyboardInterrupt

    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr("guetzpy.train.train.train", interrupted)
    monkeypatch.setattr(sys.modules["guetzpy.cli.train"], "compile_if_cold", lambda _: None)
    with pytest.raises(SystemExit) as ended:
        app(["train", str(tmp_path), "-o", str(tmp_path / "m.npz"), "--pictures", "7"])
    assert ended.value.code == 130
    assert asked[0].pictures == 7
    text = screen.getvalue()
    assert text.endswith("guetzpy: the same command continues\nguetzpy: interrupted\n")
    assert ("\r\x1b[Ktables, round 1: 2 of 9\r\x1b[K" in text) == terminal
    assert text.count("tables, round 1") == (3 if terminal else 1)


def test_evaluations_that_a_part_saves_are_told() -> None:
    part = {"saved": 0.2, "fast": {"evaluations_before": 2.5, "evaluations": 2.25}}
    (line,) = sys.modules["guetzpy.cli.train"].lines({"start": part})
    assert line == "start: evaluations a file, fast: 2.50 -> 2.25"


def test_parts_of_a_base(folder: Path, tmp_path: Path) -> None:
    """Parts that are not fitted come from the base, which the file names."""
    excess = np.zeros((2, 6))
    first = StartPart(excess, np.full((2, 2), 0.03))
    base = Model.of({"start": first}, {"name": "first"})
    base.save(tmp_path / "base.npz")
    output = tmp_path / "m.npz"
    line = ["train", str(folder), "-o", str(output), "--quick", "--size", "64", "--jobs", "1", "--quiet"]
    done = CliRunner().invoke(app, [*line, "--parts", "tables", "--base", str(tmp_path / "base.npz")])
    assert done.exit_code == 0, done.output
    model = Model.load(output)
    assert set(model.parts) == {"start", "tables"}
    assert model.about["base"]["sha256"] == base.digest
    done = CliRunner().invoke(app, [*line, "--parts", "nonsense"])
    assert done.exit_code == 2
    assert "weights, tables, start" in done.stderr


def test_a_part_that_saves_nothing_is_left_out(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = Outcome("tables", None, {"saved": 0.0})
    monkeypatch.setattr("guetzpy.train.train._FITS", {"tables": lambda run, model: nothing})
    told: list[str] = []
    found = train(str(folder), str(tmp_path / "m.npz"), SETTINGS, tell=told.append)
    assert found.tables is None
    assert told[-1] == "tables: left out, since it saves nothing on the pictures that are held out"


@pytest.mark.parametrize("fit", [tables.fit, start.fit])
def test_no_time_no_part(fit: Any) -> None:
    parts = tuple(
        pictures.Picture(str(n), np.ascontiguousarray(photo(64, 64, seed=n).transpose(2, 0, 1)), n == 1)
        for n in range(2)
    )
    assert fit(Run(parts, deadline=0.0), built_in()).part is None


def test_names_of_the_parts() -> None:
    assert sys.modules["guetzpy.cli.train"].PARTS == PARTS  # the package's attribute is the command
