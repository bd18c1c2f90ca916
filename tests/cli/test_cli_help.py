"""Help in sections, shell completion by a real shell, the manual page, and colours."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.main import get_command
from typer.testing import CliRunner

from guetzpy._option import options_of
from guetzpy.cli import app
from guetzpy.cli.parameters import as_typed
from guetzpy.cli.sections import SECTIONS, complete_display, complete_kinds, complete_metrics
from guetzpy.options import OptimizeOptions, TranscodeOptions

COMMANDS = get_command(app).commands  # type: ignore[attr-defined]


def guetzpy(*arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "guetzpy", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=True,
    )
    return done.stdout


def test_every_option_has_a_section() -> None:
    """Every option of commands with many options is in a section of the help."""
    placed = [name for names in SECTIONS.values() for name in names]
    assert len(placed) == len(set(placed))
    for command in ("optimize", "transcode"):
        options = {p.name for p in COMMANDS[command].params if p.param_type_name == "option"} - {"help"}
        assert options <= set(placed), command
    assert set(placed) <= {p.name for p in COMMANDS["optimize"].params}


@pytest.mark.parametrize(("name", "kind"), [("optimize", OptimizeOptions), ("transcode", TranscodeOptions)])
def test_parameters_are_made_of_the_fields(name: str, kind: type[Any]) -> None:
    """Each field is a parameter with its default and help text; the help shows the choices of a value."""
    parameters = {p.name: p for p in COMMANDS[name].params}
    for field, option in options_of(kind).values():
        parameter = parameters[field.name]
        assert parameter.default == ("" if field.default == () else field.default), field.name
        assert parameter.opts[0] == "--" + field.name.replace("_", "-")
        assert (option.short in parameter.opts) or option.short is None
        assert [option.off or ""] == (parameter.secondary_opts or [""])
        assert parameter.help.startswith(option.help)
    assert {p.metavar for p in parameters.values()} >= (
        {"fast|balanced|max", "auto|444|420|keep", "LIST"} if kind is OptimizeOptions else {"LIST"}
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("optimize", "a.png", "--threads", "0"),
        ("transcode", "a.jpg", "--max-scans", "0"),
        ("compare", "a.png", "b.png", "--timeout", "0"),
        ("inspect", "a.jpg", "--max-pixels", "-5"),
    ],
)
def test_values_out_of_range_are_wrong_usage(arguments: tuple[str, ...]) -> None:
    """Every command checks the ranges of its options before it reads a file."""
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 2
    assert result.stderr.startswith(f"guetzpy: {arguments[-2]} {arguments[-1]}: expected")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--max-bytes", "0"), "--max-bytes 0: expected 1 or more"),
        (("--max-bytes", "5", "--bpp", "1"), "--max-bytes and --bpp contradict each other"),
        (("--keep", "icc", "--to-srgb"), "--keep icc and --to-srgb contradict each other"),
        (("-r", "--total-bytes", "0"), "--total-bytes 0: expected more than 0"),
        (("-r", "--shard", "3/2"), "--shard 3/2: expected k/n"),
        (("-r", "--shard", "1/2", "--backup", "kept"), "--backup needs --in-place"),
    ],
)
def test_messages_name_options_as_they_are_typed(arguments: tuple[str, ...], words: str) -> None:
    """Regression: they gave the names of Python, such as max_bytes."""
    result = CliRunner().invoke(app, ["optimize", "a.png", "-o", "out/", *arguments])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"guetzpy: {words}")


def test_messages_about_files_stay() -> None:
    """A file may be called as an option is."""
    text = "keep: is an input and an output; give another -o, or --in-place to replace a JPEG"
    assert as_typed(text) == text


def test_help_is_in_sections() -> None:
    text = guetzpy("optimize", "--help")
    titles = re.findall(r"^(\w[^:\n]*):$", text, re.MULTILINE)
    assert titles == ["Arguments", *SECTIONS, "Options"]
    assert text.startswith("Usage: guetzpy optimize [OPTIONS] IN...\n")
    for option in COMMANDS["optimize"].params:
        assert option.opts[0] in text or option.metavar in text, option.name
    assert [line for line in text.splitlines() if len(line) > 80] == []


def test_short_commands_have_one_list() -> None:
    text = guetzpy("inspect", "--help")
    assert "Usage: guetzpy inspect [OPTIONS] FILE\n" in text
    assert re.findall(r"^(\w[^:\n]*):$", text, re.MULTILINE) == ["Arguments", "Options"]
    assert "  --max-pixels N " in text


def test_list_of_commands_is_not_cut() -> None:
    assert "..." not in guetzpy("--help").partition("Commands:")[2]


@pytest.fixture
def shell(tmp_path: Path) -> Path:
    """Return a bash script that completes lines as bash does for the Tab key, with guetzpy on its path."""
    if shutil.which("bash") is None:
        pytest.skip("no bash")
    program = tmp_path / "bin" / "guetzpy"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m guetzpy "$@"\n')
    program.chmod(0o755)
    script = tmp_path / "complete.bash"
    script.write_text(
        'eval "$(_GUETZPY_COMPLETE=source_bash guetzpy)"\n'
        "function=$(complete -p guetzpy | sed 's/.*-F \\([^ ]*\\).*/\\1/')\n"
        'for line in "$@"; do\n'
        '  read -r -a COMP_WORDS <<<"$line"\n'
        '  [[ $line == *" " ]] && COMP_WORDS+=("")\n'
        "  COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_LINE=$line COMP_POINT=${#line} COMPREPLY=()\n"
        '  "$function" guetzpy "${COMP_WORDS[COMP_CWORD]}"\n'
        '  echo "${COMPREPLY[*]}"\n'
        "done\n"
    )
    return script


def test_bash_completes(shell: Path) -> None:
    lines = [
        "guetzpy opt",
        "guetzpy ",
        "guetzpy optimize --max-p",
        "guetzpy optimize -e ",
        "guetzpy optimize --subsampling 4",
        "guetzpy transcode --strip exif,g",
        "guetzpy compare --heat",
    ]
    done = subprocess.run(
        ["bash", "--norc", str(shell), *lines],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": f"{shell.parent / 'bin'}{os.pathsep}{os.environ['PATH']}"},
    )
    assert done.returncode == 0, done.stderr
    assert [set(line.split()) for line in done.stdout.splitlines()] == [
        {"optimize"},
        set(COMMANDS),
        {"--max-pixels"},
        {"fast", "balanced", "max"},
        {"444", "420"},
        {"exif,gainmap", "exif,gps"},
        {"--heatmap"},
    ]


@pytest.mark.parametrize("name", ["bash", "zsh", "fish", "powershell"])
def test_completion_scripts(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "guetzpy"],
        capture_output=True,
        text=True,
        env={**os.environ, "_GUETZPY_COMPLETE": f"source_{name}"},
    )
    assert done.returncode == 0
    assert f"complete_{name}" in done.stdout
    assert "guetzpy" in done.stdout


def test_install_completion_touches_the_home_only(tmp_path: Path) -> None:
    """Typer detects the shell by the parent process. The test disables this, so the shell is an argument."""
    home = tmp_path / "home"
    home.mkdir()
    guetzpy(
        "--install-completion", "bash",
        HOME=str(home), _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1",
    )  # fmt: skip
    assert "guetzpy" in (home / ".bashrc").read_text()
    assert "_guetzpy_completion" in (home / ".bash_completions" / "guetzpy.sh").read_text()


def test_kinds_go_on_after_a_comma() -> None:
    assert complete_kinds("gp") == ["gps"]
    assert complete_kinds("gps,th") == ["gps,thumbnail"]
    assert "gps,gps" not in complete_kinds("gps,")
    assert complete_kinds("gps,nonsense") == []
    assert complete_metrics("cvvdp,p") == ["cvvdp,psnr"]


def test_displays_are_completed() -> None:
    assert complete_display("standard_") == ["standard_fhd", "standard_4k", "standard_phone", "standard_hmd"]


COLOUR = re.compile(rb"\x1b\[[0-9;]*[1-9][0-9;]*m")


def on_a_terminal(folder: Path, **environment: str) -> bytes:
    """Return the output of a folder run on a terminal."""
    pty = pytest.importorskip("pty")
    main, terminal = pty.openpty()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "guetzpy", "transcode", "in", "-r", "-o", "out", "-j", "1"],
            cwd=folder,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env={**os.environ, "TERM": "xterm-256color", **environment},
        )
        os.close(terminal)
        shown = b""
        while True:
            try:
                part = os.read(main, 4096)
            except OSError:  # so Linux reports that no process has the terminal open
                break
            if not part:
                break
            shown += part
        assert process.wait() == 0, shown
    finally:
        os.close(main)
    return shown


@pytest.mark.parametrize(("name", "colours"), [("NO_COLOR", False), ("OTHER", True)])
def test_no_color(tmp_path: Path, name: str, colours: bool) -> None:
    """The progress bar on a terminal has colours unless NO_COLOR is set."""
    (tmp_path / "in").mkdir()
    Image.new("RGB", (64, 64), "tan").save(tmp_path / "in" / "a.jpg")
    shown = on_a_terminal(tmp_path, **{name: "1"})
    assert b"1 file" in shown
    assert bool(COLOUR.search(shown)) == colours
