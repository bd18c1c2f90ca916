"""Defaults from guetzpy.toml, pyproject.toml and the environment, and ``guetzpy config``."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from guetzpy._option import options_of
from guetzpy.cli import app, settings
from guetzpy.cli.settings import PREFIX, keys, load
from guetzpy.options import OptimizeOptions


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder for settings. The working folder is below it, and has a small JPEG."""
    (tmp_path / "site" / "work").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "site" / "work")
    pixels = np.random.default_rng(5).integers(0, 256, (24, 24, 3), np.uint8)
    Image.fromarray(pixels).save("a.jpg", quality=95)
    return tmp_path / "site"


def run(*arguments: str, **environment: str) -> Any:
    result = CliRunner().invoke(app, list(arguments), env=environment)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def shown(*arguments: str, **environment: str) -> dict[str, tuple[Any, str]]:
    result = run("config", "--json", *arguments, **environment)
    assert result.exit_code == 0, result.stderr
    return {key: (one["value"], one["origin"]) for key, one in json.loads(result.stdout).items()}


def test_precedence(folder: Path) -> None:
    """The order is command line, environment, file, default."""
    assert shown()["effort"] == ("balanced", "default")
    (folder / "guetzpy.toml").write_text('effort = "fast"\n')
    assert shown()["effort"] == ("fast", str(folder / "guetzpy.toml"))
    assert shown(GUETZPY_EFFORT="max")["effort"] == ("max", "$GUETZPY_EFFORT")
    assert shown("-e", "fast", GUETZPY_EFFORT="max")["effort"] == ("fast", "command line")


def test_the_nearest_file_counts(folder: Path) -> None:
    (folder / "pyproject.toml").write_text("[tool.guetzpy]\ndistance = 2\n")
    (folder / "work" / "pyproject.toml").write_text("[tool.other]\nguetzpy = 3\n")
    assert shown()["distance"] == (2.0, str(folder / "pyproject.toml"))
    (folder / "work" / "guetzpy.toml").write_text("quality = 80\n")
    assert shown()["quality"] == (80, str(folder / "work" / "guetzpy.toml"))
    assert shown()["distance"] == (None, "default")


def test_files_beside_pictures_change_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "work" / "guetzpy.toml").write_text("max-pixels = 1\n")
    monkeypatch.chdir(folder)
    assert run("transcode", "work/a.jpg", "-n").exit_code == 0


def test_a_target_replaces_those_of_lower_origin(folder: Path) -> None:
    """Otherwise two targets would contradict each other."""
    (folder / "guetzpy.toml").write_text("distance = 2\n")
    values = shown(GUETZPY_QUALITY="70")
    assert (values["distance"][0], values["quality"][0]) == (None, 70)
    values = shown("--max-bytes", "50k", GUETZPY_QUALITY="70")
    assert (values["distance"][0], values["quality"], values["max-bytes"][0]) == (
        None,
        (None, "default"),
        50000,
    )
    done = run("optimize", "a.jpg", "-n", "-q", "60", "--json", "-e", "fast")
    assert json.loads(done.stdout)["target"] == {"quality": 60}
    done = run("optimize", "-r", ".", "-n", "--total-bytes", "1M", "-e", "fast")
    assert done.exit_code == 0, done.stderr


def test_commands_take_the_settings(folder: Path) -> None:
    (folder / "guetzpy.toml").write_text(
        'suffix = "-web"\nbaseline = true\nexclude = ["b*"]\nstrip = ["exif"]\n'
    )
    done = run("transcode", "a.jpg")
    assert (done.exit_code, "warning" in done.stderr) == (0, False)
    assert Path("a-web.jpg").read_bytes().find(b"\xff\xc0") > 0  # SOF0: baseline
    assert run("transcode", "a.jpg", "-o", "b.jpg").exit_code == 0
    assert Path("b.jpg").exists()
    done = CliRunner().invoke(app, ["transcode", "-"], input=Path("a.jpg").read_bytes())
    assert done.exit_code == 0  # the suffix does not apply to stdin
    assert run("transcode", "a.jpg", "--progressive", "-o", "c.jpg").exit_code == 0


