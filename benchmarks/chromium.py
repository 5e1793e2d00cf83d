"""A headless Chromium that is told what to do over the DevTools protocol, through its debugging pipe."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe",
)  # fmt: skip

PATIENCE = 60
"""Seconds without a word after which the browser is given up."""


class Browser:
    """One tab of a browser."""

    def __init__(self, send: int, receive: int) -> None:
        self._send, self._receive = send, receive
        self._rest, self._number, self._session = b"", 0, ""
        self.events: list[dict[str, Any]] = []
        """What the tab has told unasked, in its order."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, /, **given: Any) -> dict[str, Any]:
        """The result of a method of the protocol. Raises RuntimeError for what the browser refuses."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": given}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._send, json.dumps(message).encode() + b"\0")
        while True:
            found = self._message()
            if found.get("id") == self._number:
                if "error" in found:
                    raise RuntimeError(f"{method}: {found['error']['message']}")
                result: dict[str, Any] = found["result"]
                return result
            self.events.append(found)

    def wait(self, event: str) -> Mapping[str, Any]:
        """The next event of this name, or the one that has come already; it is forgotten."""
        while True:
            found = next((one for one in self.events if one.get("method") == event), None)
            if found:
                self.events.remove(found)
                params: dict[str, Any] = found["params"]
                return params
            self.events.append(self._message())

    def open(self, page: Path, query: str = "") -> float:
        """Show a file, anew if it is shown already; returns the seconds until its load event."""
        # Without a page between, one that differs in what follows # alone would not be loaded again.
        self._load("about:blank")
        began = time.perf_counter()
        self._load(f"{page.as_uri()}{query}")
        return time.perf_counter() - began

    def run(self, script: str) -> Any:
        """The value of an expression, of a promise what it comes to. Raises RuntimeError for an error of the script."""
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            raise RuntimeError(str(found["exceptionDetails"].get("exception", found["exceptionDetails"])))
        return found["result"].get("value")

    def size(self, width: int, height: int) -> None:
        """The window's size in CSS pixels."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def picture(self, file: Path, **given: Any) -> None:
        """What the window shows, as PNG."""
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", **given)["data"]))

    def complaints(self) -> list[str]:
        """What the page has written to the console, and its errors."""
        told = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        return [json.dumps(one["params"]) for one in self.events if one.get("method") in told]

    def _load(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        self.wait("Page.loadEventFired")

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._receive], [], [], PATIENCE)
            part = os.read(self._receive, 1 << 20) if ready else b""
            if not part:
                raise RuntimeError("the browser has ended or is silent")
            self._rest += part
        first, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(first)
        return message


@contextmanager
def browser(program: str = "chromium") -> Iterator[Browser]:
    """A browser with a profile of its own, which goes with the block."""
    into, send = map(_above, os.pipe())
    receive, out = map(_above, os.pipe())

    def connect() -> None:
        # The browser reads from descriptor 3 and writes to 4.
        os.dup2(into, 3)
        os.dup2(out, 4)

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [program, *OPTIONS, f"--user-data-dir={profile}"]
        process = subprocess.Popen(command, close_fds=False, preexec_fn=connect, stderr=subprocess.DEVNULL)
        os.close(into)
        os.close(out)
        try:
            yield Browser(send, receive)
        finally:
            process.terminate()
            process.wait(30)
            os.close(send)
            os.close(receive)


def _above(descriptor: int) -> int:
    """The same file under a number that is neither 3 nor 4, closed in child processes."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return moved
