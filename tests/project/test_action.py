"""The GitHub Action that comments the savings of a pull request. Its steps are run as a runner does."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import venv
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

MARK = "<!-- guetzpy: savings -->\n"

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="no git")


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


def test_action_is_well_formed(repository: Path) -> None:
    """Every step has a shell. No script contains an expression, since it could run the name of a branch."""
    yaml = pytest.importorskip("yaml")
    text = (repository / "action.yml").read_text()
    action = yaml.safe_load(text)
    for step in action["runs"]["steps"]:
        assert "uses" in step or step["shell"] == "bash"
        assert "${{" not in step.get("run", "")
    assert set(re.findall(r"inputs\.(\w+)", text)) == set(action["inputs"])
    known = {step["id"] for step in action["runs"]["steps"] if "id" in step}
    assert set(re.findall(r"steps\.(\w+)\.", text)) == known
    for path in re.findall(r"\$ACTION_PATH/([\w./]+)", text):
        assert (repository / path).is_file()


def git(*arguments: str) -> str:
    identity = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a"}
    done = subprocess.run(
        ["git", *arguments], check=True, capture_output=True, text=True,
        env=os.environ | identity | {"GIT_COMMITTER_EMAIL": "a@b"},
    )  # fmt: skip
    return done.stdout.strip()


@pytest.fixture
def branch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photo_array: Any) -> str:
    """Make a branch that adds two JPEG files, one of them broken, and return the commit that it begins at."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    git("init", "-q")
    picture = Image.fromarray(photo_array[:48, :48])
    picture.save("old.jpg", quality=99)
    picture.rotate(90).save("before.jpg", quality=99)
    git("add", "-A")
    git("commit", "-qm", "base")
    base = git("rev-parse", "HEAD")
    picture.save("new | `x`.jpg", format="JPEG", quality=99)
    Path("broken.jpg").write_bytes(b"\xff\xd8\xff\xe0broken")
    Path("text.txt").write_text("text")
    Path("text.jpg").write_text("text")
    Path("before.jpg").rename("renamed.jpg")
    git("add", "-A")
    git("commit", "-qm", "branch")
    return base


