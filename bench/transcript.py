"""Write the README's shell transcript anew from what the commands print now: python -m bench.transcript."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def transcript(commands: list[str]) -> str:
    """Run commands beside the README's photo; return them with what they print."""
    shown = []
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(ROOT / "tests" / "data" / "coffee.jpg", folder)
        for command in commands:
            done = subprocess.run(
                [sys.executable, "-m", *shlex.split(command)],
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=True,
            )
            lines = [line for line in done.stdout.splitlines() if "compiling kernels" not in line]
            shown += [f"$ {command}", *lines]
    return "\n".join(shown)


def main() -> None:
    readme = ROOT / "README.md"
    text = readme.read_text()
    old = re.search(r"^```console\n(.*?)\n```$", text, re.MULTILINE | re.DOTALL)
    assert old is not None
    commands = re.findall(r"^\$ (.*)$", old[1], re.MULTILINE)
    readme.write_text(text.replace(old[1], transcript(commands)))


if __name__ == "__main__":
    main()
