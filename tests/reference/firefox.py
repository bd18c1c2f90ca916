"""Firefox without a window, driven by its own protocol (Marionette), for tests of pages.

Needs ``marionette_driver`` (PyPI) and a Firefox of the system.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

PROGRAM = shutil.which("firefox-esr") or shutil.which("firefox")

#: Keys by their names in WebDriver.
KEYS = {"ArrowLeft": "\ue012", "ArrowRight": "\ue014", "Escape": "\ue00c", "Tab": "\ue004", "Home": "\ue011"}

# A window of Firefox is at least 450 pixels wide; the page in it can be narrower.
_RESIZE = """
const browser = gBrowser.selectedBrowser;
for (const [name, value] of [["width", arguments[0]], ["height", arguments[1]]]) {
  browser.style.setProperty(`min-${name}`, `${value}px`);
  browser.style.setProperty(`max-${name}`, `${value}px`);
}
"""


class Firefox:
    """A browser with one page."""

    def __init__(self) -> None:
        from marionette_driver.marionette import Marionette

        # Marionette removes the file of this name first, so it must not be the null device.
        self._log = tempfile.TemporaryDirectory()
        self._driver = Marionette(
            bin=PROGRAM,
            gecko_log=os.path.join(self._log.name, "gecko.log"),
            headless=True,
            startup_timeout=300,
            prefs={"datareporting.policy.dataSubmissionEnabled": False},
        )
        self._driver.start_session()
        self._driver.timeout.script = 60
        self._driver.set_window_rect(width=1400, height=1100)

    def close(self) -> None:
        self._driver.delete_session()
        self._driver.cleanup()
        self._log.cleanup()

    def open(self, path: Path, width: int = 1280, height: int = 900, scheme: str = "light") -> None:
        """Open a file in a page of this size and colour scheme; its errors are collected."""
        with self._driver.using_context("chrome"):
            self._driver.execute_script(_RESIZE, script_args=(width, height))
            self._driver.set_pref("layout.css.prefers-color-scheme.content-override", int(scheme == "light"))
            self._driver.execute_script("Services.console.reset()")
        self._driver.navigate(path.as_uri())
        self.until(
            "return document.readyState === 'complete' && innerWidth === arguments[0]"
            " && matchMedia(`(prefers-color-scheme: ${arguments[1]})`).matches",
            width,
            scheme,
        )

    def errors(self) -> list[str]:
        """Return the errors and warnings of the page."""
        with self._driver.using_context("chrome"):
            return list(
                self._driver.execute_script(
                    "return Services.console.getMessageArray().filter((m) => m instanceof Ci.nsIScriptError"
                    " && m.sourceName.startsWith('file:')).map((m) => m.errorMessage)"
                )
            )

    def run(self, script: str, *arguments: Any) -> Any:
        """Run the body of a function in the page, and return its value."""
        return self._driver.execute_script(script, script_args=arguments, sandbox=None)

    def until(self, script: str, *arguments: Any) -> None:
        """Wait until a script returns a true value."""
        from marionette_driver import Wait

        Wait(self._driver, timeout=60).until(lambda _: self.run(script, *arguments))

    def click(self, selector: str) -> None:
        """Click the first visible element of a selector."""
        self.run(
            "const all = [...document.querySelectorAll(arguments[0])];"
            "const one = all.find((e) => e.getClientRects().length) ?? all[0];"
            "one.scrollIntoView({block: 'nearest'}); one.click()",
            selector,
        )

    def push(self, identifier: str) -> None:
        """Click an element by the mouse, as a person does."""
        left, top, width, height = self.run(
            "const b = document.getElementById(arguments[0]).getBoundingClientRect();"
            "return [b.left, b.top, b.width, b.height]",
            identifier,
        )
        mouse = self._driver.actions.sequence("pointer", "mouse", {"pointerType": "mouse"})
        mouse.pointer_move(int(left + width / 2), int(top + height / 2))
        mouse.pointer_down(0).pointer_up(0).perform()

    def move(self, x: float, y: float) -> None:
        """Move the mouse to a place in the page."""
        self._driver.actions.sequence("pointer", "mouse", {"pointerType": "mouse"}).pointer_move(
            int(x), int(y)
        ).perform()

    def press(self, key: str) -> None:
        """Press and release a key."""
        self._driver.actions.sequence("key", "keyboard").key_down(KEYS[key]).key_up(KEYS[key]).perform()

    def screenshot(self, path: Path) -> None:
        """Write what the page shows as a PNG file."""
        path.write_bytes(self._driver.screenshot(format="binary", full=False))
