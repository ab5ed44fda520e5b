"""What several modules of tests need around them."""

import gc

import pytest
from hypothesis import settings

from tests.loopback import KEY

# How long an example takes is the machine's affair, and several workers share it.
settings.register_profile("long", deadline=None, max_examples=100)
settings.register_profile("default", deadline=None, max_examples=40)


def pytest_configure(config):
    """Fewer examples of a property that names no number of its own, unless the long tier runs."""
    quick = "not slow" in config.getoption("markexpr")
    settings.load_profile("default" if quick else "long")


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
