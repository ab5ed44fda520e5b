"""The browser that other tests look through: it sees what a page does, and its absence is told."""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

import pytest

from tests.browser import Browser, BrowserError, find

PAGE = """<!doctype html><html lang="en"><title>A page</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'unsafe-inline'; img-src data:">
<style>@media print {{ p {{ color: rgb(1, 2, 3) }} }}
@media (prefers-color-scheme: dark) {{ p {{ color: rgb(4, 5, 6) }} }}</style>
<button onclick="this.textContent = 'pressed'">press</button> <a href="#end">down</a><p id="end">
text</p><script>{script}</script></html>"""


@pytest.fixture
def page(tmp_path):
    """Writes a page that runs a script."""

    def write(script: str = ""):
        path = tmp_path / "page.html"
        path.write_text(PAGE.format(script=script), encoding="utf-8")
        return path

    return write


@pytest.mark.browser
def test_a_quiet_page_asks_for_itself_alone(tab, page):
    tab.open(page())
    assert [(r.kind, r.local) for r in tab.requests] == [("Document", True)]
    assert (tab.remote, tab.beside, tab.complaints, tab.refused) == ([], [], [], [])
    assert tab.evaluate("document.title") == "A page"
    assert ("button", "press") in tab.spoken()


@pytest.mark.browser
def test_what_a_page_does_is_recorded(tab, page):
    for script, record in (
        ("console.log('said', 3)", lambda: tab.complaints),
        ("null.x", lambda: tab.complaints),
        ("Promise.reject(new Error('late'))", lambda: tab.complaints),
        ("alert('stop')", lambda: tab.dialogs),
        ("new Image().src = 'http://192.0.2.1/x.png'", lambda: tab.remote),
        ("fetch('http://192.0.2.1/x').catch(() => 0)", lambda: tab.refused),
        ("new WebSocket('ws://192.0.2.1/x')", lambda: tab.refused),
        ("eval('1')", lambda: tab.refused),
        ("location = 'about:blank#gone'", lambda: tab.navigations),
        ("open('about:blank')", lambda: tab.navigations),
    ):
        tab.open(page(f"addEventListener('load', () => {{ {script} }})"))
        tab.settle()
        assert record(), script


@pytest.mark.browser
def test_keys_mouse_media_and_size_reach_the_page(tab, page):
    tab.open(page())
    tab.press("Tab", "Enter")
    assert tab.evaluate("document.activeElement.textContent") == "pressed"
    tab.press("Tab")
    tab.press("Tab", shift=True)
    assert tab.evaluate("document.activeElement.tagName") == "BUTTON"
    tab.click("a")
    assert tab.evaluate("location.hash") == "#end"
    colour = "getComputedStyle(document.querySelector('p')).color"
    tab.media(scheme="dark")
    assert tab.evaluate(colour) == "rgb(4, 5, 6)"
    tab.media("print")
    assert tab.evaluate(colour) == "rgb(1, 2, 3)"
    tab.size(360)
    assert tab.evaluate("(x, y) => [x, y, innerWidth]", 1, {"a": 2}) == [1, {"a": 2}, 360]
    assert tab.screenshot().startswith(b"\x89PNG")
    assert tab.pdf().startswith(b"%PDF")


@pytest.mark.browser
def test_pages_share_nothing_and_failures_say_what_failed(chromium, tab, page):
    tab.open(page()).evaluate("localStorage.setItem('kept', 1)")
    with chromium.tab() as other:
        assert other.open(page()).evaluate("localStorage.getItem('kept')") is None
        with pytest.raises(BrowserError, match="no such thing"):
            other.evaluate("(() => { throw new Error('no such thing') })()")
        with pytest.raises(BrowserError, match=r"not within 0\.1 s: 1 > 2"):
            other.wait("1 > 2", seconds=0.1)
        with pytest.raises(BrowserError, match="cannot open file:///nowhere"):
            other.open("file:///nowhere.html")


@pytest.mark.browser
def test_nothing_is_left_of_a_browser_that_was_interrupted():
    with pytest.raises(KeyboardInterrupt), Browser() as browser:
        raise KeyboardInterrupt
    assert browser._process.returncode is not None
    assert not os.path.exists(browser._home.name)
    ends = monotonic() + 10
    while (left := commands(browser._home.name)) and monotonic() < ends:
        sleep(0.05)
    assert left == []


