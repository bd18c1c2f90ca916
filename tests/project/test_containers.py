"""The container, and the recipes for other package managers."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import guetzpy


@pytest.mark.slow
def test_image_runs_read_only(repository: Path, tmp_path: Path) -> None:
    """The image runs without root, network and a writable root file system, and compiles nothing."""
    program = shutil.which("docker")
    if program is None or subprocess.run([program, "info"], capture_output=True).returncode:
        pytest.skip("no Docker daemon")
    # The network of the host, since some hosts give containers none.
    build = ["docker", "build", "-q", "--network", "host", "-t", "guetzpy-test", str(repository)]
    subprocess.run(build, check=True)
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


@pytest.fixture
def project(repository: Path) -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((repository / "pyproject.toml").read_text())
    return table


def test_recipe_for_conda_says_what_pyproject_says(repository: Path, project: dict[str, Any]) -> None:
    """The recipe is rendered as conda-build renders it, and its fields are those of the project."""
    yaml = pytest.importorskip("yaml")
    import jinja2

    text = (repository / "docs/packaging/conda/meta.yaml").read_text()
    least = project["project"]["requires-python"].removeprefix(">=")
    rendered = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(text)
    recipe = yaml.safe_load(rendered.render(PYTHON="python", python_min=least))
    table = project["project"]
    assert recipe["package"] == {"name": table["name"], "version": guetzpy.__version__}
    assert recipe["source"]["url"].endswith(f"/guetzpy-{guetzpy.__version__}.tar.gz")
    needed = [re.sub(r"(?=>=)", " ", one) for one in table["dependencies"]]
    assert recipe["requirements"]["run"] == [f"python >={least}", *needed]
    built = [re.sub(r"(?=>=)", " ", one) for one in project["build-system"]["requires"]]
    assert recipe["requirements"]["host"] == [f"python {least}", "pip", *built]
    assert recipe["build"]["noarch"] == "python"
    assert recipe["build"]["entry_points"] == [f"{n} = {f}" for n, f in table["scripts"].items()]
    assert recipe["about"]["license"] == table["license"]
    assert recipe["about"]["license_file"] == table["license-files"]
    assert recipe["about"]["summary"] == table["description"]
    assert recipe["test"]["imports"] == [table["name"]]


def test_formula_for_homebrew_says_what_pyproject_says(repository: Path, project: dict[str, Any]) -> None:
    formula = (repository / "docs/packaging/homebrew/guetzpy.rb").read_text()
    table = project["project"]
    fields = dict(
        re.findall(r'^  (desc|homepage|url|sha256|license|depends_on) "(.*)"$', formula, re.MULTILINE)
    )
    assert fields["license"] == table["license"]
    assert fields["url"].endswith(f"/guetzpy-{guetzpy.__version__}.tar.gz")
    # brew audit: at most 80 characters, without an article at the start or a full stop at the end.
    assert len(fields["desc"]) < 80
    assert table["description"].startswith(fields["desc"])
    version = fields["depends_on"].removeprefix("python@")
    assert tuple(map(int, version.split("."))) >= (3, 11)
    assert formula.count(f"python{version}") >= 2
    for page in re.findall(r'man1\.install "(.*)"', formula):
        assert (repository / page).is_file()
    if (ruby := shutil.which("ruby")) is not None:
        subprocess.run([ruby, "-c"], input=formula, text=True, check=True, capture_output=True)
