"""What the README shows is what happens; every option of the command line says what it does."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from guetzpy.cli import app


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def without_numbers(text: str) -> str:
    """Figures change with the search; words, order and signs must not."""
    return re.sub(r"\d+(?:[ .]\d+)*", "N", text)


@pytest.fixture(scope="module")
def readme(repository: Path) -> str:
    return (repository / "README.md").read_text()


@pytest.fixture
def desk(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the README's photo."""
    shutil.copy(repository / "tests" / "data" / "coffee.jpg", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_transcript(readme: str, desk: Path) -> None:
    (transcript,) = blocks(readme, "console")
    parts = re.split(r"^\$ ", transcript, flags=re.MULTILINE)[1:]
    assert len(parts) == 3
    for part in parts:
        line, _, printed = part.partition("\n")
        program, *arguments = shlex.split(line)
        assert program == "guetzpy"
        done = subprocess.run(
            [sys.executable, "-m", "guetzpy", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, done.stdout
        lines = [text for text in done.stdout.splitlines() if "compiling kernels" not in text]
        assert without_numbers("\n".join(lines)) == without_numbers(printed.strip())
    before = os.path.getsize("coffee.jpg")
    assert os.path.getsize("smaller.jpg") < os.path.getsize("same-pixels.jpg") < before


def test_python_example(readme: str, desk: Path) -> None:
    (example,) = blocks(readme, "python")
    done = subprocess.run([sys.executable, "-W", "error", "-c", example], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    status, before, after, score = done.stdout.split()
    assert status == "optimized"
    assert os.path.getsize("smaller.jpg") == int(after) < int(before) == os.path.getsize("coffee.jpg")
    assert float(score) > 80


def test_commands_for_a_fresh_machine(readme: str, repository: Path) -> None:
    (commands,) = blocks(readme, "sh")
    main_job, tests = commands.splitlines()
    assert "guetzpy optimize tests/data/coffee.jpg" in main_job
    assert tests.endswith("-m pytest")
    assert (repository / "tests" / "data" / "coffee.jpg").stat().st_size < 200_000


def test_links_of_the_readme_exist(readme: str, repository: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", readme):
        assert "://" in target or (repository / target).exists(), target


def test_every_option_has_help() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    assert set(commands) >= {"optimize", "transcode", "compare", "inspect", "warmup"}
    for name, command in commands.items():
        assert command.help, name
        for parameter in command.params:
            assert parameter.help, f"{name}: {parameter.name}"


def test_readme_names_every_command(readme: str) -> None:
    for name in get_command(app).commands:  # type: ignore[attr-defined]
        assert f"`{name}`" in readme, name
