"""The hooks of .pre-commit-hooks.yaml, and --check, in a git repository."""

from __future__ import annotations

import importlib.util
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from guetzpy.cli import app

HOOK_KEYS = {"id", "name", "description", "entry", "language", "types", "require_serial", "args"}


def hooks(repository: Path) -> list[dict[str, Any]]:
    yaml = pytest.importorskip("yaml")
    with (repository / ".pre-commit-hooks.yaml").open() as stream:
        return list(yaml.safe_load(stream))


def git(*arguments: str, where: Path) -> str:
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *identity, *arguments], cwd=where, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def site(tmp_path: Path, photo_array: np.ndarray) -> Path:
    """Return a repository with three JPEG files with different suffixes, and other files."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    place = tmp_path / "site"
    place.mkdir()
    for name in ("a.jpg", "b with blank.jpeg", "c.JPG"):
        Image.fromarray(photo_array).save(place / name, "JPEG", quality=97, subsampling=0)
    Image.fromarray(photo_array).save(place / "d.png")
    (place / "e.txt").write_text("text\n")
    git("init", "-q", where=place)
    git("add", "-A", where=place)
    return place


def test_hooks_say_what_they_do(repository: Path) -> None:
    found = {hook["id"]: hook for hook in hooks(repository)}
    assert set(found) == {"guetzpy", "guetzpy-check"}
    for hook in found.values():
        assert set(hook) <= HOOK_KEYS
        assert hook["types"] == ["jpeg"]
        assert hook["language"] == "python"
        assert hook["require_serial"] is True
    assert found["guetzpy"]["entry"] == "guetzpy optimize --in-place --jpeg-only"
    assert found["guetzpy-check"]["entry"] == "guetzpy optimize --check --jpeg-only"


def test_check_and_in_place_as_the_hooks_call_them(
    repository: Path, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entries of the hooks with the changed files are run in this process, without pre-commit."""
    entries = {hook["id"]: hook["entry"].split()[1:] for hook in hooks(repository)}
    files = ["a.jpg", "b with blank.jpeg", "c.JPG"]
    monkeypatch.chdir(site)

    def run(hook: str) -> int:
        return CliRunner().invoke(app, [*entries[hook], "--effort", "fast", *files]).exit_code

    before = {name: (site / name).read_bytes() for name in files}
    assert run("guetzpy-check") == 3
    assert {name: (site / name).read_bytes() for name in files} == before
    assert run("guetzpy") == 0
    after = {name: (site / name).read_bytes() for name in files}
    assert all(len(after[name]) < len(before[name]) for name in files)
    assert run("guetzpy-check") == 0
    assert run("guetzpy") == 0
    assert {name: (site / name).read_bytes() for name in files} == after


def test_misnamed_files_do_not_block_a_commit(
    repository: Path, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pre-commit selects files by name, so hooks get text, PNG and empty files named .jpg."""
    monkeypatch.chdir(site)
    misnamed = {"text.jpg": b"not yet drawn\n", "empty.jpg": b"", "png.jpg": (site / "d.png").read_bytes()}
    for name, data in misnamed.items():
        Path(name).write_bytes(data)
    for hook in hooks(repository):
        done = CliRunner().invoke(app, [*hook["entry"].split()[1:], *misnamed])
        assert done.exit_code == 0, done.stderr
        for name in misnamed:
            assert f"{name}: " in done.stderr
        assert done.stderr.count("kept (not a JPEG; skipped)") == 3
        assert {name: Path(name).read_bytes() for name in misnamed} == misnamed


def pre_commit(*arguments: str, where: Path, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PRE_COMMIT_HOME": str(home), "PATH": search_path()}
    for name in ("PYTHONPATH", "GIT_DIR", "GIT_INDEX_FILE"):
        environment.pop(name, None)
    command = [sys.executable, "-m", "pre_commit", *arguments]
    return subprocess.run(command, cwd=where, capture_output=True, text=True, env=environment)


def search_path() -> str:
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def need_pre_commit() -> None:
    if importlib.util.find_spec("pre_commit") is None:
        pytest.skip("pre-commit is not installed")


@pytest.mark.integrations
def test_pre_commit_shrinks_what_is_committed(repository: Path, site: Path, tmp_path: Path) -> None:
    """The hook's entry runs with the installed guetzpy. (``language: system`` needs no network.)"""
    need_pre_commit()
    local = []
    for hook in hooks(repository):
        lines = [f"{key}: {value}" for key, value in hook.items() if key not in ("language", "id")]
        text = "\n        ".join(
            [f"- id: {hook['id']}", *(f"  {line}" for line in lines), "  language: system"]
        )
        local.append(text.replace("True", "true"))
    (site / ".pre-commit-config.yaml").write_text(
        "repos:\n  - repo: local\n    hooks:\n      "
        + "\n      ".join(local).replace("\n        ", "\n      ")
        + "\n"
    )
    git("add", "-A", where=site)
    checked = pre_commit("run", "guetzpy-check", where=site, home=tmp_path / "home")
    assert checked.returncode == 1, checked.stdout + checked.stderr
    assert "exit code: 3" in checked.stdout
    before = {path.name: path.read_bytes() for path in site.iterdir() if path.is_file()}
    first = pre_commit("run", "guetzpy", where=site, home=tmp_path / "home")
    assert first.returncode == 1  # pre-commit's exit code if files were changed
    assert "files were modified by this hook" in first.stdout
    for name in ("a.jpg", "b with blank.jpeg", "c.JPG"):
        assert len((site / name).read_bytes()) < len(before[name])
    for name in ("d.png", "e.txt"):
        assert (site / name).read_bytes() == before[name]
    git("add", "-A", where=site)
    for hook in ("guetzpy", "guetzpy-check"):
        again = pre_commit("run", hook, where=site, home=tmp_path / "home")
        assert again.returncode == 0, again.stdout + again.stderr
        assert "Passed" in again.stdout


@pytest.mark.integrations
@pytest.mark.slow
def test_pre_commit_installs_the_hook_from_the_repository(
    repository: Path, site: Path, tmp_path: Path
) -> None:
    """pre-commit clones the repository and installs it, as for users. This needs a package index."""
    need_pre_commit()
    if not (repository / ".git").exists():
        pytest.skip("not a git checkout")
    clone = tmp_path / "guetzpy"
    git("clone", "-q", "--depth", "1", f"file://{repository}", str(clone), where=tmp_path)
    arguments = ("try-repo", str(clone), "guetzpy", "--files", "a.jpg")
    done = pre_commit(*arguments, where=site, home=tmp_path / "home")
    assert "files were modified by this hook" in done.stdout, done.stdout + done.stderr
    with Image.open(io.BytesIO((site / "a.jpg").read_bytes())) as picture:
        picture.load()