def commands(named: str) -> list[bytes]:
    """Command lines of running processes that name something; one that has ended has none."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(process.read_bytes())
    return [line for line in found if named.encode() in line]


# --------------------------------------------------------------------------------- where none is


def test_a_browser_that_is_named_and_not_there_is_not_replaced_by_another(monkeypatch):
    monkeypatch.setenv("HOLDFAST_BROWSER", "/nonexistent")
    assert find() is None
    with pytest.raises(BrowserError, match="no Chromium found"):
        Browser()
    monkeypatch.setenv("HOLDFAST_BROWSER", sys.executable)
    assert str(find()) == sys.executable


def test_the_browser_is_looked_for_by_its_usual_names(monkeypatch, tmp_path):
    monkeypatch.delenv("HOLDFAST_BROWSER", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find() is None
    for name in ("google-chrome", "chromium-browser"):  # the later one is the better known
        (tmp_path / name).touch(0o755)
        assert find() == tmp_path / name


@pytest.mark.parametrize(("workers", "required"), [("0", ""), ("1", "1")])
def test_without_a_browser_its_tests_are_left_out_and_that_is_said(workers, required):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", workers]
    chosen = [f"{__file__}::{name}" for name in (LOOKING.__name__, SHARING.__name__)]
    settings = {"HOLDFAST_BROWSER": "/nonexistent", "HOLDFAST_REQUIRE_BROWSER": required}
    ran = subprocess.run(
        [*command, *chosen], env=os.environ | settings, capture_output=True, text=True, check=False
    )
    (told,) = [row for row in ran.stdout.splitlines() if "no Chromium found" in row]
    assert "1 passed" in ran.stdout
    if required:
        assert told.startswith("FAILED: 1 browser test could not run")
        assert ran.returncode == 1
    else:
        assert told.startswith("browser tests left out: no Chromium found")
        assert ran.returncode == 0


LOOKING = test_the_browser_is_looked_for_by_its_usual_names
SHARING = test_pages_share_nothing_and_failures_say_what_failed


@pytest.fixture
def gate(tmp_path):
    """Runs `.ci/run` with these commands alone, each a line of shell; returns what it printed."""
    shutil.copytree(Path(__file__).parents[1] / ".ci", tmp_path / ".ci")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "dirname").symlink_to(shutil.which("dirname") or "")
    bash = shutil.which("bash")

    def write(name: str, line: str) -> None:
        (tmp_path / "bin" / name).write_text(f"#!{bash}\n{line}\n", encoding="utf-8")
        (tmp_path / "bin" / name).chmod(0o755)

    def run(**commands: str) -> str:
        for name, line in commands.items():
            write(name.replace("_", "-"), line)
        write("make", 'echo "make $*, required ${HOLDFAST_REQUIRE_BROWSER:-no}"')
        only = {"PATH": str(tmp_path / "bin")}
        ran = subprocess.run(
            [str(bash), ".ci/run"],
            cwd=tmp_path,
            env=only,
            capture_output=True,
            text=True,
            check=True,
        )
        return ran.stdout

    return run


# What installs a package, as far as the gate can tell: a command that was not there before.
INSTALLS = """echo noise; for word in "$@"; do last=$word; done
if [ "$1" = install ]; then printf "#!/bin/sh\n" >"bin/$last"; /bin/chmod 755 "bin/$last"; fi"""


def test_the_gate_requires_the_browser_that_is_there(gate):
    assert gate(google_chrome=":", id="echo 0", apt_get="exit 3") == "make test, required 1\n"


def test_the_gate_installs_a_browser_where_it_may(gate):
    assert gate(id="echo 0", apt_get=INSTALLS) == "make test, required 1\n"


@pytest.mark.parametrize("user", ["0", "1000"])
def test_the_gate_goes_on_without_a_browser_and_says_so(gate, user):
    told = gate(id=f"echo {user}", apt_get="echo no network >&2; exit 100")
    left_out = "no Chromium: the tests that need a browser will be left out"
    assert told == f"{left_out}\nmake test, required no\n"
