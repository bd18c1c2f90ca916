"""Every block of code in README.md and docs/ is run, or it is an error; pages are in step with their sources.

A block is run as its language says: Python by itself, ``sh`` as commands, ``console`` with what it prints. A
comment above it, ``<!-- test: NAME -->``, names another way, one of WAYS.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from PIL import Image
from typer.main import get_command
from typer.testing import CliRunner

from guetzpy.cli import app

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
COMMANDS = get_command(app).commands  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Block:
    page: Path
    number: int
    language: str
    way: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.stem}-{self.number}-{self.way}"


def blocks(page: Path) -> Iterator[Block]:
    """All fenced blocks of a page."""
    pattern = r"^(?:<!-- test: (\S+) -->\n)?```(\S*)[^\n]*\n(.*?)^```$"
    for number, found in enumerate(re.findall(pattern, page.read_text(), re.MULTILINE | re.DOTALL)):
        way, language, text = found
        yield Block(page, number, language, way or language, text)


BLOCKS = [block for page in PAGES for block in blocks(page)]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a few small pictures, in which the blocks of the pages make sense."""
    with Image.open(ROOT / "tests" / "data" / "coffee.jpg") as coffee:
        exif = coffee.info["exif"]
        parts = [coffee.crop((x, 90, x + 128, 186)) for x in (180, 240, 300)]
    parts[0].save(tmp_path / "photo.jpg", quality=95, exif=exif)
    parts[0].save(tmp_path / "photo.png")
    (tmp_path / "photos" / "sub").mkdir(parents=True)
    for part, name in zip(parts, ("a.jpg", "b.jpg", "sub/c.jpg"), strict=True):
        part.save(tmp_path / "photos" / name, quality=95)
    shutil.copytree(tmp_path / "photos", tmp_path / "static")
    shutil.copy(ROOT / "tests" / "data" / "coffee.jpg", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


# Ways to run a block


def commands(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        for part in line.split("&&"):
            words = shlex.split(part, comments=True)
            if words:
                yield words


def invoke(words: list[str]) -> Any:
    assert words[0] == "guetzpy", words
    return CliRunner().invoke(app, words[1:])


def parse(words: list[str]) -> None:
    """Let the command line take a command apart, and do nothing."""
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
    """Run a block by bash, or by another Python, as a user would."""
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
    """Run a file that starts processes, which import it again. It writes as many files as it reads."""
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
    """The lines after ``$`` print what follows them; ``python -m bench.transcript`` writes that anew."""
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


def transcript(block: Block) -> Iterator[tuple[str, str]]:
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        line, _, printed = part.partition("\n")
        yield line, printed.strip("\n")


def without_numbers(text: str) -> str:
    """The same bytes on other processors are not promised; words, order and signs are."""
    return re.sub(r" +", " ", re.sub(r"\d+(?:[ .]\d+)*", "N", text))


def check_install(block: Block, desk: Path) -> None:
    """What pip is asked for exists; other commands are understood."""
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


def check_pre_commit(block: Block, desk: Path) -> None:
    yaml = pytest.importorskip("yaml")
    (repository,) = yaml.safe_load(block.text)["repos"]
    known = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
    for hook in repository["hooks"]:
        words = [*shlex.split(known[hook["id"]]["entry"]), *hook["args"], "photo.jpg"]
        assert invoke(words).exit_code == 0


def check_toml(block: Block, desk: Path) -> None:
    """A file of defaults, which `guetzpy config` takes."""
    (desk / "guetzpy.toml").write_text(block.text)
    done = invoke(["guetzpy", "config"])
    assert done.exit_code == 0, done.output
    assert "guetzpy.toml" in done.output


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
    if importlib.util.find_spec("willow") is None:  # importing it asks for Django's settings, here
        pytest.skip("no Willow")
    work = (
        "from willow.registry import registry\n"
        "assert [o.library_name for o in registry.get_optimizers_for_format('jpeg')] == ['guetzpy']"
    )
    _in_django(block, desk, ["media.apps.MediaConfig"], work)


def check_settings(block: Block, desk: Path) -> None:
    """Settings name what the blocks beside them define."""
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


#: How blocks are run; those that need more time or packages than the default suite has, with their marker.
WAYS: dict[str, tuple[Callable[[Block, Path], None], str | None]] = {
    "python": (run_python, None),
    "sh": (run_commands, None),
    "console": (run_transcript, None),
    "yaml": (check_yaml, None),
    "toml": (check_toml, None),
    "dockerfile": (check_dockerfile, None),
    "slow": (run_shell, "slow"),
    "script": (run_script, "slow"),
    "check": (run_check, "slow"),
    "install": (check_install, None),
    "fresh-machine": (check_fresh_machine, None),
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
    """A case for each block, but one for all transcripts of a page, whose commands build on each other."""
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
    """A fence without a language, or with one that nothing runs, is an error."""
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
        request.node.add_marker(pytest.mark.filterwarnings("ignore"))  # of other people's packages
    way(block, desk)


# README and pages


def test_readme_transcript_tells_of_smaller_files(desk: Path) -> None:
    (block,) = [b for b in blocks(ROOT / "README.md") if b.way == "console"]
    assert [shlex.split(line)[1] for line, _ in transcript(block)] == ["optimize", "compare", "transcode"]
    for line, _ in transcript(block):
        invoke(shlex.split(line))
    before = os.path.getsize("coffee.jpg")
    assert os.path.getsize("smaller.jpg") < os.path.getsize("same-pixels.jpg") < before


def test_pictures_of_the_readme_show_the_bytes_of_its_transcript() -> None:
    """After a change of bytes: python -m bench.transcript, and python docs/make_figures.py."""
    found = json.loads((DOCS / "figures" / "distances.json").read_text())["coffee"]
    readme = (ROOT / "README.md").read_text()
    before, after = (f"{size:,}" for size in found.values())
    assert f"before, {before} bytes; the right half after, {after} bytes](docs/figures/before-after" in readme
    spaced = (before.replace(",", " "), after.replace(",", " "))
    assert "guetzpy: coffee.jpg: {} -> {} bytes".format(*spaced) in readme


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_and_pictures_exist(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        assert "://" in target or (page.parent / target).exists(), target


def test_every_option_has_help() -> None:
    assert set(COMMANDS) >= {"optimize", "transcode", "compare", "inspect", "warmup"}
    for name, command in COMMANDS.items():
        assert command.help, name
        for parameter in command.params:
            assert parameter.help, f"{name}: {parameter.name}"


def test_readme_names_every_command() -> None:
    for name in COMMANDS:
        assert f"`{name}`" in (ROOT / "README.md").read_text(), name


def script(name: str) -> ModuleType:
    """A script of docs/ as a module."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_reference_of_the_command_line_is_in_step() -> None:
    """After a change of options: python docs/make_reference.py."""
    assert script("make_reference").main(["--check"]) == 0


def test_reference_names_every_public_name() -> None:
    import guetzpy

    pages = "".join(page.read_text() for page in (DOCS / "reference" / "api").glob("*.md"))
    listed = re.findall(r"^::: (\S+)$", pages, re.MULTILINE)
    assert len(listed) == len(set(listed)), "a name stands on two pages"
    for name in guetzpy.__all__:
        if name not in ("__version__", "batch", "metrics"):
            assert f"guetzpy.{name}" in listed, name
    for room in (guetzpy.batch, guetzpy.metrics):
        missing = {f"{room.__name__}.{name}" for name in room.__all__} - set(listed)
        assert not missing - {"guetzpy.batch.Skipped", "guetzpy.batch.Task"}


def test_manual_page_has_every_option() -> None:
    manual = (DOCS / "guetzpy.1").read_text().replace("\\-", "-")
    for name, command in COMMANDS.items():
        assert f".SH {name.upper()}\n" in manual
        for parameter in command.params:
            assert (
                parameter.opts[0] if parameter.param_type_name == "option" else parameter.metavar
            ) in manual


@pytest.mark.foreign
def test_manual_page_is_clean_roff() -> None:
    if shutil.which("groff") is None:
        pytest.skip("no groff")
    command = ["groff", "-man", "-ww", "-Tutf8", "-z", str(DOCS / "guetzpy.1")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_table_of_distances_is_in_step() -> None:
    """After a change of the figures: python docs/make_figures.py."""
    pytest.importorskip("skimage")
    found = json.loads((DOCS / "figures" / "distances.json").read_text())
    page = (DOCS / "choosing.md").read_text()
    assert script("make_figures").with_tables(page, found) == page
    for row in found["shown"]:
        assert (DOCS / "figures" / f"chelsea-{row['asked']:g}.jpg").stat().st_size == row["bytes"]


def test_table_of_starts_is_in_step() -> None:
    """It is written by: python -m bench start."""
    from bench.timing import start

    found = json.loads((ROOT / "bench" / "results" / "start.json").read_text())
    assert set(found["measures"]) == set(start.MEASURES)
    page = (DOCS / "limits.md").read_text()
    assert start.with_table(page, found) == page


@pytest.mark.slow
def test_figures_can_be_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("skimage")
    script("make_figures").main(["--output", str(tmp_path)])
    drawn = {path.name for path in tmp_path.iterdir()}
    assert drawn == {path.name for path in (DOCS / "figures").iterdir()}


@pytest.mark.integrations
def test_documentation_is_built_without_warnings(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > len(PAGES) - 2
    for page in pages:
        text = page.read_text()
        fetched = re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"?(?:https?:)?//[^\s\">]+", text)
        assert fetched == [], page  # nothing comes from elsewhere
        assert ":class:" not in text
        assert ":data:" not in text
