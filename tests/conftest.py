"""What several modules of tests need around them."""

import gc
import os

import pytest
from hypothesis import settings

from tests.browser import Browser, find
from tests.loopback import KEY

pytest.register_assert_rewrite("tests.looking")

NOTHING_RUN = pytest.ExitCode.NO_TESTS_COLLECTED
LEFT_OUT = pytest.StashKey[int]()  # browser tests that no browser was found for

# How long an example takes is the machine's affair, and several workers share it.
settings.register_profile("long", deadline=None, max_examples=100)
settings.register_profile("default", deadline=None, max_examples=40)


def pytest_configure(config):
    """Fewer examples of a property that names no number of its own, unless the long tier runs."""
    quick = "not slow" in config.getoption("markexpr")
    settings.load_profile("default" if quick else "long")


def pytest_collection_modifyitems(config, items):
    """Where no browser is, tests that need one are not run, which the summary says."""
    items_of_a_browser = [item for item in items if item.get_closest_marker("browser")]
    if items_of_a_browser and find() is None:
        config.stash[LEFT_OUT] = len(items_of_a_browser)
        config.hook.pytest_deselected(items=items_of_a_browser)
        items[:] = [item for item in items if item not in items_of_a_browser]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """Under xdist it is the workers that collect, all of them the same."""
    left_out = getattr(node, "workeroutput", {}).get("browser_left_out", 0)
    if left_out:
        node.config.stash[LEFT_OUT] = left_out


def pytest_sessionfinish(session, exitstatus):
    """Pass on what was left out; it is a failure where a browser was said to be there."""
    left_out = session.config.stash.get(LEFT_OUT, 0)
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["browser_left_out"] = left_out
    elif left_out and required() and exitstatus in (pytest.ExitCode.OK, NOTHING_RUN):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    """One line on the tests that were left out."""
    if left_out := config.stash.get(LEFT_OUT, 0):
        why = "no Chromium found; install one, or set HOLDFAST_BROWSER to its path"
        tests = f"{left_out} browser test{'' if left_out == 1 else 's'}"
        if required():
            said = f"FAILED: {tests} could not run, though HOLDFAST_REQUIRE_BROWSER is 1"
            terminalreporter.write_line(f"{said}: {why}", red=True)
        else:
            terminalreporter.write_line(f"browser tests left out: {why} ({tests})")


def required():
    """Whether the absence of a browser is a failure."""
    return os.environ.get("HOLDFAST_REQUIRE_BROWSER") == "1"


@pytest.fixture(scope="session")
def chromium():
    """One browser a worker; `tab` is a page of it."""
    with Browser() as browser:
        yield browser


@pytest.fixture
def tab(chromium):
    """A page that shares nothing with another test's."""
    with chromium.tab() as opened:
        yield opened


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """What is collected lives to the end: no search for garbage goes through it, then or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.fixture
def one_key(monkeypatch):
    """A key, and nothing of the machine's own settings."""
    for name in ("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL", "ANTHROPIC_CUSTOM_HEADERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """What a command keeps for the next one: not in the home of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield
