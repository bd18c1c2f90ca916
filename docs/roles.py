"""A hook of mkdocs: docstrings name things by Sphinx roles; pages show the names alone."""

from __future__ import annotations

import re
from typing import Any


def on_page_content(html: str, **_: Any) -> str:
    """Return a page's HTML without the roles before code."""
    return re.sub(r":(?:class|func|meth|data|attr|mod):<code>~?(.*?)</code>", r"<code>\1</code>", html)
