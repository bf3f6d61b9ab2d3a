"""A headless Chromium, spoken to over a pipe: what a page does in it, what it says on its console, what it asks for."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

REQUIRED = os.environ.get("CALLCOST_REQUIRE_CHROMIUM") == "1"  # left there: the environment is cleared before tests run
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-pipe",
)  # fmt: skip
KEYS = {"End": 35, "ArrowRight": 39}  # numbers that they have in the protocol
TROUBLE = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")


def browser_path() -> str:
    """Return the browser's program; skip the test, or fail it where it is required, if there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        reason = "no Chromium: apt-get install -y --no-install-recommends chromium fonts-dejavu-core"
        if REQUIRED:
            pytest.fail(reason)
        pytest.skip(reason)
    return str(found)


@dataclasses.dataclass
class Page:
    """A page in a browser."""

    process: subprocess.Popen[bytes]
    to: int
    back: int
    session: str = ""
    number: int = 0
    held: bytes = b""
    events: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command of the DevTools protocol and return its answer."""
        self.number += 1
        words = {"id": self.number, "method": method, "params": params}
        os.write(self.to, json.dumps(words | ({"sessionId": self.session} if self.session else {})).encode() + b"\0")
        while True:
            message = self._read()
            if message.get("id") == self.number:
                assert "error" not in message, message
                return dict(message["result"])
            self.events.append(message)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self.held:
            block = os.read(self.back, 1 << 20)
            assert block, "the browser has ended"
            self.held += block
        line, _, self.held = self.held.partition(b"\0")
        return dict(json.loads(line))

    def open(self, path: Path, *, width: int, scheme: str) -> None:
        """Load a file at a width in a light or dark scheme; what went before is forgotten."""
        self.events.clear()
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.ask("Page.navigate", url=path.as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._read())

    def run(self, script: str) -> Any:
        """Return what an expression is worth on the page."""
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """Press a key and let it go."""
        for kind in ("rawKeyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=KEYS[key])

    @property
    def requests(self) -> list[str]:
        """Addresses that the page has asked for."""
        found = [event for event in self.events if event.get("method") == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"] for event in found]

    @property
    def trouble(self) -> list[dict[str, Any]]:
        """What the page has said on its console, errors and refusals of its policy included."""
        return [event["params"] for event in self.events if event.get("method") in TROUBLE]


@contextmanager
def open_browser(profile: Path) -> Iterator[Page]:
    """Start a browser with an empty page, and end it."""
    (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()
    words = [browser_path(), *FLAGS, f"--user-data-dir={profile}", "about:blank"]
    kept = tuple(fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (theirs_in, theirs_out))  # it reads 3 and writes 4
    line = ["bash", "-c", f'exec "$@" 3<&{kept[0]} 4>&{kept[1]}', "-", *words]
    with subprocess.Popen(line, pass_fds=kept, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        for end in (theirs_in, theirs_out, *kept):
            os.close(end)
        page = Page(process, ours_out, ours_in)
        try:
            (target,) = [each for each in page.ask("Target.getTargets")["targetInfos"] if each["type"] == "page"]
            page.session = page.ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                page.ask(f"{domain}.enable")
            yield page
        finally:
            process.terminate()
            os.close(ours_out)
            os.close(ours_in)