def test_several_kinds_of_metadata_are_taken(folder: Path) -> None:
    """Regression: the reference's example, strip = ["gps", "place"], was refused as one unknown kind."""
    (folder / "guetzpy.toml").write_text('strip = ["gps", "place"]\n')
    assert shown()["strip"][0] == "gps,place"
    assert run("optimize", "a.jpg", "-n", "-e", "fast").exit_code == 0
    (folder / "guetzpy.toml").write_text('strip = ["gps", "plaice"]\n')
    done = run("optimize", "a.jpg", "-n")
    assert (done.exit_code, "plaice: expected some of" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("max_bytes = 3", "unknown key max_bytes; did you mean max-bytes?"),
        ("distanse = 3", "unknown key distanse; did you mean distance?"),
        ("in-place = true", "unknown key in-place"),
        ("zzzz = 1", "the keys are the options of guetzpy optimize --help"),
        ("distance = 99", "distance 99: expected 0.1 to 25"),
        ("max-bytes = 0", "guetzpy.toml: max-bytes 0: expected 1 or more"),
        ('distance = "far"', "distance: "),
        ("distance = true", "distance: expected a number"),
        ("baseline = 1", "expected true or false"),
        ('max-bytes = "50kk"', "'50kk': expected a size"),
        ("exclude = [1]", "a list of texts"),
        ("distance = ", "not valid TOML"),
        ("distance = " + "[" * 50_000, "not valid TOML"),
        ("distance = 1\nquality = 80", "contradict"),
        ('effort = "slow"', "fast, balanced, max"),
    ],
)
def test_faults_of_a_file(folder: Path, text: str, words: str) -> None:
    (folder / "guetzpy.toml").write_text(text)
    done = run("optimize", "a.jpg", "-n")
    assert done.exit_code == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert run("optimize", "--help").exit_code == 0


def test_lists_come_as_one_text(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "guetzpy.toml").write_text('exclude = "b*"\n')
    assert settings.load(folder, {})["exclude"].value == ["b*"]
    assert settings.load(folder, {"GUETZPY_EXCLUDE": "a*,,c*"})["exclude"].value == ["a*", "c*"]


def test_files_that_are_not_for_this_program(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "pyproject.toml").write_text("[tool.other\n")  # no TOML, and of no concern
    assert settings._table(folder / "pyproject.toml") is None
    (folder / "pyproject.toml").write_text("[tool]\nguetzpy = 5\n")
    done = run("transcode", "a.jpg", "-n")
    assert (done.exit_code, "tool.guetzpy must be a table" in done.stderr) == (2, True)

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(settings, "_read", refuse)
    assert settings._table(folder / "none" / "guetzpy.toml") is None  # the folder above may not be read


def test_a_working_folder_that_was_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    def removed() -> Path:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(Path, "cwd", removed)
    assert settings.load(None, {}) == {}


def test_faults_of_the_environment(folder: Path) -> None:
    done = run("optimize", "a.jpg", "-n", GUETZPY_DISTANSE="1")
    assert (done.exit_code, "did you mean GUETZPY_DISTANCE?" in done.stderr) == (2, True)
    done = run("optimize", "a.jpg", "-n", GUETZPY_BASELINE="2")
    assert (done.exit_code, "GUETZPY_BASELINE=2: expected 1 or 0" in done.stderr) == (2, True)
    assert run("transcode", "a.jpg", "-n", GUETZPY_DEBUG="1", GUETZPY_DISTANCE="").exit_code == 0


def test_two_files_in_one_folder(folder: Path) -> None:
    (folder / "guetzpy.toml").write_text("distance = 2\n")
    (folder / "pyproject.toml").write_text("[tool.guetzpy]\ndistance = 3\n")
    done = run("config")
    assert (done.exit_code, "remove one" in done.stderr) == (2, True)


def test_every_option_of_a_picture_can_be_set() -> None:
    assert set(options_of(OptimizeOptions)) <= {name for name, _ in keys().values()}
    assert keys()["no-mark"] == ("mark", True)


@given(
    st.sampled_from([key for key, (name, _) in keys().items() if name in options_of(OptimizeOptions)]),
    st.data(),
)
def test_environment_and_file_say_the_same(key: str, data: st.DataObject) -> None:
    """A value of a field has the same effect in the environment and in a file."""
    name, inverted = keys()[key]
    option = options_of(OptimizeOptions)[name][1]
    if option.low is not None:
        value: Any = data.draw(st.integers(max(1, int(option.low)), int(min(option.high, 10**9))))
        text, literal = str(value), str(value)
    elif option.choices:
        text = data.draw(st.sampled_from(option.choices))
        value, literal = text, json.dumps(text)
    elif name in ("background", "fit", "model"):
        value = {"background": "white", "fit": "640x480", "model": "m.npz"}[name]
        text, literal = value, json.dumps(value)
    else:
        on = data.draw(st.booleans())
        value, text, literal = on != inverted, str(int(on)), str(on).lower()
    from_variable = load(Path("/"), {PREFIX + key.upper().replace("-", "_"): text})[name].value
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "guetzpy.toml").write_text(f"{key} = {literal}\n")
        from_file = load(Path(folder), {})[name].value
    assert from_variable == from_file
    assert from_file == (value if isinstance(value, bool) else str(value))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
