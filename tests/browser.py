"""A real browser for tests: Chromium without a window, driven over the DevTools protocol.

What a page does (scripts run or refused, requests, keys, print, dark mode) only a browser can say.
The usual drivers are a hundred megabytes with a browser of their own; what we need of one is here,
and speaks over the pipe that Chromium offers for it (``--remote-debugging-pipe``): no port that
another process could reach, no event loop, and when the pipe closes the browser ends, whatever
became of us.

Everything is synchronous, and bounded: no answer within `PATIENCE` seconds is a `BrowserError`.
"""

import base64
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any, NamedTuple, Self

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE = 60.0  # seconds for one answer: a busy machine with two slow cores
A4 = (210 / 25.4, 297 / 25.4)  # inches
FLAGS = (
    "--headless",
    "--remote-debugging-pipe",
    "--disable-gpu",
    "--disable-dev-shm-usage",  # containers have little of it
    "--disable-background-networking",
    "--disable-breakpad",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--hide-scrollbars",
    "--mute-audio",
    "--no-default-browser-check",
    "--no-first-run",
    "--password-store=basic",
)
# The pipe is to be descriptors 3 and 4, which a shell can say without code between fork and exec.
REDIRECT = 'exec "$@" 3<&0 4>&1 </dev/null >/dev/null'
# Before any script of the page: what its Content-Security-Policy refuses is recorded.
WATCH = """
window.__refused = [];
addEventListener("securitypolicyviolation", (event) => window.__refused.push(
  `${event.effectiveDirective} ${event.blockedURI} ${event.sample}`.slice(0, 300)), true);
"""
KEYS = {  # key: (code, number, text)
    "Tab": ("Tab", 9, ""),
    "Enter": ("Enter", 13, "\r"),
    "Escape": ("Escape", 27, ""),
    " ": ("Space", 32, " "),
    "PageUp": ("PageUp", 33, ""),
    "PageDown": ("PageDown", 34, ""),
    "End": ("End", 35, ""),
    "Home": ("Home", 36, ""),
    "ArrowLeft": ("ArrowLeft", 37, ""),
    "ArrowUp": ("ArrowUp", 38, ""),
    "ArrowRight": ("ArrowRight", 39, ""),
    "ArrowDown": ("ArrowDown", 40, ""),
}
SHIFT = 8


class BrowserError(Exception):
    """The browser did not do what was asked, or the page's own code failed."""


def find() -> Path | None:
    """Where a browser is: what ``HOLDFAST_BROWSER`` says alone, or else the first of `NAMES`."""
    named = os.environ.get("HOLDFAST_BROWSER")
    for name in (named,) if named else NAMES:
        if found := shutil.which(name):
            return Path(found)
    return None


class Request(NamedTuple):
    """Something a page asked for; `kind` as the protocol says it (Document, Script, Fetch …)."""

    url: str
    kind: str

    @property
    def local(self) -> bool:
        """Read from this disk, or held in the page itself: nothing left the machine."""
        return self.url.startswith(("file:", "data:", "blob:", "about:"))


