"""A headless Chromium, driven by the WebDriver protocol over HTTP. It resolves no name and reaches nothing but this
machine; what its console says and what it asks for is kept."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from rig.brokers import free_port, wait_for_port

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
MISSING = "Chromium is missing: apt-get install chromium chromium-driver"
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
TAB, ENTER, ESCAPE = "\ue004", "\ue007", "\ue00c"
_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",  # CI is root, in a container
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


class Browser:
    """One window. Waits poll: nothing in a page can be subscribed to from outside."""

    def __init__(self, folder: Path) -> None:
        assert CHROMIUM is not None
        assert DRIVER is not None
        port = free_port()
        self._base = f"http://127.0.0.1:{port}"
        self._process = subprocess.Popen(
            [DRIVER, f"--port={port}", "--log-level=OFF"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._console: list[str] = []
        self._requests: list[str] = []
        wait_for_port(port)
        options = {"binary": CHROMIUM, "args": [*_ARGUMENTS, f"--user-data-dir={folder}"]}
        wish = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        begun = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wish}})
        self._base += f"/session/{begun['sessionId']}"
        self._call(
            "POST", "/se/log", {"type": "performance"}
        )  # what Chromium's own first tab asked for is no page's
        self.cdp("Emulation.setLocaleOverride", locale="en-GB")  # what dates and numbers look like

    def end(self) -> None:
        try:
            self._call("DELETE", "", None)
        finally:
            self._process.terminate()
            self._process.wait()

    def _call(self, method: str, path: str, body: object) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self._base + path, data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return json.load(reply)["value"]
        except urllib.error.HTTPError as error:
            with error:
                said = json.load(error)["value"]
            raise AssertionError(f"{path}: {said['error']}: {said['message']}") from None

    def go(self, url: str) -> None:
        self._call("POST", "/url", {"url": url})

    @property
    def url(self) -> str:
        return str(self._call("GET", "/url", None))

    def js(self, script: str, *arguments: object) -> Any:
        """What the body of a function returns in the page."""
        return self._call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def wait(self, expression: str, *arguments: object, seconds: float = 20.0) -> Any:
        """Until an expression of the page is true; what it is then."""
        deadline = time.monotonic() + seconds
        while not (found := self.js(f"return {expression}", *arguments)):
            if time.monotonic() > deadline:
                text = self.js("return document.body.innerText")
                raise AssertionError(f"not within {seconds:g} s: {expression} {arguments}\n{text[:3000]}")
            time.sleep(0.05)
        return found

    def there(self, css: str, seconds: float = 20.0) -> None:
        self.wait("document.querySelector(arguments[0])", css, seconds=seconds)

    def text(self, css: str) -> str:
        """What one can read there, "" where nothing is."""
        return str(self.js("return document.querySelector(arguments[0])?.innerText ?? ''", css))

    def reads(self, css: str, words: str, seconds: float = 20.0) -> str:
        """Waits until these words can be read there; the whole text."""
        self.wait(
            "document.querySelector(arguments[0])?.innerText?.includes(arguments[1])",
            *(css, words),
            seconds=seconds,
        )
        return self.text(css)

    def click(self, css: str) -> None:
        """As a person does: it must be there, visible and not covered."""
        self.there(css)
        found = self._call("POST", "/element", {"using": "css selector", "value": css})
        self._call("POST", f"/element/{found[ELEMENT]}/click", {})

    def fill(self, css: str, text: str) -> None:
        self.there(css)
        found = self._call("POST", "/element", {"using": "css selector", "value": css})
        self._call("POST", f"/element/{found[ELEMENT]}/clear", {})
        self._call("POST", f"/element/{found[ELEMENT]}/value", {"text": text})

    def press(self, *keys: str) -> None:
        """Keys on whatever has the focus."""
        strokes = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._call("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": strokes}]})

    def drag(self, css: str, start: float, end: float) -> None:
        """The mouse over an element, from one part of its width to another, at half its height."""
        box = self.js(
            "const box = document.querySelector(arguments[0]).getBoundingClientRect();"
            "return [box.left, box.top + box.height / 2, box.width]",
            css,
        )

        def to(part: float) -> dict[str, object]:
            x = round(box[0] + part * box[2])
            return {"type": "pointerMove", "duration": 50, "x": x, "y": round(box[1])}

        moves = [to(start), {"type": "pointerDown", "button": 0}, to((start + end) / 2), to(end)]
        pointer = {"type": "pointer", "id": "mouse", "actions": [*moves, {"type": "pointerUp", "button": 0}]}
        self._call("POST", "/actions", {"actions": [pointer]})

    def screen(self, width: int, height: int, *, scale: float = 1.0, phone: bool = False) -> None:
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=phone,
        )

    def prefers(self, scheme: str) -> None:
        """`light` or `dark`, as the system's setting."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.cdp("Emulation.setEmulatedMedia", features=[feature])

    def cdp(self, command: str, **parameters: object) -> Any:
        return self._call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def picture(self) -> bytes:
        """PNG of what is to be seen."""
        return base64.b64decode(self._call("GET", "/screenshot", None))

    def console(self) -> list[str]:
        """All warnings and errors so far."""
        for entry in self._call("POST", "/se/log", {"type": "browser"}):
            if entry["level"] in ("WARNING", "SEVERE"):
                self._console.append(entry["message"])
        return self._console

    def requests(self) -> list[str]:
        """Addresses of everything that was asked for so far, WebSockets too."""
        for entry in self._call("POST", "/se/log", {"type": "performance"}):
            event = json.loads(entry["message"])["message"]
            if event["method"] == "Network.requestWillBeSent":
                self._requests.append(event["params"]["request"]["url"])
            elif event["method"] == "Network.webSocketCreated":
                self._requests.append(event["params"]["url"])
        return self._requests
