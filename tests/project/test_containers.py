"""The container, the GitHub Action, and the recipes."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

import guetzpy


def docker_runs() -> bool:
    program = shutil.which("docker")
    return program is not None and subprocess.run([program, "info"], capture_output=True).returncode == 0


@pytest.fixture(scope="module")
def script(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "pull_request_pictures", repository / ".github" / "pull_request_pictures.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.skipif(not docker_runs(), reason="no Docker")
def test_image_runs_read_only(repository: Path, tmp_path: Path) -> None:
    """The image runs without root, network and a writable root file system, and compiles nothing."""
    subprocess.run(["docker", "build", "-q", "-t", "guetzpy-test", str(repository)], check=True)
    tmp_path.chmod(0o777)
    Image.radial_gradient("L").save(tmp_path / "a.jpg", quality=95)
    command = ["docker", "run", "--rm", "--read-only", "--network", "none", "-v", f"{tmp_path}:/work"]
    done = subprocess.run(
        [*command, "guetzpy-test", "optimize", "a.jpg", "-o", "b.jpg"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "compiling" not in done.stderr
    assert (tmp_path / "b.jpg").stat().st_size < (tmp_path / "a.jpg").stat().st_size
    user = subprocess.run(
        [*command, "--entrypoint", "id", "guetzpy-test", "-u"], capture_output=True, text=True
    )
    assert user.stdout.strip() == "1000"


def test_image_has_all_that_the_build_needs(repository: Path) -> None:
    """.dockerignore does not exclude the files that the Dockerfile copies, and the user is not root."""
    recipe = (repository / "Dockerfile").read_text()
    kept = {line[1:] for line in (repository / ".dockerignore").read_text().splitlines() if line[:1] == "!"}
    copied = [
        line.split()[1:-1]
        for line in recipe.splitlines()
        if line.startswith("COPY ") and "--from" not in line
    ]
    assert {name for names in copied for name in names} == kept
    assert all((repository / name).exists() for name in kept)
    assert re.search(r"^USER 1000$", recipe, re.MULTILINE)
    assert recipe.index("guetzpy warmup") < recipe.index("USER 1000")


def test_recipes_have_the_requirements_of_the_project(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    recipe = (repository / "docs/packaging/conda/meta.yaml").read_text()
    for requirement in project["dependencies"]:
        name, version = requirement.split(">=")
        assert f"- {name} >={version}\n" in recipe, requirement
    assert f'set version = "{guetzpy.__version__}"' in recipe
    assert (
        f"guetzpy-{guetzpy.__version__}.tar.gz"
        in (repository / "docs/packaging/homebrew/guetzpy.rb").read_text()
    )


def test_action_is_well_formed(repository: Path) -> None:
    """Every step has a shell. No script contains an expression, since it could run the name of a branch."""
    yaml = pytest.importorskip("yaml")
    action = yaml.safe_load((repository / "action.yml").read_text())
    steps = action["runs"]["steps"]
    for step in steps:
        assert "uses" in step or step["shell"] == "bash"
        assert "${{" not in step.get("run", "")
    used = set(re.findall(r"inputs\.(\w+)", (repository / "action.yml").read_text()))
    assert used == set(action["inputs"])
    for path in re.findall(r"\$ACTION_PATH/([\w./]+)", (repository / "action.yml").read_text()):
        assert (repository / path).is_file()


def git(*arguments: str) -> str:
    identity = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a"}
    done = subprocess.run(
        ["git", *arguments], check=True, capture_output=True, text=True,
        env=os.environ | identity | {"GIT_COMMITTER_EMAIL": "a@b"},
    )  # fmt: skip
    return done.stdout.strip()


@pytest.mark.skipif(shutil.which("git") is None, reason="no git")
def test_comment_of_a_pull_request(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photo_array: Any
) -> None:
    """The comment lists only JPEG files that the branch adds, with quoted names, and files that failed."""
    monkeypatch.chdir(tmp_path)
    git("init", "-q")
    picture = Image.fromarray(photo_array[:48, :48])
    picture.save("old.jpg", quality=99)
    git("add", "-A")
    git("commit", "-qm", "base")
    base = git("rev-parse", "HEAD")
    picture.save("new | `x`.jpg", format="JPEG", quality=99)
    Path("broken.jpg").write_bytes(b"\xff\xd8\xff\xe0broken")
    Path("text.txt").write_text("text")
    git("add", "-A")
    git("commit", "-qm", "branch")
    output = tmp_path / "outputs"
    subprocess.run(
        [
            *(sys.executable, str(repository / ".github" / "pull_request_pictures.py"), "--base", base),
            *("--distance", "1.0", "--threshold", "5", "--output", "comment.md"),
        ],
        check=True,
        env=os.environ | {"GITHUB_OUTPUT": str(output), "PYTHONPATH": str(repository)},
    )
    comment = Path("comment.md").read_text()
    assert "1 of 2 JPEG files can be smaller at distance 1.0" in comment
    assert "| `new ¦ 'x'.jpg` | " in comment
    assert "| `broken.jpg` | | | failed: " in comment
    assert "old.jpg" not in comment
    assert output.read_text().startswith("files=1\nsaved=")


def test_comment_without_findings_and_with_many(script: ModuleType) -> None:
    record = {"input": "./a.jpg", "status": "kept", "error": None, "bytes_before": 100, "bytes_after": 100}
    assert script.table([record], 5.0, "1")[0] == "guetzpy: none of 1 JPEG files can be 5 % smaller.\n"
    many = [json.loads(json.dumps(record | {"bytes_after": 50, "input": f"./{i}.jpg"})) for i in range(5000)]
    text, count, saved = script.table(many, 5.0, "1")
    assert (count, saved) == (5000, 250_000)
    assert "4900 more files are not listed" in text
    assert len(text) < 65_536
