"""A hook of mkdocs: removes Sphinx roles, such as ``:class:``, which docstrings have before names."""

from __future__ import annotations

import re
from typing import Any


def on_page_content(html: str, **_: Any) -> str:
    """Return a page's HTML without the Sphinx roles before names in code."""
    return re.sub(r":(?:class|func|meth|data|attr|mod):<code>~?(.*?)</code>", r"<code>\1</code>", html)