class Browser:
    """A running browser, within ``with``; `tab` opens a page in a profile of its own."""

    def __init__(self, executable: Path | None = None) -> None:
        found = executable or find()
        if found is None:
            raise BrowserError("no Chromium found; install one or set HOLDFAST_BROWSER to its path")
        self._executable = found
        self._numbers = iter(range(1, 1 << 60))
        self._left = b""
        self._answers: dict[int, dict[str, Any]] = {}
        self._tabs: dict[str, Tab] = {}

    def __enter__(self) -> Self:
        self._home = tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True)
        command = [str(self._executable), *FLAGS, f"--user-data-dir={self._home.name}"]
        if os.geteuid() == 0:
            command.append("--no-sandbox")  # it refuses to run as root otherwise
        self._process = subprocess.Popen(
            ["sh", "-c", REDIRECT, "sh", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # so that its children end with it
            env=os.environ | {"HOME": self._home.name, "TMPDIR": self._home.name},
        )
        try:
            self.call("Browser.getVersion")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        self._home.cleanup()

    @contextlib.contextmanager
    def tab(self, width: int = 1400, height: int = 900) -> Iterator["Tab"]:
        """An empty page of its own: nothing that another one stored is there."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        try:
            made = {"url": "about:blank", "browserContextId": context}
            target = self.call("Target.createTarget", **made)["targetId"]
            attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
            tab = self._tabs[attached["sessionId"]] = Tab(self, attached["sessionId"])
            tab.start(width, height)
            yield tab
        finally:
            self.call("Target.disposeBrowserContext", browserContextId=context)

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """Ask the browser, or one of its pages, and wait for the answer."""
        number = self.send(method, session, **params)
        ends = monotonic() + PATIENCE
        while number not in self._answers:
            self._read(ends, method)
        answer = self._answers.pop(number)
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error'].get('message')}")
        result: dict[str, Any] = answer.get("result", {})
        return result

    def send(self, method: str, session: str | None = None, **params: Any) -> int:
        """Ask without waiting; returns the question's number."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\0")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise BrowserError(f"the browser has ended before {method}") from None
        return number

    def drain(self, seconds: float = 0.0) -> None:
        """Take in what was sent meanwhile, for at least so long."""
        ends = monotonic() + seconds
        assert self._process.stdout is not None
        while True:
            wait = max(0.0, ends - monotonic())
            if select.select([self._process.stdout], [], [], wait)[0]:
                self._read(monotonic() + PATIENCE, "waiting")
            elif monotonic() >= ends:
                return

    def _read(self, ends: float, method: str) -> None:
        """Take in one chunk of what the browser says."""
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], max(0.0, ends - monotonic()))[0]:
            raise BrowserError(f"no answer to {method} in {PATIENCE:.0f} s")
        chunk = os.read(self._process.stdout.fileno(), 1 << 20)
        if not chunk:
            raise BrowserError(f"the browser ended during {method}")
        *messages, self._left = (self._left + chunk).split(b"\0")
        for raw in messages:
            message = json.loads(raw)
            if "id" in message:
                self._answers[message["id"]] = message
            elif tab := self._tabs.get(message.get("sessionId", "")):
                tab.told(message["method"], message["params"])


