"""A real browser for tests: headless Chromium, driven by the DevTools protocol over a pipe."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

__all__ = ["EXECUTABLE", "Browser"]

EXECUTABLE = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)

_PATIENCE = 60.0
# Chromium reads commands from descriptor 3 and answers on 4; which are taken here is not for us to
# choose, so a process of its own puts the pipes there.
_PLUMBING = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
os.dup2(ends[0], 3), os.dup2(ends[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
_OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--hide-scrollbars"),
    *("--force-prefers-reduced-motion", "--window-size=1400,1000", "--remote-debugging-pipe"),
)


class Browser:
    """One page of a browser.

    Attributes:
        events: what the browser has told of the page since it was opened.
    """

    def __init__(self, profile: Path) -> None:
        assert EXECUTABLE is not None
        theirs_in, self._commands = os.pipe()
        self._answers, theirs_out = os.pipe()
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-c", _PLUMBING, str(theirs_in), str(theirs_out)),
                *(EXECUTABLE, *_OPTIONS, f"--user-data-dir={profile}"),
            ],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(_PATIENCE)
        os.close(self._commands)
        os.close(self._answers)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Have the browser do something, and wait for its answer."""
        self._number += 1
        command = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            command["sessionId"] = self._session
        os.write(self._commands, json.dumps(command).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._answers], [], [], _PATIENCE)
            assert ready, "the browser does not answer"
            data = os.read(self._answers, 1 << 20)
            assert data, "the browser has ended"
            self._buffer += data
        text, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        return message

    def run(self, script: str) -> Any:
        """The value of an expression on the page; a promise is waited for."""
        answer = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def open(self, path: Path) -> float:
        """Open a file; return how many seconds it took until the page was ready."""
        self.events.clear()
        begun = time.perf_counter()
        self.call("Page.navigate", url=path.as_uri())
        while self.run("document.documentElement?.dataset.ready") != "true":
            time.sleep(0.01)
            assert time.perf_counter() < begun + _PATIENCE, f"not ready: {self.complaints}"
        self.painted()
        return time.perf_counter() - begun

    def painted(self) -> None:
        """Wait until what was asked for is on the screen."""
        self.run("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            text = {"Enter": "\r", " ": " "}.get(key, key if len(key) == 1 else "")
            about = {"key": key, "code": key if len(key) > 1 else ""}
            if key == "Tab":
                about["windowsVirtualKeyCode"] = 9  # type: ignore[assignment]
            self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **about)
            self.call("Input.dispatchKeyEvent", type="keyUp", **about)
        self.painted()

    def mouse(self, kind: str, x: float, y: float, **about: Any) -> None:
        """Do something with the mouse."""
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **about)

    def click(self, x: float, y: float) -> None:
        """Click a place in the window."""
        for kind in ("mousePressed", "mouseReleased"):
            self.mouse(kind, x, y, button="left", clickCount=1)
        self.painted()

    def text(self, selector: str) -> str:
        """What stands in an element."""
        found: str = self.run(f"document.querySelector({json.dumps(selector)}).textContent")
        return found

    def picture(self) -> bytes:
        """What is in the window, as a PNG."""
        self.painted()
        return base64.b64decode(self.call("Page.captureScreenshot")["data"])

    @property
    def complaints(self) -> list[str]:
        """What the page or the browser had to say about it, errors and all else."""
        kinds = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
        return [json.dumps(each["params"]) for each in self.events if each["method"] in kinds]

    @property
    def requests(self) -> list[str]:
        """What was asked for, the page itself included."""
        return [
            each["params"]["request"]["url"]
            for each in self.events
            if each["method"] == "Network.requestWillBeSent"
        ]