@pytest.mark.parametrize("name", ["guetzpy.toml", "pyproject.toml"])
def test_settings_are_read_from_regular_files_only(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe of this name gives an error without blocking. A byte order mark is accepted."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo(name)
    result = CliRunner().invoke(app, ["config"])
    foreign = name == "pyproject.toml"
    assert (result.exit_code, "not a regular file" in result.output) == (0 if foreign else 2, True)
    os.unlink(name)
    table = "[tool.guetzpy]\n" if name == "pyproject.toml" else ""
    Path(name).write_text(f"{table}distance = 2.5\n", "utf-8-sig")
    result = CliRunner().invoke(app, ["config"])
    assert result.exit_code == 0
    assert "2.5" in result.output


@pytest.mark.parametrize(("name", "code"), [("guetzpy.toml", 2), ("pyproject.toml", 0)])
def test_settings_that_cannot_be_read_end_the_run_if_they_are_ours(
    name: str, code: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is that of a folder, of a file without permission (simulated for root), or of broken TOML.

    It cannot be known whether such a pyproject.toml has settings of guetzpy, so one line warns.
    """

    def told(words: str) -> None:
        result = run("optimize", "a.jpg", "-n")
        lines = [line for line in result.stderr.splitlines() if str(folder / name) in line]
        assert (result.exit_code, len(lines), words in result.stderr) == (code, 1, True)
        assert lines[0].startswith("guetzpy: warning: ") == (code == 0)

    (folder / name).mkdir()
    told(f"{folder / name}: Is a directory; ")
    (folder / name).rmdir()
    (folder / name).write_text("[tool.guetzpy\ndistance = 2")
    told(f"{folder / name}: not valid TOML: ")
    (folder / name).write_bytes(b"guetzpy = '\xff\xfe'")
    told(f"{folder / name}: not valid TOML: ")
    (folder / name).write_text("distance = 2")
    read_bytes = Path.read_bytes

    def refuse(path: Path) -> bytes:
        if path == folder / name:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    told(f"{folder / name}: Permission denied; ")


def test_a_foreign_file_that_cannot_be_read_does_not_hide_settings_above_it(folder: Path) -> None:
    (folder / "guetzpy.toml").write_text("distance = 2.5\n")
    (folder / "work" / "pyproject.toml").write_text("guetzpy = [\n")
    result = run("config")
    assert (result.exit_code, "2.5" in result.stdout) == (0, True)
    assert result.stderr.count("pyproject.toml: not valid TOML") == 1
    assert "pyproject.toml" not in run("config", "--quiet").stderr


@pytest.mark.skipif(not hasattr(os, "setuid") or os.getuid() != 0, reason="only root becomes another user")
def test_a_folder_above_that_cannot_be_searched_does_not_end_the_run() -> None:
    """A process in a folder below one that its user may not search, as after su."""
    code = (
        "import os; from pathlib import Path; from guetzpy.cli.settings import find\n"
        "os.setuid(65534); print(find(Path.cwd()))"
    )
    with tempfile.TemporaryDirectory() as outer:  # only its owner may search it
        inner = Path(outer, "inner")
        inner.mkdir()
        done = subprocess.run([sys.executable, "-c", code], cwd=inner, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "None\n", "")


def test_a_broken_link_to_settings_is_told(folder: Path) -> None:
    (folder / "pyproject.toml").symlink_to("gone.toml")  # the file may belong to another program
    assert run("config").exit_code == 0
    (folder / "guetzpy.toml").symlink_to("gone.toml")
    result = run("config")
    assert (result.exit_code, "guetzpy.toml: is a link to a file that does not exist" in result.stderr) == (
        2,
        True,
    )


def test_subsampling_with_colons_in_a_file(folder: Path) -> None:
    # Regression: a file and the environment refused 4:2:0, which the command line takes.
    (folder / "guetzpy.toml").write_text('subsampling = "4:2:0"\n')
    assert shown()["subsampling"][1] == str(folder / "guetzpy.toml")
    assert run("optimize", "a.jpg", "-n").exit_code == 0
    assert run("optimize", "a.jpg", "-n", GUETZPY_SUBSAMPLING="4:4:4").exit_code == 0
    assert run("optimize", "a.jpg", "-n", GUETZPY_SUBSAMPLING="4:2:1").exit_code == 2