class Tab:
    """One page, and a record of whatever it does.

    `requests` and `navigations` are those since the last `open`, its own document included;
    `complaints` are console messages, uncaught exceptions and what the browser logs as an error.
    """

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session
        self._loaded = False
        self._page = ""
        self.requests: list[Request] = []
        self.navigations: list[str] = []
        self.complaints: list[str] = []
        self.dialogs: list[str] = []

    # ------------------------------------------------------------------------------------ plumbing

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Any method of the protocol, on this page."""
        return self._browser.call(method, self._session, **params)

    def start(self, width: int, height: int) -> None:
        """Have everything told that is recorded."""
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        self.call("Emulation.setFocusEmulationEnabled", enabled=True)
        self.size(width, height)

    def told(self, method: str, params: dict[str, Any]) -> None:
        """Record one event."""
        if method == "Network.requestWillBeSent":
            self.requests.append(Request(params["request"]["url"][:300], params.get("type", "")))
        elif method in ("Network.webSocketCreated", "Network.webTransportCreated"):
            self.requests.append(Request(params["url"][:300], "Socket"))
        elif method == "Page.frameRequestedNavigation":
            self.navigations.append(params["url"][:300])
        elif method == "Page.windowOpen":
            self.navigations.append(f"window: {params['url'][:300]}")
        elif method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Page.javascriptDialogOpening":
            self.dialogs.append(params["message"][:300])
            self._browser.send("Page.handleJavaScriptDialog", self._session, accept=True)
        elif method == "Runtime.consoleAPICalled":
            said = " ".join(str(a.get("value", a.get("description"))) for a in params["args"])
            self.complaints.append(f"console.{params['type']}: {said[:500]}")
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(f"uncaught: {_failure(params['exceptionDetails'])}")
        elif method == "Log.entryAdded":
            entry = params["entry"]
            self.complaints.append(f"{entry['source']} {entry['level']}: {entry['text'][:500]}")

    # --------------------------------------------------------------------------------------- pages

    def open(self, page: Path | str, *, settled: bool = True) -> Self:
        """Open a file, or any URL, and wait until it has loaded; records start anew."""
        url = page.resolve().as_uri() if isinstance(page, Path) else page
        self._page = url.partition("#")[0]
        self._browser.drain()
        for record in (self.requests, self.navigations, self.complaints, self.dialogs):
            record.clear()
        self._loaded = False
        answer = self.call("Page.navigate", url=url)
        if "errorText" in answer:
            raise BrowserError(f"cannot open {url}: {answer['errorText']}")
        if "loaderId" in answer:  # none: a place on the page that is there already
            self._until(lambda: self._loaded, f"{url} to load")
        if settled:  # takes a script of ours
            self.settle()
        return self

    def settle(self) -> None:
        """Let the page do what it has to do next: two frames drawn, and their events in."""
        self.evaluate(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
        self._browser.drain()

    def evaluate(self, expression: str, *arguments: object) -> Any:
        """The value of an expression, a promise's when it is one.

        With `arguments` the expression is a function, which is called with them.
        """
        if arguments:
            expression = f"({expression})({', '.join(json.dumps(each) for each in arguments)})"
        answer = self.call(
            "Runtime.evaluate",
            expression=expression,
            returnByValue=True,
            awaitPromise=True,
            userGesture=True,
        )
        if "exceptionDetails" in answer:
            raise BrowserError(_failure(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def wait(self, expression: str, seconds: float = 20.0) -> Any:
        """Wait until an expression is true, and return its value."""
        ends = monotonic() + seconds
        while not (value := self.evaluate(expression)):
            if monotonic() > ends:
                raise BrowserError(f"not within {seconds:g} s: {expression}")
            sleep(0.02)
        return value

    @property
    def refused(self) -> list[str]:
        """What the page's Content-Security-Policy refused."""
        found: list[str] = self.evaluate("window.__refused")
        return found

    @property
    def remote(self) -> list[Request]:
        """Requests that would leave this machine."""
        return [request for request in self.requests if not request.local]

    @property
    def beside(self) -> list[str]:
        """Names of files read from this disk beside the page itself."""
        files = [r.url for r in self.requests if r.url.startswith("file:")]
        return [url.rsplit("/", 1)[-1] for url in files if url != self._page]

    # ---------------------------------------------------------------------------------- a person's

    def press(self, *keys: str, shift: bool = False) -> None:
        """Press keys one after another: names as in `KEYS`, or single characters."""
        for key in keys:
            code, number, text = KEYS.get(key, ("", ord(key[0].upper()), key))
            said = {"key": key, "code": code, "windowsVirtualKeyCode": number}
            said |= {"modifiers": SHIFT if shift else 0}
            down = "keyDown" if text else "rawKeyDown"
            self.call(
                "Input.dispatchKeyEvent", type=down, **said, **({"text": text} if text else {})
            )
            self.call("Input.dispatchKeyEvent", type="keyUp", **said)

    def click(self, selector: str) -> None:
        """Click the middle of an element, with the mouse, where it is."""
        x, y = self.evaluate(
            """(selector) => {
              const found = document.querySelector(selector);
              found.scrollIntoView({ block: "center", inline: "nearest", behavior: "instant" });
              const box = found.getBoundingClientRect();
              return [box.x + box.width / 2, box.y + box.height / 2];
            }""",
            selector,
        )
        said = {"x": x, "y": y, "button": "left", "clickCount": 1}
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, **said)
        self.settle()

    # ---------------------------------------------------------------------------------- appearance

    def size(self, width: int, height: int = 900) -> None:
        """How large the window is, in CSS pixels."""
        said = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **said)

    def media(self, kind: str = "", *, scheme: str = "light") -> None:
        """The medium (``print`` or none) and the colour scheme the reader prefers."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=kind, features=features)

    def screenshot(self, *, whole: bool = False, form: str = "png") -> bytes:
        """A picture of the window, or of the `whole` page."""
        taken = self.call("Page.captureScreenshot", format=form, captureBeyondViewport=whole)
        return base64.b64decode(taken["data"])

    def pdf(self) -> bytes:
        """The page as it would be printed on A4."""
        width, height = A4
        made = self.call(
            "Page.printToPDF", paperWidth=width, paperHeight=height, printBackground=True
        )
        return base64.b64decode(made["data"])

    def spoken(self) -> list[tuple[str, str]]:
        """The accessibility tree in order, as a screen reader has it: role and name."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in nodes
            if not node["ignored"]
        ]

    def _until(self, done: Callable[[], bool], what: str) -> None:
        ends = monotonic() + PATIENCE
        while not done():
            if monotonic() > ends:
                raise BrowserError(f"waited {PATIENCE:.0f} s for {what}")
            self._browser.drain(0.02)


def _failure(details: dict[str, Any]) -> str:
    thrown = details.get("exception", {})
    said = thrown.get("description") or thrown.get("value") or details.get("text")
    return f"{said} (line {details.get('lineNumber')})"[:800]
