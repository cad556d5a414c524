"""Drives a headless Chromium over a pair of pipes, with nothing but the standard library.

The DevTools protocol is JSON, each message ended by a zero byte. `Page` collects what a test of
a page wants to know: errors, messages on the console, and every request that was made.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS_MAX: Final = 120
"""Only there so that a browser that hangs fails the test instead of stopping it."""

_LAUNCH: Final = """
import os, sys
reading, writing = int(sys.argv[1]), int(sys.argv[2])
os.dup2(reading, 3)
os.dup2(writing, 4)
os.execvp(sys.argv[3], sys.argv[3:])
"""
"""The browser reads from descriptor 3 and writes to 4; ours have other numbers."""

Message = Mapping[str, Any]


def browser() -> str:
    """The path of a Chromium; a missing one fails the test, it does not skip it."""
    for name in (os.environ.get("TROTH_BROWSER", ""), *NAMES):
        found = shutil.which(name) if name else None
        if found:
            return found
    raise AssertionError(
        "these tests open pages in a browser: run 'sudo apt-get install chromium' once, "
        "or name one with TROTH_BROWSER=/path/to/chromium"
    )


class BrowserError(AssertionError):
    """The browser refused a command, or does not answer."""


class Browser:
    """One process; close it when done."""

    def __init__(self, profile: Path) -> None:
        to_browser, self._writing = _pipe()
        self._reading, from_browser = _pipe()
        self._log = (profile / "log").open("wb")
        command = [
            browser(), "--headless=new", "--no-sandbox", "--remote-debugging-pipe",
            f"--user-data-dir={profile / 'data'}", "--no-first-run", "--disable-gpu",
            "--disable-background-networking", "--disable-component-update",
            "--disable-default-apps", "--disable-extensions", "--disable-sync",
            "--disable-dev-shm-usage", "--hide-scrollbars", "--force-color-profile=srgb",
            "about:blank",
        ]  # fmt: skip
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCH, str(to_browser), str(from_browser), *command],
            pass_fds=(to_browser, from_browser),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._buffer = b""
        self._number = 0
        self.events: list[Message] = []

    def call(self, method: str, session: str = "", **parameters: object) -> Any:
        """Sends one command and waits for its answer; events that come meanwhile are kept."""
        self._number += 1
        message: dict[str, object] = {
            "id": self._number, "method": method, "params": parameters
        }  # fmt: skip
        if session:
            message["sessionId"] = session
        os.write(self._writing, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def _receive(self) -> Message:
        deadline = time.monotonic() + SECONDS_MAX
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._reading], [], [], deadline - time.monotonic())
            data = os.read(self._reading, 1 << 20) if ready else b""
            if not data:
                raise BrowserError(f"the browser does not answer (log: {self._log.name})")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: Message = json.loads(line)
        return message

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for descriptor in (self._reading, self._writing):
            os.close(descriptor)
        self._log.close()


def _pipe() -> tuple[int, int]:
    """Two descriptors that do not collide with 3 and 4."""
    low = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in low]
    for end in low:
        os.close(end)
    return high[0], high[1]


class Page:
    """One page in a browser, and everything that it complained about or asked for."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        attached = browser.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session: str = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: object) -> Any:
        return self.browser.call(method, self.session, **parameters)

    def resize(self, width: int, height: int, *, scale: float = 1, mobile: bool = False) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=mobile,
        )

    def scheme(self, name: str) -> None:
        """`light` or `dark`, as the system would have it."""
        features = [{"name": "prefers-color-scheme", "value": name}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def open(self, path: Path) -> None:
        """Opens a file from disk and waits until all of it has been read."""
        self.browser.events.clear()
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.wait("document.readyState === 'complete'")

    def wait(self, condition: str) -> None:
        deadline = time.monotonic() + SECONDS_MAX
        while not self.evaluate(condition):
            if time.monotonic() > deadline:
                raise BrowserError(f"this never became true: {condition}; {self.complaints()}")
            self.settle()

    def settle(self) -> None:
        """Waits for two frames, so that what was asked for has been drawn."""
        frames = "new Promise(r => requestAnimationFrame(() => requestAnimationFrame(() => r(1))))"
        self.evaluate(frames)

    def evaluate(self, expression: str) -> Any:
        result = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in result:
            raise BrowserError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def press(self, key: str, *, shift: bool = False) -> None:
        """One key, as a person would press it."""
        text = key if len(key) == 1 else "\r" if key == "Enter" else ""
        facts: dict[str, object] = {"key": key, "code": key, "modifiers": 8 if shift else 0}
        if key in _KEY_CODES:
            facts["windowsVirtualKeyCode"] = _KEY_CODES[key]
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **facts)
        self.call("Input.dispatchKeyEvent", type="keyUp", **facts)
        self.settle()

    def type(self, text: str) -> None:
        for character in text:
            self.press(character)

    def click(self, selector: str) -> None:
        """With the pointer, in the middle of an element."""
        place = self.evaluate(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block: 'center'}); const b = e.getBoundingClientRect();"
            "return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call(
                "Input.dispatchMouseEvent",
                type=kind, x=place[0], y=place[1], button="left", clickCount=1,
            )  # fmt: skip
        self.settle()

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def pdf(self) -> bytes:
        return base64.b64decode(self.call("Page.printToPDF", printBackground=True)["data"])

    def complaints(self) -> list[str]:
        """Errors, warnings and whatever was said on the console, since the page was opened."""
        self.call("Runtime.evaluate", expression="0")
        found = []
        for event in self.browser.events:
            method, parameters = event.get("method"), event.get("params", {})
            if method == "Runtime.exceptionThrown":
                found.append(str(parameters["exceptionDetails"]))
            elif method == "Runtime.consoleAPICalled":
                found.append(f"console: {parameters['args']}")
            elif method == "Log.entryAdded":
                found.append(str(parameters["entry"]["text"]))
            elif method == "Page.javascriptDialogOpening":
                found.append(f"dialog: {parameters['message']}")
        return found

    def requests(self) -> list[str]:
        """The address of everything that the page asked for, itself the first."""
        return [
            event["params"]["request"]["url"]
            for event in self.browser.events
            if event.get("method") == "Network.requestWillBeSent"
        ]

    def answered(self) -> list[str]:
        """The address of everything that the page got."""
        return [
            event["params"]["response"]["url"]
            for event in self.browser.events
            if event.get("method") == "Network.responseReceived"
        ]


_KEY_CODES: Final[Mapping[str, int]] = {
    "Tab": 9, "Enter": 13, "Escape": 27, "PageUp": 33, "PageDown": 34, "End": 35, "Home": 36,
    "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, " ": 32,
}  # fmt: skip


@contextmanager
def running() -> Iterator[Browser]:
    """A browser with a profile of its own, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="troth-browser-") as profile:
        started = Browser(Path(profile))
        try:
            yield started
        finally:
            started.close()