@needs_git
def test_comment_of_a_pull_request(repository: Path, tmp_path: Path, branch: str) -> None:
    """The comment lists only JPEG files that the branch adds, with quoted names, and files that failed."""
    output = tmp_path / "outputs"
    subprocess.run(
        [
            *(sys.executable, str(repository / ".github" / "pull_request_pictures.py"), "--base", branch),
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
    assert "renamed.jpg" not in comment
    assert output.read_text().startswith("files=1\nsaved=")


@needs_git
def test_a_checkout_without_the_base_says_what_is_missing(repository: Path, branch: str) -> None:
    """actions/checkout fetches one commit by default, so git does not know the base."""
    done = subprocess.run(
        [
            *(sys.executable, str(repository / ".github" / "pull_request_pictures.py"), "--base", "0" * 40),
            *("--distance", "1.0", "--threshold", "5", "--output", "comment.md"),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "fetch-depth: 0" in done.stderr
    assert "Traceback" not in done.stderr


def test_comment_without_findings_and_with_many(script: ModuleType) -> None:
    record = {
        "input": "./a.jpg",
        "status": "kept",
        "reason": None,
        "error": None,
        "bytes_before": 100,
        "bytes_after": 100,
    }
    assert script.table([record], 5.0, "1")[0] == "guetzpy: none of 1 JPEG files can be 5 % smaller.\n"
    assert script.table([], 5.0, "1")[0] == "guetzpy: this pull request adds and changes no JPEG files.\n"
    many = [json.loads(json.dumps(record | {"bytes_after": 50, "input": f"./{i}.jpg"})) for i in range(5000)]
    text, count, saved = script.table(many, 5.0, "1")
    assert (count, saved) == (5000, 250_000)
    assert "4900 more files are not listed" in text
    assert len(text) < 65_536


@dataclass
class Forge:
    """A server with the part of GitHub's API that the action uses."""

    url: str = ""
    may_write: bool = True
    comments: list[dict[str, Any]] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)

    def answer(self, method: str, path: str, body: dict[str, str]) -> tuple[int, Any]:
        place, _, query = path.partition("?")
        if method == "GET":
            (page,) = re.findall(r"page=(\d+)$", query)
            assert place == "/repos/me/site/issues/7/comments"
            return 200, self.comments[100 * (int(page) - 1) : 100 * int(page)]
        if not self.may_write:
            return 403, {"message": "Resource not accessible by integration"}
        if method == "POST":
            assert place == "/repos/me/site/issues/7/comments"
            self.comments.append({"id": len(self.comments)} | body)
            return 201, self.comments[-1]
        number = int(place.removeprefix("/repos/me/site/issues/comments/"))
        self.comments[number] |= body
        return 200, self.comments[number]


@pytest.fixture
def forge() -> Iterator[Forge]:
    forge = Forge()

    class Handler(BaseHTTPRequestHandler):
        def handle_one(self) -> None:
            forge.tokens.add(self.headers["Authorization"])
            sent = self.rfile.read(int(self.headers["Content-Length"] or 0))
            status, found = forge.answer(self.command, self.path, json.loads(sent or b"{}"))
            data = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = handle_one

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    forge.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield forge
    server.shutdown()
    thread.join()
    server.server_close()


def comment(repository: Path, folder: Path, forge: Forge, text: str, files: int) -> str:
    """Run the script that writes the comment, and return what it printed."""
    (folder / "event.json").write_text('{"pull_request": {"number": 7}}')
    (folder / "table.md").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [
            *(sys.executable, str(repository / ".github" / "pull_request_comment.py")),
            *(str(folder / "table.md"), str(files)),
        ],
        capture_output=True,
        text=True,
        env=os.environ
        | {"GITHUB_API_URL": forge.url, "GITHUB_EVENT_PATH": str(folder / "event.json")}
        | {"GITHUB_REPOSITORY": "me/site", "GITHUB_TOKEN": "secret", "no_proxy": "127.0.0.1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_one_comment_is_updated(repository: Path, tmp_path: Path, forge: Forge) -> None:
    """Later runs update the comment of the first, and leave comments of people and of other workflows."""
    forge.comments = [{"id": i, "body": f"comment {i}" if i else None} for i in range(130)]
    comment(repository, tmp_path, forge, "nothing\n", 0)
    assert len(forge.comments) == 130  # without a finding there is nothing to say
    comment(repository, tmp_path, forge, "two files\n", 2)
    forge.comments.append({"id": 131, "body": "thanks"})
    comment(repository, tmp_path, forge, "none ¦ left\n", 0)
    assert [one["body"] for one in forge.comments[129:]] == ["comment 129", MARK + "none ¦ left\n", "thanks"]
    assert forge.tokens == {"Bearer secret"}


def test_without_the_permission_the_job_goes_on(repository: Path, tmp_path: Path, forge: Forge) -> None:
    forge.may_write = False
    printed = comment(repository, tmp_path, forge, "two files\n", 2)
    assert printed == "::warning::the comment needs the permission pull-requests: write\n"


class Runner:
    """Runs the shell steps of an action with the variables, files and expressions of a runner."""

    def __init__(self, repository: Path, folder: Path, base: str, url: str, inputs: dict[str, str]) -> None:
        yaml = pytest.importorskip("yaml")
        action = yaml.safe_load((repository / "action.yml").read_text())
        self._steps = action["runs"]["steps"]
        event = {"pull_request": {"number": 7, "base": {"sha": base}}}
        (folder / "event.json").write_text(json.dumps(event))
        self._values = {
            "github.action_path": str(repository), "github.event_name": "pull_request",
            "github.event.pull_request.base.sha": base, "github.token": "secret",
        }  # fmt: skip
        for name, one in action["inputs"].items():
            self._values[f"inputs.{name}"] = inputs.get(name, self._filled(one["default"]))
        self._environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            "GITHUB_API_URL": url, "GITHUB_REPOSITORY": "me/site", "RUNNER_TEMP": str(folder),
            "GITHUB_EVENT_PATH": str(folder / "event.json"), "GITHUB_OUTPUT": str(folder / "output"),
            "GITHUB_STEP_SUMMARY": str(folder / "summary.md"), "no_proxy": "127.0.0.1",
        }  # fmt: skip

    def _filled(self, text: str) -> str:
        """Return a text with the values of its expressions."""
        return re.sub(r"\$\{\{ ?([\w.]+) ?\}\}", lambda found: self._values[found[1]], text)

    def _holds(self, condition: str) -> bool:
        for part in condition.split(" && "):
            name, sign, wanted = re.fullmatch(r"([\w.]+) (==|!=) '(.*)'", part).groups()  # type: ignore[union-attr]
            if (self._values[name] == wanted) != (sign == "=="):
                return False
        return True

    def run(self) -> int:
        """Run the steps, and return the exit code of the last one."""
        code = 0
        for step in self._steps:
            if "run" not in step or not self._holds(step.get("if", "inputs.fail != ''")):
                continue
            output = Path(self._environment["GITHUB_OUTPUT"])
            output.write_text("")
            environment = {name: self._filled(str(value)) for name, value in step.get("env", {}).items()}
            code = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
                env=self._environment | environment,
            ).returncode
            for line in output.read_text().splitlines():
                name, _, value = line.partition("=")
                self._values[f"steps.{step['id']}.outputs.{name}"] = value
            if code:
                return code
        return code


@needs_git
@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="runs bash")
@pytest.mark.parametrize("fail", ["false", "true"])
def test_steps_of_the_action(
    repository: Path, tmp_path: Path, branch: str, forge: Forge, monkeypatch: pytest.MonkeyPatch, fail: str
) -> None:
    """The steps install the action, write the summary and the comment, and end the job if that is asked."""
    pytest.importorskip("hatchling")
    venv.create(tmp_path / "guetzpy", with_pip=True)
    (place,) = (tmp_path / "guetzpy").glob("lib/python*/site-packages")
    (place / "borrowed.pth").write_text(f"{Path(pytest.__file__).parents[1]}\n")  # what pip would download
    for name in ("PIP_NO_DEPS", "PIP_NO_INDEX"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("PIP_NO_BUILD_ISOLATION", "0")  # pip takes 0 here for "no isolation"
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    runner = Runner(repository, tmp_path, branch, forge.url, {"fail": fail})
    assert runner.run() == (fail == "true")
    summary = (tmp_path / "summary.md").read_text()
    assert "1 of 2 JPEG files can be smaller at distance 1.0" in summary
    assert [one["body"] for one in forge.comments] == [MARK + summary]
    assert forge.tokens == {"Bearer secret"}
