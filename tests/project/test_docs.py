"""Every block of code in README.md and docs/ is run or checked.

The language of a block determines how: Python is executed, ``sh`` is run as commands, and the output of the
commands of ``console`` is compared. A comment above it, ``<!-- test: NAME -->``, names another way, one of
WAYS.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from reference.doc_blocks import COMMANDS, PAGES, ROOT, Block, blocks, invoke, transcript

BLOCKS = [block for page in PAGES for block in blocks(page)]


# Ways to run a block


def commands(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        for part in line.split("&&"):
            words = shlex.split(part, comments=True)
            if words:
                yield words


def parse(words: list[str]) -> None:
    """Parse a command by the command line's parser, without running it."""
    assert words[0] == "guetzpy", words
    COMMANDS[words[1]].make_context(words[1], list(words[2:]))


def outputs(text: str) -> list[str]:
    return re.findall(r"(?:-o|--report|--heatmap) ([\w./-]*[\w/])(?=\s|$)", text)


def run_python(block: Block, desk: Path) -> None:
    exec(compile(block.text, str(block), "exec"), {"__name__": "__main__"})


def run_commands(block: Block, desk: Path) -> None:
    for words in commands(block.text):
        if words[0] == "cp":
            shutil.copy(words[1], words[2])
            continue
        done = invoke(words)
        assert done.exit_code == 0, (words, done.output)
    for name in outputs(block.text):
        assert Path(name).stat().st_size > 0, name


def run_shell(block: Block, desk: Path, replaced: dict[str, str] | None = None) -> None:
    """Run a block by bash, or by a new Python process."""
    text = block.text
    for old, new in (replaced or {}).items():
        text = text.replace(old, new)
    program = desk / "bin" / "guetzpy"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m guetzpy "$@"\n')
    program.chmod(0o755)
    if block.language == "python":
        guarded = "if __name__ == '__main__':\n" + "".join(f"    {line}\n" for line in text.splitlines())
        (desk / "block.py").write_text(guarded)
        command = [sys.executable, "block.py"]
    else:
        command = ["bash", "-euo", "pipefail", "-c", text]
    environment = {**os.environ, "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=desk)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in outputs(text):
        assert os.path.exists(name), (name, done.stderr)


def run_script(block: Block, desk: Path) -> None:
    """Run a block that starts processes, which import its file again. It writes as many files as it reads."""
    pytest.importorskip("fsspec")
    (desk / "block.py").write_text(block.text)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "block.py"], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    read, written = (sorted(path.name for path in (desk / n).glob("*.jpg")) for n in ("photos", "small"))
    assert written == read
    assert [line.partition(":")[0] for line in sorted(done.stdout.splitlines())] == read


def run_check(block: Block, desk: Path) -> None:
    (words,) = commands(block.text)
    done = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True)
    assert done.returncode in (0, 3), done.stderr


def run_transcript(block: Block, desk: Path) -> None:
    """Check the output of the commands after ``$``. ``python -m bench.transcript`` updates it."""
    done = []
    for line, printed in transcript(block):
        result = invoke(shlex.split(line))
        assert result.exit_code == 0, result.output
        lines = [text for text in result.output.splitlines() if "compiling kernels" not in text]
        if platform.machine() in ("x86_64", "AMD64"):
            assert "\n".join(lines) == printed
        assert without_numbers("\n".join(lines)) == without_numbers(printed)
        done.append(line)
    assert done


def without_numbers(text: str) -> str:
    """Return text with N for each number. Other kinds of processors may give other numbers of bytes."""
    return re.sub(r" +", " ", re.sub(r"\d+(?:[ .]\d+)*", "N", text))


