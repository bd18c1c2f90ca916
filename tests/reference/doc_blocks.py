"""Blocks of code in the documentation."""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

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
    """Return all fenced blocks of a page."""
    pattern = r"^(?:<!-- test: (\S+) -->\n)?```(\S*)[^\n]*\n(.*?)^```$"
    for number, found in enumerate(re.findall(pattern, page.read_text(), re.MULTILINE | re.DOTALL)):
        way, language, text = found
        yield Block(page, number, language, way or language, text)


def invoke(words: list[str]) -> Any:
    assert words[0] == "guetzpy", words
    return CliRunner().invoke(app, words[1:])


def transcript(block: Block) -> Iterator[tuple[str, str]]:
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        line, _, printed = part.partition("\n")
        yield line, printed.strip("\n")


def script(name: str) -> ModuleType:
    """Return a script of docs/ as a module."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
