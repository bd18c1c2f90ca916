"""Replace the shell transcripts of the pages by what the commands print now.

    python -m bench.transcript

Every ``console`` block of README.md and docs/tutorial.md is replaced. The commands of a page depend on the
commands before them.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


PAGES = (ROOT / "README.md", ROOT / "docs" / "tutorial.md")

_BLOCK = re.compile(r"(?<=^```console\n)(.*?)(?=^```$)", re.MULTILINE | re.DOTALL)


def transcript(command: str, folder: str) -> str:
    """Run a command in a folder; return the command with its output."""
    done = subprocess.run(
        [sys.executable, "-m", *shlex.split(command)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    lines = [line for line in done.stdout.splitlines() if "compiling kernels" not in line]
    return "".join(f"{line}\n" for line in (f"$ {command}", *lines))


def rewritten(text: str) -> str:
    """Return a page with new transcripts. The first command runs in a folder with the README's photo only."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(ROOT / "tests" / "data" / "coffee.jpg", folder)

        def anew(block: re.Match[str]) -> str:
            commands = re.findall(r"^\$ (.*)$", block[1], re.MULTILINE)
            return "".join(transcript(command, folder) for command in commands)

        return _BLOCK.sub(anew, text)


def main() -> None:
    """Write the pages."""
    for page in PAGES:
        page.write_text(rewritten(page.read_text()))


if __name__ == "__main__":
    main()