def check_install(block: Block, desk: Path) -> None:
    """Check that the extras that pip installs exist, and that other commands are valid."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for words in commands(block.text):
        if words[:2] == ["pip", "install"]:
            name, _, extras = words[2].rstrip("]").partition("[")
            assert name == project["name"]
            assert set(filter(None, extras.split(","))) <= set(project["optional-dependencies"])
        else:
            parse(words)


def check_fresh_machine(block: Block, desk: Path) -> None:
    main_job, tests = block.text.splitlines()
    assert "guetzpy optimize tests/data/coffee.jpg" in main_job
    assert tests.endswith("-m pytest")
    assert (ROOT / "tests" / "data" / "coffee.jpg").stat().st_size < 200_000


def check_yaml(block: Block, desk: Path) -> None:
    yaml = pytest.importorskip("yaml")
    steps = yaml.safe_load(block.text)
    assert any(step.get("run", "").startswith("guetzpy") for step in steps)
    for step in steps:
        for words in commands(step.get("run", "")):
            if words[0] == "guetzpy":
                parse(words)


def check_workflow(block: Block, desk: Path) -> None:
    """Check that a workflow gives the action of this repository only inputs that it has."""
    yaml = pytest.importorskip("yaml")
    inputs = yaml.safe_load((ROOT / "action.yml").read_text())["inputs"]
    jobs = yaml.safe_load(block.text)["jobs"].values()
    (step,) = [s for job in jobs for s in job["steps"] if s["uses"].startswith("guetzpy/")]
    assert set(step["with"]) <= set(inputs)


def check_pre_commit(block: Block, desk: Path) -> None:
    yaml = pytest.importorskip("yaml")
    (repository,) = yaml.safe_load(block.text)["repos"]
    known = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
    for hook in repository["hooks"]:
        words = [*shlex.split(known[hook["id"]]["entry"]), *hook["args"], "photo.jpg"]
        assert invoke(words).exit_code == 0


def check_toml(block: Block, desk: Path) -> None:
    """Check that `guetzpy config` accepts a file of defaults."""
    (desk / "guetzpy.toml").write_text(block.text)
    done = invoke(["guetzpy", "config"])
    assert done.exit_code == 0, done.output
    assert "guetzpy.toml" in done.output


def check_container(block: Block, desk: Path) -> None:
    """Check that the command in the image is valid. tests/project/test_containers.py runs such a command."""
    build, run = block.text.replace("\\\n", "").strip().splitlines()
    assert build.startswith("docker build -t guetzpy ")
    words = shlex.split(run)
    assert words[:2] == ["docker", "run"]
    parse(words[words.index("guetzpy") :])


def check_dockerfile(block: Block, desk: Path) -> None:
    assert block.text.startswith("RUN ")
    parse(list(commands(block.text))[-1])


def run_thumbor(block: Block, desk: Path) -> None:
    settings: dict[str, Any] = {}
    exec(block.text, settings)
    (name,) = settings["OPTIMIZERS"]
    optimizer = importlib.import_module(name).Optimizer(SimpleNamespace(config=SimpleNamespace(**settings)))
    data = (desk / "photo.jpg").read_bytes()
    assert optimizer.should_run(".jpg", data)
    assert len(optimizer.run_optimizer(".jpg", data)) < len(data)


def run_nikola(block: Block, desk: Path) -> None:
    settings: dict[str, Any] = {}
    exec(block.text, settings)
    before = (desk / "photo.jpg").stat().st_size
    for suffixes, filters in settings["FILTERS"].items():
        assert ".jpg" in suffixes
        filters[0]("photo.jpg")
    assert (desk / "photo.jpg").stat().st_size < before


def run_pelican(block: Block, desk: Path) -> None:
    pelican = pytest.importorskip("pelican")
    settings: dict[str, Any] = {}
    exec(block.text, settings)
    before = (desk / "photos" / "a.jpg").stat().st_size
    for name in settings["PLUGINS"]:
        importlib.import_module(name).register()
    site = SimpleNamespace(settings={**settings, "OUTPUT_PATH": str(desk / "photos")})
    pelican.signals.finalized.send(site)
    assert (desk / "photos" / "a.jpg").stat().st_size < before


_IN_DJANGO = """
import sys
import django
from django.conf import settings
settings.configure(
    MEDIA_ROOT="media", USE_TZ=True, SECRET_KEY="x", WILLOW_OPTIMIZERS=["guetzpy"], INSTALLED_APPS=@APPS@
)
django.setup()
data = open("photo.jpg", "rb").read()
@WORK@
"""


def _in_django(block: Block, desk: Path, apps: list[str], work: str) -> None:
    pytest.importorskip("django")
    comment, _, text = block.text.partition("\n")
    place = desk / comment.removeprefix("# ")
    place.parent.mkdir(exist_ok=True)
    (place.parent / "__init__.py").touch()
    place.write_text(text)
    script = _IN_DJANGO.replace("@APPS@", repr(apps)).replace("@WORK@", work)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(desk), str(ROOT)])}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


def run_django(block: Block, desk: Path) -> None:
    work = (
        "from django.core.files.base import ContentFile\nfrom shop.storage import MediaStorage\n"
        "storage = MediaStorage()\nname = storage.save('photo.jpg', ContentFile(data))\n"
        "assert 0 < storage.size(name) < len(data)"
    )
    _in_django(block, desk, [], work)


def run_wagtail(block: Block, desk: Path) -> None:
    if importlib.util.find_spec("willow") is None:  # an import would need Django's settings
        pytest.skip("no Willow")
    work = (
        "from willow.registry import registry\n"
        "assert [o.library_name for o in registry.get_optimizers_for_format('jpeg')] == ['guetzpy']"
    )
    _in_django(block, desk, ["media.apps.MediaConfig"], work)


def check_settings(block: Block, desk: Path) -> None:
    """Check that settings name the classes that other blocks of the page define."""
    settings: dict[str, Any] = {}
    exec(block.text, settings)
    page = block.page.read_text()
    if "STORAGES" in settings:
        assert "# shop/storage.py" in page
        assert "class MediaStorage(" in page
        assert settings["STORAGES"]["default"]["BACKEND"] == "shop.storage.MediaStorage"
    else:
        assert settings["WILLOW_OPTIMIZERS"] == ["guetzpy"]


def run_s3(block: Block, desk: Path) -> None:
    moto = pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    fsspec = pytest.importorskip("fsspec")
    server = moto.ThreadedMotoServer(port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        with pytest.MonkeyPatch.context() as patch:
            for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
                patch.setenv(name, "testing")
            patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
            patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
            system = fsspec.filesystem("s3", client_kwargs={"endpoint_url": f"http://{host}:{port}"})
            for bucket in ("photos", "web"):
                if not system.exists(bucket):
                    system.mkdir(bucket)
            for name in ("a.jpg", "sub/c.jpg"):
                system.pipe(f"photos/2026/{name}", (desk / "photos" / name).read_bytes())
            run_shell(block, desk)
            system.invalidate_cache()
            written = [name for name in system.find("web") if name.endswith(".jpg")]
            assert len(written) >= 2
    finally:
        server.stop()


def run_dask(block: Block, desk: Path) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None
    ) as local:
        run_shell(block, desk, {"tcp://scheduler:8786": local.scheduler_address})
    assert len(list((desk / "out").rglob("*.jpg"))) == 3


#: How blocks are run, and the marker of ways that need more time or packages than the default suite has.
WAYS: dict[str, tuple[Callable[[Block, Path], None], str | None]] = {
    "python": (run_python, None),
    "sh": (run_commands, None),
    "console": (run_transcript, None),
    "yaml": (check_yaml, None),
    "toml": (check_toml, None),
    "dockerfile": (check_dockerfile, None),
    "container": (check_container, None),
    "slow": (run_shell, "slow"),
    "script": (run_script, "slow"),
    "check": (run_check, "slow"),
    "install": (check_install, None),
    "fresh-machine": (check_fresh_machine, None),
    "workflow": (check_workflow, None),
    "pre-commit": (check_pre_commit, None),
    "settings": (check_settings, None),
    "thumbor": (run_thumbor, None),
    "nikola": (run_nikola, None),
    "pelican": (run_pelican, "integrations"),
    "django": (run_django, "integrations"),
    "wagtail": (run_wagtail, "integrations"),
    "s3": (run_s3, "integrations"),
    "dask": (run_dask, "integrations"),
}


def cases() -> Iterator[Any]:
    """Yield a case for each block, but one for all transcripts of a page, which depend on each other."""
    for page in PAGES:
        shown = [block for block in blocks(page) if block.way == "console"]
        if shown:
            whole = Block(page, shown[0].number, "console", "console", "".join(b.text for b in shown))
            yield pytest.param(whole, id=str(whole))
        for block in blocks(page):
            marker = WAYS[block.way][1] if block.way in WAYS else None
            if block.way != "console":
                marks = [getattr(pytest.mark, marker)] if marker else []
                yield pytest.param(block, id=str(block), marks=marks)


def test_every_block_has_a_way() -> None:
    """A block without a language, or with a language that no way handles, is an error."""
    assert len(BLOCKS) > 40
    assert [str(block) for block in BLOCKS if block.way not in WAYS] == []
    fences = sum(len(re.findall(r"^ *```", page.read_text(), re.MULTILINE)) for page in PAGES)
    assert fences == 2 * len(BLOCKS)
    assert {block.way for block in BLOCKS} == set(WAYS), "a way that no block takes"
    run = [case.values[0] for case in cases()]
    assert {(b.page, b.number) for b in BLOCKS if b.way != "console"} == {
        (b.page, b.number) for b in run if b.way != "console"
    }


@pytest.mark.parametrize("block", list(cases()))
def test_block(block: Block, desk: Path, request: pytest.FixtureRequest) -> None:
    way, marker = WAYS[block.way]
    if marker:
        request.node.add_marker(pytest.mark.filterwarnings("ignore"))  # warnings of other packages
    way(block, desk)
