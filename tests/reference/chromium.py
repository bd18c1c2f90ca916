"""A page in Chromium: what it says, requests and shows."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

__all__ = ["DESK", "PHONE", "Watched", "pixel", "screen"]

DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


class Watched:
    """A page with its console messages, errors and requests."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.context = browser.new_context(**({"viewport": DESK} | options))
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.said.append("a script asked"), dialog.dismiss()))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())

    def close(self) -> None:
        self.context.close()
        assert self.said == []
        assert [url for url in self.asked if not url.startswith(("data:", "file:"))] == []


def pixel(page: Any, selector: str, x: float, y: float) -> tuple[int, ...]:
    """Return the colour on the screen at a share of an element's width and height."""
    picture = Image.open(io.BytesIO(page.locator(selector).screenshot())).convert("RGB")
    return picture.getpixel((int(x * (picture.width - 1)), int(y * (picture.height - 1))))


def screen(page: Any) -> Any:
    """Return the pictures on the screen as signed codes."""
    with Image.open(io.BytesIO(page.locator("#layers").screenshot())) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)
